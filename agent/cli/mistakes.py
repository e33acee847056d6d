"""Mistakes of a configuration: where, what, what to write instead, and the line with a caret under what is wrong."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import IO, ParamSpec

from agent.config.prose import as_data, excerpt, grouped, others
from agent.core.errors import ConfigError, Mistake
from agent.core.text import harmless, harmless_json

P = ParamSpec("P")

_MOST = 200  #: of more, the first ones are shown
_BOLD, _RED, _CYAN, _PLAIN = "\x1b[1m", "\x1b[31m", "\x1b[36m", "\x1b[0m"


def report(error: ConfigError, out: IO[str]) -> None:
    """Write every kind of mistake as `file:line: what was found -> what to write`, and the number of all."""
    show(error.mistakes, out)
    number_of_all = len(error.mistakes)
    out.write(f"{number_of_all} mistake{'s' if number_of_all > 1 else ''}\n")


def refusable(command: Callable[P, int]) -> Callable[P, int]:
    """A command that ends with 2 and reports what the user got wrong, wherever in it that comes to light.

    Where `json` is asked of it, as a keyword or in its wish, the mistakes are its one document too.
    """

    @wraps(command)
    def told(*given: P.args, **keys: P.kwargs) -> int:
        try:
            return command(*given, **keys)
        except ConfigError as error:
            report(error, sys.stderr)
            if keys.get("json") is True or any(getattr(one, "json", None) is True for one in given):
                document = {"ok": False, "mistakes": [as_data(one) for one in grouped(error.mistakes)]}
                sys.stdout.write(harmless_json(json.dumps(document, indent=2)) + "\n")
            return 2

    return told


@contextmanager
def on_command_line(hint: str = "") -> Iterator[None]:
    """What a parser says of a word of the command line (`reason; hint`) is a mistake there."""
    try:
        yield
    except ValueError as error:
        reason, _, own = str(error).partition("; ")
        raise ConfigError("command line", None, reason, hint or own) from None


def show(mistakes: Iterable[Mistake], out: IO[str], before: str = "") -> None:
    """Each kind of mistake (or warning) with the line it stands in; `before` begins each."""
    colour = out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    kinds = grouped(mistakes)
    for told in kinds[:_MOST]:
        shown = excerpt(told.mistake)
        column = None if shown is None else shown.column
        out.write(before + _coloured(harmless(told.mistake.at(column)), colour=colour) + "\n")
        if shown is not None:
            number = f"{told.mistake.line:>6} | "
            caret = (
                " " * (len(number) - 2)
                + "| "
                + " " * shown.start
                + _in(_RED, "^" * max(1, shown.end - shown.start), colour=colour)
            )
            out.write(f"{number}{shown.line}\n{caret}\n")
        if more := others(told):
            out.write(f"       {more}\n")
    if len(kinds) > _MOST:
        out.write(f"… and {len(kinds) - _MOST} more\n")


def _coloured(text: str, *, colour: bool) -> str:
    where, colon, rest = text.partition(": ")
    what, arrow, hint = rest.rpartition(" -> ")
    if not arrow:
        what, hint = rest, ""
    return _in(_BOLD, where, colour=colour) + colon + what + arrow + _in(_CYAN, hint, colour=colour)


def _in(style: str, text: str, *, colour: bool) -> str:
    return f"{style}{text}{_PLAIN}" if colour and text else text
