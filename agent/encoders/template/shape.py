"""Shapes: YAML with `{variables}` in its texts → a function that makes the JSON value. Pure; nothing is executed.

A text that is nothing but one variable stands for its value, a number stays a number. In any other text the variables
are written into it. `{{` and `}}` are braces.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Collection, Iterator, Mapping

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from agent.core.flow import Reading
from agent.encoders.common.messages import encode
from agent.encoders.template.variables import GETTERS, Getter, Scope

READINGS = "readings"

_Path = tuple[str | int, ...]
_PLAIN = (str, int, float, bool, type(None))


def check_shape(shape: object, words: Collection[str]) -> list[str]:
    """The variables a shape names. ValidationError with the place of every mistake."""
    found: list[str] = []
    errors: list[InitErrorDetails] = []
    for path, text in _texts(shape, ()):
        try:
            if not isinstance(text, _PLAIN):
                hint = "use mappings, lists, texts, numbers and true or false"
                raise ValueError(f"{text!r} cannot stand in a message; {hint}")  # noqa: TRY004 - words for the user
            if isinstance(text, float) and not math.isfinite(text):
                raise ValueError(f"{text!r} is no number of JSON; write null, or put it into quotes")
            if isinstance(text, str):
                found += [name for _, name in _parse(text, words) if name is not None]
        except ValueError as error:
            detail = PydanticCustomError("value_error", "{error}", {"error": str(error)})
            errors.append(InitErrorDetails(type=detail, loc=path, input=text))
    if errors:
        raise ValidationError.from_exception_data("shape", errors)
    return found


def clash(shape: object, names: Mapping[str, str]) -> str | None:
    """A key that one mapping of the shape has twice, as far as keys are made of these names alone."""
    if isinstance(shape, list):
        return next((found for inner in shape if (found := clash(inner, names)) is not None), None)
    if not isinstance(shape, dict):
        return None
    seen: set[str] = set()
    for key in map(_key, shape):
        parts = list(string.Formatter().parse(key))
        if all(name is None or name in names for _, name, _, _ in parts):
            text = "".join(literal + (names[name] if name is not None else "") for literal, name, _, _ in parts)
            if text in seen:
                return text
            seen.add(text)
    return clash(list(shape.values()), names)


def _key(key: object) -> str:
    """A key of YAML as JSON has it: `true`, not `True`."""
    return key if isinstance(key, str) else encode(key).decode()


def _texts(shape: object, path: _Path) -> Iterator[tuple[_Path, object]]:
    """The leaves, and the keys, with the place they stand at."""
    if isinstance(shape, dict):
        for key, inner in shape.items():
            yield (*path, key), key
            yield from _texts(inner, (*path, key))
    elif isinstance(shape, list):
        for at, inner in enumerate(shape):
            yield from _texts(inner, (*path, at))
    else:
        yield path, shape


def _parse(text: str, words: Collection[str]) -> list[tuple[str, str | None]]:
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is no template: {error}; write {{{{ and }}}} for braces") from None
    for _, name, spec, conversion in parts:
        if name is not None and (name not in words or spec or conversion):
            known = ", ".join(sorted(words))
            raise ValueError(f"{text!r}: {{{name}}} is not known here; known are {known}")
        if name == READINGS and text != f"{{{READINGS}}}":
            raise ValueError(
                f'{text!r}: the list of readings cannot be written into a text; write "{{{READINGS}}}" alone'
            )
    return [(literal, name) for literal, name, _, _ in parts]


class Shape:
    """A shape that was checked, as a function of message and reading."""

    def __init__(self, shape: object) -> None:
        self.make: Getter = _compile(shape)


def _compile(shape: object) -> Getter:
    if isinstance(shape, dict):
        return _mapping(dict(shape))
    if isinstance(shape, list):
        items = [_compile(inner) for inner in shape]
        return lambda scope, reading: [item(scope, reading) for item in items]
    if isinstance(shape, str):
        return _text(shape)
    return lambda _scope, _reading: shape


def _mapping(shape: dict[object, object]) -> Getter:
    values = {_key(key): _compile(inner) for key, inner in shape.items()}
    if not any("{" in key or "}" in key for key in values):
        return lambda scope, reading: {key: value(scope, reading) for key, value in values.items()}
    fixed = frozenset(key for key in values if "{" not in key and "}" not in key)
    pairs = [(None if key in fixed else _written(key), key, value) for key, value in values.items()]

    def make(scope: Scope, reading: Reading) -> object:
        made: dict[str, object] = {}
        for write, key, value in pairs:
            text = key
            if write is not None:
                text = write(scope, reading)
                # a name that nobody knew when the configuration was read replaces no other key
                while text in made or text in fixed:
                    text += "_"
            made[text] = value(scope, reading)
        return made

    return make


def _text(text: str) -> Getter:
    parts = list(string.Formatter().parse(text))
    if len(parts) == 1 and not parts[0][0] and parts[0][1] is not None:
        return GETTERS[parts[0][1]]
    if any(name is not None for _, name, _, _ in parts):
        return _written(text)
    plain = "".join(literal for literal, _, _, _ in parts)
    return lambda _scope, _reading: plain


def _written(text: str) -> Callable[[Scope, Reading], str]:
    """The text with its variables written into it; texts as they are, anything else as JSON."""
    parts = [
        (literal, GETTERS[name] if name is not None else None) for literal, name, _, _ in string.Formatter().parse(text)
    ]

    def write(scope: Scope, reading: Reading) -> str:
        return "".join(literal + (_as_text(get(scope, reading)) if get is not None else "") for literal, get in parts)

    return write


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else encode(value).decode()
