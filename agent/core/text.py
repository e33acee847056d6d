"""Text that every file, message and log can carry."""

from __future__ import annotations

import re
import unicodedata

#: Unicode categories that may move a cursor, turn a line around or end it: control, format, surrogates, separators.
_HARMFUL = {"Cc", "Cf", "Cs", "Zl", "Zp"}
#: Of these, what JSON leaves in a text as it is.
_LEFT_BY_JSON = re.compile("[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")

HIDDEN = "…"  #: stands where something is not shown
#: A URL, wherever it stands. One without a host (`serial:///dev/ttyS0?parity=E`) names a part of this machine.
#: A password may hold `/` and `?`: all up to the last `@` belongs to the user.
#: A mark behind it belongs to the sentence.
_URL = re.compile(r"://(?!/)(?P<rest>[^\s\"]*[^\s\":;,.)'])")


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 record`, `1,320 records`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def without_credentials(text: str) -> str:
    """The text with `…` for user and query of each URL in it."""
    return _URL.sub(_hidden, text) if "://" in text else text


def _hidden(match: re.Match[str]) -> str:
    _, user, rest = match["rest"].rpartition("@")
    place, query, _ = rest.partition("?")
    return "://" + (f"{HIDDEN}@" if user else "") + place + (f"?{HIDDEN}" if query else "")


def carried(text: str) -> str:
    """The text itself; with escapes where it has lone surrogates, which no UTF-8 can carry.

    Libraries keep bytes that are no UTF-8 that way, so any text of a device may have them.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def harmless(text: str) -> str:
    r"""The text with everything a terminal might obey as escapes: `\x1b`, `\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(char) if unicodedata.category(char) in _HARMFUL else char for char in text)


def plain(name: str) -> str:
    """A stranger's name as a tag's: `_` where it has what a terminal might obey."""
    if name.isascii() and name.isprintable():
        return name
    return "".join("_" if unicodedata.category(char) in _HARMFUL - {"Cs"} else char for char in name)


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def harmless_json(document: str) -> str:
    """The same JSON, with what a terminal might obey as its escapes."""
    return document if document.isascii() and "\x7f" not in document else _LEFT_BY_JSON.sub(_as_json, document)


def _as_json(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
