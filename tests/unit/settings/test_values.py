from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from agent.settings.values import (
    ByteSize,
    Duration,
    FilePath,
    FromEnvironment,
    Interval,
    Name,
    Rate,
    Secret,
    as_name,
    format_duration,
    is_loopback,
    is_name,
    parse_duration,
    read_secret,
    readable_size,
)

DURATION: TypeAdapter[float] = TypeAdapter(Duration)
INTERVAL: TypeAdapter[float] = TypeAdapter(Interval)
SIZE: TypeAdapter[int] = TypeAdapter(ByteSize)
RATE: TypeAdapter[float] = TypeAdapter(Rate)
NAME: TypeAdapter[str] = TypeAdapter(Name)
SECRET: TypeAdapter[Any] = TypeAdapter(Secret)
PATH: TypeAdapter[Path] = TypeAdapter(FilePath)


@pytest.mark.parametrize(
    ("size", "of", "words"),
    [
        (0, None, "0 B"), (1536, None, "1.5 KiB"), (64 << 10, None, "64 KiB"), (3 << 29, None, "1.5 GiB"),
        (64 << 10, 64 << 10, "64 of 64 KiB"), (700 << 20, 1 << 30, "700 MiB of 1 GiB"), (0, 1 << 20, "0 B of 1 MiB"),
    ],
)  # fmt: skip
def test_sizes_for_people(size, of, words):
    """Rounded, and in one unit with what it is a part of as far as there is something to be seen."""
    assert readable_size(size, of) == words


def said(adapter: TypeAdapter[Any], value: object) -> str:
    """The message of the mistake."""
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(value)
    return str(caught.value.errors()[0]["msg"])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("1s", 1), ("1.5s", 1.5), ("10m", 600), ("10min", 600), ("2h", 7200), ("30d", 2_592_000),
     (" 5 s ", 5), ("0ms", 0)],
)  # fmt: skip
def test_durations(text, seconds):
    """A number and its unit."""
    assert DURATION.validate_python(text) == seconds


@pytest.mark.parametrize(
    "wrong",
    [
        True,
        None,
        "",
        "s",
        "-1s",
        "1e3s",
        "1h30m",
        "nans",
        "٣s",
        "9" * 400 + "d",
        [],
        {},
    ],
)
def test_durations_say_their_unit(wrong):
    """A bare number is refused, for nobody knows its unit; the message says what to write."""
    assert "write a number with a unit: 250ms, 1s, 10m, 2h, 30d" in said(DURATION, wrong)


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        (5, "5ms, or 5s for seconds"), (0.5, "0.5ms, or 0.5s for seconds"), ("5", "5ms, or 5s for seconds"),
        ("1 sec", "1s"), ("1S", "1s"), ("1,5s", "1.5s"), ("10 minutes", "10m"), ("200 millis", "200ms"),
        ("250 msec", "250ms"), ("2hrs", "2h"), ("1 Day", "1d"),
    ],
)  # fmt: skip
def test_durations_as_others_write_them(wrong, meant):
    """What was meant is said."""
    assert said(DURATION, wrong).endswith(f"write {meant}")
    assert DURATION.validate_python(meant.partition(",")[0]) > 0


def test_intervals_are_longer_than_zero():
    """An interval of zero would be a busy loop."""
    assert "longer than zero" in said(INTERVAL, "0ms")
    assert INTERVAL.validate_python("1ms") == 0.001


@given(st.integers(0, 10**9))
def test_durations_come_back(milliseconds):
    """What is written out is read as the same."""
    seconds = milliseconds / 1000
    assert round(parse_duration(format_duration(seconds)) * 1000) == milliseconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0ms"), (0.25, "250ms"), (1, "1s"), (90, "90s"), (600, "10m"), (7200, "2h"), (86400, "1d")],
)
def test_durations_are_written_short(seconds, text):
    """The largest unit that is exact."""
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [("100B", 100), ("96KiB", 98_304), ("64MiB", 64 << 20), ("1GiB", 1 << 30), ("1.5GiB", 3 << 29),
     ("500MB", 500_000_000), ("1 kB", 1000), ("1KB", 1000), ("1TiB", 1 << 40), ("2TB", 2 * 10**12), ("3GB", 3 * 10**9)],
)  # fmt: skip
def test_sizes(text, size):
    """A number and its unit, decimal or binary."""
    assert SIZE.validate_python(text) == size


