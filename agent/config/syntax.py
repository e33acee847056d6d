"""What the YAML parser says, in words that tell an integrator what to write. Pure."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import yaml
from yaml.reader import ReaderError

from agent.config.prose import is_ours
from agent.core.errors import Mistake


class _Advice(NamedTuple):
    reason: str
    hint: str


_INDENT = "entries of one mapping begin in the same column; indent with spaces"
_ADVICE: tuple[tuple[str, str, str], ...] = (
    (
        "mapping values are not allowed",
        "a colon where none can stand",
        "put text with `: ` into quotes, or check the indentation of this line and the one above",
    ),
    (
        "could not find expected ':'",
        "a key without a colon",
        "write `key: value`, with a space after the colon",
    ),
    (
        "did not find expected key",
        "this does not line up with what stands above",
        _INDENT,
    ),
    (
        "did not find expected '-' indicator",
        "this does not line up with the list above",
        "items of one list begin with `- ` in the same column",
    ),
    (
        "did not find expected ',' or ']'",
        "a list in [brackets] is not finished",
        "separate items by commas and close it with ]",
    ),
    (
        "did not find expected ',' or '}'",
        "a mapping in {braces} is not finished",
        "separate entries by commas and close it with }",
    ),
    (
        "did not find expected node content",
        "a value is missing here, or a bracket is not closed",
        "write a value, or put it into quotes",
    ),
    (
        "found unexpected end of stream",
        "text in quotes is never closed",
        "close it with the quote it begins with",
    ),
    (
        "found unknown escape character",
        "an unknown escape after a backslash",
        "in \"double quotes\" write \\\\ for a backslash, or use 'single quotes'",
    ),
    (
        "did not find expected hexdecimal number",
        "an unfinished escape after a backslash",
        "in \"double quotes\" write \\\\ for a backslash, or use 'single quotes'",
    ),
    (
        "block sequence entries are not allowed",
        "a list item where none can stand",
        "begin the list on its own line below the key",
    ),
    (
        "found duplicate %YAML directive",
        "a second %YAML line",
        "leave it out",
    ),
    (
        "found undefined tag handle",
        "a tag with `!` that is not known here",
        "put text that begins with ! into quotes",
    ),
    (
        "did not find expected alphabetic or numeric character",
        "`*` or `&` without a name",
        'put text that begins with * or & into quotes: "*"',
    ),
    (
        "did not find expected whitespace or line break",
        "a space is missing here",
        "put the text into quotes",
    ),
    (
        "did not find expected <document start>",
        "text where the document should have ended",
        _INDENT,
    ),
    (
        "incompatible YAML document",
        "a version of YAML this is not",
        "leave the %YAML line out",
    ),
)
_ADDRESS = re.compile(r"\b(holding|input|coil|discrete):\s+([\d.]+)")
#: In {braces}, text that ends at a colon with a space, or where a comment begins.
_IN_BRACES = re.compile(r"([\w-]+): [^\s,{}\[\]\"'][^,{}\[\]\"']*?(: | #)")
#: A full-width colon behind a key, a comma before one, a brace that opens a value; in text they may stand.
_WIDE = re.compile(r"^\s*(?:- )?[\w-]+\uff1a|\uff0c\s*[A-Za-z_]+\s*[:\uff1a]|:\s*[\uff5b\uff3b]")
#: What git leaves where two changes meet; and what is a space to people alone, where YAML wants one.
_CONFLICT = re.compile(r"<{7} |={7}$|>{7} ")
_NO_BREAK = re.compile(r" *[\u00a0\u2007\u202f\u3000]|[\s-]*[\w-]+:[\u00a0\u2007\u202f\u3000]")
_TEMPLATE = re.compile(r"\{\{|\{%")
#: The name of a range of tags.
_RANGED = re.compile(r"(?<![\w\"'-])[\w-]*\{n(?::\d+)?\}[\w-]*(?![\w\"'])")
_NO_SPACE = re.compile(r"(\s*(?:- )?)([\w-]+):([^\s:/][^:]*)")
_NO_COLON = re.compile(r"(\s*(?:- )?)([\w-]+) ([^\s:#]+)")
_STARTS = {
    "\t": _Advice("a tab", "indent with spaces"),
    "@": _Advice("a value that begins with @", "put it into quotes"),
    "`": _Advice("a value that begins with `", "put it into quotes"),
    "%": _Advice("a value that begins with %", "put it into quotes"),
}


def syntax_mistake(error: yaml.YAMLError, text: str, file: str, shift: int = 0) -> Mistake:
    """The parser's error as a mistake with a line."""
    if isinstance(error, ReaderError):
        return control_character(text, file, shift)
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = str(getattr(error, "problem", None) or error)
    line = mark.line if mark is not None else 0
    advice = next((_Advice(reason, hint) for start, reason, hint in _ADVICE if start in problem), None)
    lines = text.splitlines() or [""]
    if "unexpected end of stream" in problem and (start := getattr(error, "context_mark", None)) is not None:
        line = start.line  # where the quote opens, not the end of the file
    elif mark is not None and line < len(lines) and mark.column < len(lines[line]):
        advice = _at(lines[line], mark.column) if "cannot start any token" in problem else advice
    line = min(line, len(lines) - 1)
    if "\t" in lines[line][: len(lines[line]) - len(lines[line].lstrip())]:
        advice = _STARTS["\t"]
    reason, hint = advice or _Advice(problem, "put text with special characters into quotes")
    if (foreign := _foreign(lines, line)) is not None:
        line, reason, hint = foreign
    elif (address := _ADDRESS.search(lines[line])) is not None:
        hint = f'write an address in quotes, without a space: "{address[1]}:{address[2]}"'
    elif "not finished" in reason and (ranged := _RANGED.search(lines[line])) is not None:
        hint = f'put the name into quotes: "{ranged[0]}"'
    elif "not finished" in reason and (inner := _IN_BRACES.search(lines[line])) is not None:
        hint = f'put text with "{inner[2]}" into quotes: {inner[1]}: "…"'
    elif "not finished" in reason and "${" in lines[line]:
        hint = 'inside of {braces} and [brackets] put it into quotes: "${NAME}"'
    elif "colon" in reason and (above := _unfinished(lines[:line])) is not None:
        line, reason, hint = above
    opened = getattr(error, "context_mark", None)
    if opened is not None and opened.line < line and "not finished" in reason:
        reason += f"; it was opened in line {opened.line + 1 + shift}"
    return Mistake(file, line + 1 + shift, f"not YAML: {reason}", hint)


