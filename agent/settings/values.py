"""Values in configurations: durations, sizes, secrets, names. Each error message says what to write instead."""

from __future__ import annotations

import re
import unicodedata
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, SecretStr, ValidationInfo, WithJsonSchema

from agent.core.regular import UnfitError, read_regular

#: ASCII digits, and not so many that a float or an integer could overflow.
_NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,15})?)"
_DURATION = re.compile(_NUMBER + r"\s*(ms|s|min|m|h|d)")
_DURATION_SPELLED = re.compile(
    r"([0-9]{1,15}(?:[.,][0-9]{1,15})?)\s*(m?secs?|m?s|milli\w*|seconds?|mins?|minutes?|h|hrs?|hours?|d|days?|m)?\.?",
    re.IGNORECASE,
)
_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(_NUMBER + r"\s*(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)")
_SIZE_UNITS = {
    "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
_RATE = re.compile(_NUMBER + r"\s*/\s*(s|min|h)")


def parse_duration(value: object) -> float:
    """Seconds of `250ms`, `1s`, `1.5s`, `10m`, `2h`, `30d`. A bare number is refused: nobody knows its unit."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        return float(match[1]) * _DURATION_UNITS[match[2]]
    raise ValueError(f"{value!r} is not a duration; {_duration_meant(str(value))}")


def _duration_meant(text: str) -> str:
    """What to write for a number of some unit, or of none."""
    match = _DURATION_SPELLED.fullmatch(text.strip())
    if match is None:
        return "write a number with a unit: 250ms, 1s, 10m, 2h, 30d"
    number, word = match[1].replace(",", "."), (match[2] or "").lower()
    unit = "ms" if word[:2] in ("ms", "mi") and word[:3] != "min" else word[:1]
    return f"write {number}{unit}" if unit else f"write {number}ms, or {number}s for seconds"


def parse_size(value: object) -> int:
    """Bytes of `96KiB`, `1GiB`, `500MB`, `100B`."""
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        return int(float(match[1]) * _SIZE_UNITS[match[2]])
    msg = f"{value!r} is not a size; write a number with a unit: 96KiB, 64MiB, 1GiB"
    raise ValueError(msg)


def parse_rate(value: object) -> float:
    """Per second, of `50/s`, `10/min`."""
    if isinstance(value, str) and (match := _RATE.fullmatch(value.strip())):
        return float(match[1]) / _DURATION_UNITS[match[2]]
    msg = f"{value!r} is not a rate; write a number per unit of time: 50/s, 600/min"
    raise ValueError(msg)


def format_duration(seconds: float) -> str:
    """The shortest of the notations parse_duration reads."""
    for unit in ("d", "h", "m", "s"):
        if seconds >= _DURATION_UNITS[unit] and (seconds / _DURATION_UNITS[unit]).is_integer():
            return f"{int(seconds / _DURATION_UNITS[unit])}{unit}"
    return f"{seconds * 1000:.15g}ms"


def format_size(size: int) -> str:
    """The shortest notation of a size in bytes."""
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << power and size % (1 << power) == 0:
            return f"{size >> power}{unit}"
    return f"{size}B"


def readable_size(size: int, of: int | None = None) -> str:
    """A size for people, rounded: `1.5 GiB`, and in one unit with what it is a part of: `48 of 64 KiB`."""
    largest = size if of is None else of
    power, unit = next(((p, u) for p, u in ((30, "GiB"), (20, "MiB"), (10, "KiB")) if largest >= 1 << p), (0, "B"))
    part, whole = (f"{figure / (1 << power):,.1f}".removesuffix(".0") for figure in (size, largest))
    if of is not None and size < 1 << power:
        return f"{readable_size(size)} of {whole} {unit}"
    return f"{whole} {unit}" if of is None else f"{part} of {whole} {unit}"


def format_rate(rate: float) -> str:
    """Per second, in a notation parse_rate reads."""
    return f"{rate:.15g}/s"


def _positive(value: float) -> float:
    if value <= 0:
        msg = "must be longer than zero, for example 1s"
        raise ValueError(msg)
    return value


_DURATION_SCHEMA = WithJsonSchema(
    {"type": "string", "pattern": r"^\d+(\.\d+)?\s*(ms|s|min|m|h|d)$", "examples": ["500ms", "10s"]}
)

#: Seconds, written `500ms`, `1s`, `10m`, `2h`, `30d`; zero allowed (`0ms`).
Duration = Annotated[float, BeforeValidator(parse_duration), PlainSerializer(format_duration), _DURATION_SCHEMA]
#: A duration longer than zero.
Interval = Annotated[
    float,
    BeforeValidator(parse_duration),
    AfterValidator(_positive),
    PlainSerializer(format_duration),
    _DURATION_SCHEMA,
]
#: Bytes, written `96KiB`, `1GiB`, `500MB`.
ByteSize = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(format_size),
    WithJsonSchema(
        {"type": "string", "pattern": r"^\d+(\.\d+)?\s*(B|[kKMGT]B|[KMGT]iB)$", "examples": ["96KiB", "1GiB"]}
    ),
]
#: Per second, written `50/s`.
Rate = Annotated[
    float,
    BeforeValidator(parse_rate),
    PlainSerializer(format_rate),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*/\s*(s|min|h)$"}),
]


def is_name(value: object) -> bool:
    """Whether this can be the name of an agent, a device or a publisher."""
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value) is not None


def as_name(text: str) -> str:
    """A name made of any text: `Presse 1 (Ö)` → `Presse-1-O`. Empty where nothing of it can be in a name."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-")[:64]