@pytest.mark.parametrize("wrong", [1024, "1024", "1G", "-1B", "1 gib", "MiB", "9" * 400 + "GiB", None, True])
def test_sizes_say_their_unit(wrong):
    """A bare number is refused; the message says what to write."""
    assert "write a number with a unit: 96KiB, 64MiB, 1GiB" in said(SIZE, wrong)


def test_rates():
    """So many per unit of time."""
    assert [RATE.validate_python(text) for text in ("50/s", "600/min", "3600 / h", "0.5/s")] == [50, 10, 1, 0.5]
    for wrong in (50, "50", "50/m", "50/d", "/s", None):
        assert "write a number per unit of time: 50/s, 600/min" in said(RATE, wrong)


@pytest.mark.parametrize("name", ["gw-01", "a", "A_b-9", "x" * 64])
def test_names(name):
    """1 to 64 of letters, digits, _ and -."""
    assert NAME.validate_python(name) == name


@pytest.mark.parametrize("wrong", ["", "x" * 65, "a b", "a/b", "a+", "#", "冲压", "a\n", "a.b", "é"])
def test_wrong_names(wrong):
    """Nothing that would break a topic; where a name can be made of it, it is offered."""
    words = said(NAME, wrong)
    assert "use 1 to 64 of A-Z a-z 0-9 _ -" in words
    assert ("for example" in words) == bool(as_name(wrong))
    assert not as_name(wrong) or is_name(as_name(wrong))


@pytest.mark.parametrize("literal", ["hunter2", "", 5, None])
def test_literal_secrets_are_refused(literal):
    """A secret in a file that is committed and mailed is none; the message says where it goes, not what it was."""
    message = said(SECRET, literal)
    assert "password_file" in message
    assert "${NAME}" in message
    assert "hunter2" not in message


def test_secrets_of_the_environment():
    """Text out of a variable may be a secret, and does not show itself."""
    secret = SECRET.validate_python(FromEnvironment("hunter2"))
    assert secret.get_secret_value() == "hunter2"
    assert "hunter2" not in f"{secret} {secret!r} {SECRET.dump_json(secret)!r}"


def test_paths_start_at_the_file_they_stand_in(tmp_path):
    """Relative paths belong to the folder of the configuration file; absolute ones stay."""
    assert PATH.validate_python("ca.pem", context={"base": tmp_path}) == tmp_path / "ca.pem"
    assert PATH.validate_python("/etc/ca.pem", context={"base": tmp_path}) == Path("/etc/ca.pem")
    assert PATH.validate_python("ca.pem") == Path("ca.pem")


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        ("hunter2", "hunter2"),
        ("hunter2\n", "hunter2"),
        ("hunter2\r\n", "hunter2"),
        (" a b \n", " a b "),
        ("ü\n", "ü"),
    ],
)
def test_secret_files(tmp_path, content, secret):
    """The last line break of a secret's file is the editor's, everything else the secret's."""
    path = tmp_path / "secret"
    path.write_bytes(content.encode())
    assert read_secret(path) == secret


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xef\xbb\xbfhunter2\n", "byte order mark"),
        (b"", "it is empty; write the secret into it"),
        (b"\n", "it is empty"),
        (b"hunter2\n\n", "more than one line"),
        (b"hunter2\nuser\n", "more than one line"),
        (b"hunter2\r\nuser", "more than one line"),
        (b"\xff\xfeh\x00", "utf-8"),
    ],
)
def test_what_nobody_sees_in_a_secret_is_refused(tmp_path, content, reason):
    """An editor's byte order mark or second line would be part of the password; it is named, not sent."""
    path = tmp_path / "secret"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        read_secret(path)


@pytest.mark.parametrize("adapter", [DURATION, INTERVAL, SIZE, RATE], ids=["duration", "interval", "size", "rate"])
@given(
    text=st.from_regex(
        re.compile(r"[0-9]{1,3}(\.[0-9])?( )?(ms|s|m|min|h|d|B|kB|KiB|GB|/s|/min|/h|x)?"), fullmatch=True
    )
)
def test_schema_agrees(adapter, text):
    """An editor that checks against the JSON Schema accepts what the agent accepts."""
    try:
        adapter.validate_python(text)
        accepted = True
    except ValidationError as error:
        accepted = "longer than zero" in str(error)  # a pattern cannot tell
    valid = jsonschema.Draft202012Validator(adapter.json_schema()).is_valid(text)
    assert valid is accepted


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("gw.plant", False)],
)
def test_loopback_is_recognised(host: str, *, expected: bool) -> None:
    """Only addresses that cannot be reached from outside count."""
    assert is_loopback(host) is expected
