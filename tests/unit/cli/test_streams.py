"""Names of every language on a terminal, in a file and in a pipe."""

from __future__ import annotations

import io

from agent.cli import unicode_safe


class _Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


def test_a_locale_that_has_no_such_letters_ends_no_command() -> None:
    """A file is UTF-8, as the commands read it; a terminal keeps its own encoding."""
    for raw, said in ((io.BytesIO(), "Öl 温度".encode()), (_Terminal(), b"\\xd6l " + "温度".encode("gbk"))):
        stream = io.TextIOWrapper(raw, encoding="gbk")
        unicode_safe(stream)
        stream.write("Öl 温度")
        stream.flush()
        assert raw.getvalue() == said