def _foreign(lines: list[str], line: int) -> tuple[int, str, str] | None:
    """Line, reason and hint where something stands in the file that no YAML is."""
    if (conflict := _first(_CONFLICT, range(len(lines)), lines)) is not None:
        hint = "keep one of them, and remove the lines with <<<<<<<, ======= and >>>>>>>"
        return conflict, "git left two versions here", hint
    if (space := _first(_NO_BREAK, range(line, -1, -1), lines)) is not None:
        return space, "a no-break space, as on web pages", "write ordinary spaces instead"
    if _TEMPLATE.search(lines[line]) is not None:
        hint = "fill it in before; the agent itself takes ${NAME} from the environment"
        return line, "a template ({{ … }} or {% … %}) that was not filled in", hint
    wide = next((number for number in (line, line - 1) if number >= 0 and _WIDE.search(lines[number])), None)
    if wide is not None:
        hint = "write : , { } [ ] as on an English keyboard, a space behind : and ,"
        return wide, "a colon, comma or bracket of a Chinese keyboard", hint
    return None


def _first(pattern: re.Pattern[str], numbers: range, lines: list[str]) -> int | None:
    """The first of these lines that begins so."""
    return next((number for number in numbers if pattern.match(lines[number])), None)


def _unfinished(above: list[str]) -> tuple[int, str, str] | None:
    """Line, reason and hint where the last line above is `key:value` or `key value`: it is text to YAML."""
    for number in range(len(above) - 1, -1, -1):
        text = above[number].rstrip()
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        for pattern, what in ((_NO_SPACE, "a space is missing after the colon"), (_NO_COLON, "a colon is missing")):
            if (match := pattern.fullmatch(text)) is not None:
                return number, what, f"write `{match[2]}: {match[3] if is_ours(above) else '…'}`"
        return None
    return None


def _at(line: str, column: int) -> Any:
    return _STARTS.get(line[column], _Advice(f"a value that begins with {line[column]}", "put it into quotes"))


def control_character(text: str, file: str, shift: int = 0) -> Mistake:
    """The mistake for a character that no text has."""
    for number, line in enumerate(text.split("\n"), start=1):
        for char in line:
            if (
                not (char.isprintable() or char in "\t\r\u0085\u00a0\ufeff\u2028\u2029")
                and not "\u00a0" <= char <= "\ud7ff"
            ):
                return Mistake(file, number + shift, f"not YAML: the control character U+{ord(char):04X}", "remove it")
    return Mistake(file, 1 + shift, "not YAML: a character that no text has", "save the file as UTF-8 text")
