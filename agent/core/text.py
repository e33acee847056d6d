"""Text that every file, message and log can carry."""

from __future__ import annotations


def carried(text: str) -> str:
    """The text itself; with escapes where it has lone surrogates, which no UTF-8 can carry.

    Libraries keep bytes that are no UTF-8 that way, so any text of a device may have them.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text