def _check_name(value: str) -> str:
    if not is_name(value):
        meant = as_name(value)
        msg = f"{value!r} is not a name; use 1 to 64 of A-Z a-z 0-9 _ -" + (f", for example {meant}" if meant else "")
        raise ValueError(msg)
    return value


#: Agent, device and publisher names: `[A-Za-z0-9_-]{1,64}`.
Name = Annotated[str, AfterValidator(_check_name)]


class FromEnvironment(str):
    """Text that came out of a `${NAME}`: the loader makes it, and only such text may be a secret."""

    __slots__ = ()


def _check_secret(value: object) -> object:
    if isinstance(value, SecretStr | FromEnvironment):
        return value if isinstance(value, SecretStr) else str(value)
    msg = (
        "a literal secret in a configuration is refused; put it into a file and name that (`password_file:`), "
        "or write ${NAME} and set the environment variable"
    )
    raise ValueError(msg)


#: A secret out of the environment (`${NAME}`); a literal one is refused.
Secret = Annotated[
    SecretStr,
    BeforeValidator(_check_secret),
    WithJsonSchema({"type": "string", "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$"}),
]


def _against_base(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str) and isinstance(info.context, dict) and "base" in info.context:
        return Path(info.context["base"]) / value
    return value


#: A path; relative ones start at the folder of the file they are written in (validation context `base`).
FilePath = Annotated[Path, BeforeValidator(_against_base), WithJsonSchema({"type": "string"})]


_LONGEST_SECRET = 65_536


def read_secret(path: Path) -> str:
    """The secret in a file, its last line break taken off. Read at every connection, so that it may be rotated.

    Raises OSError, and ValueError (`reason; hint`) where an editor left what nobody sees in it.
    """
    text = _line_of(path).decode("utf-8")
    if text.startswith("\ufeff"):
        msg = "it begins with a byte order mark; save it as UTF-8 without one"
        raise ValueError(msg)
    secret = text.removesuffix("\n").removesuffix("\r")
    if "\n" in secret or "\r" in secret:
        msg = "it has more than one line; the secret is its only line"
        raise ValueError(msg)
    if not secret:
        msg = "it is empty; write the secret into it"
        raise ValueError(msg)
    return secret


def _line_of(path: Path) -> bytes:
    """Of a file only: a pipe would keep the reader waiting, a device has no end."""
    try:
        return read_regular(path, _LONGEST_SECRET)
    except UnfitError as error:
        msg = f"{error.strerror}; the secret is the only line of a file"
        raise ValueError(msg) from None


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reachable from this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_network(value: str) -> str:
    try:
        ip_network(value)
    except ValueError:
        try:
            hint = str(ip_network(value, strict=False))
        except ValueError:
            hint = "192.168.10.0/24, or one address"
        msg = f"{value!r} is no network; write {hint}"
        raise ValueError(msg) from None
    return value


#: A network, `192.168.10.0/24`, or one address.
NetworkRange = Annotated[str, AfterValidator(_check_network)]
