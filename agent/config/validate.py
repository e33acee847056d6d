"""Raw data → one model, or its mistakes with file and line.

Validated strictly, so that `"8080"` is no number and `on` no boolean; only text whose type the field decides (out of
the environment, out of a CSV cell) is read as what the field wants.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from agent.config.located import Broken, Found, Map, Place, Text, find, named
from agent.config.shape import keys_at, means
from agent.config.words import Case, Words, words_for
from agent.core.errors import Mistake
from agent.settings.values import FromEnvironment

ModelT = TypeVar("ModelT", bound=BaseModel)
_Error = Mapping[str, Any]

#: Errors of strict validation that stand although lax validation would have converted the value.
_UPHELD = frozenset({"bool_type", "int_type", "float_type", "string_type"})
_OF_TAG = re.compile(r"Value error, tag '([^']+)'")
_NUMBER = re.compile(r"write (a number|-?\d)")
_ABSENT = frozenset({"missing", "extra_forbidden"})  # the last step of their path says what is concerned


def validate(
    model: type[ModelT], data: Map, *, base: Path, section: Sequence[str] = (), mistakes: list[Mistake]
) -> ModelT | None:
    """The model of `data`, or None after noting why not. Relative paths in it start at `base`."""
    context = {"base": str(base)}
    try:
        valid, errors = _errors(model, data, context)
    except Exception as error:  # noqa: BLE001 -- a validator that trips over odd input must not become a traceback
        name = ".".join(section)
        words = f"`{name}` cannot be understood: {type(error).__name__}"
        mistakes.append(Mistake(data.file, data.line, words, "check the types of what stands below it"))
        return None
    if valid is None:
        mistakes.extend(_mistakes(model, data, section, errors))
    return valid


def _errors(model: type[ModelT], data: Map, context: dict[str, str]) -> tuple[ModelT | None, list[_Error]]:
    try:
        return model.model_validate(data, strict=True, context=context), []
    except ValidationError as error:
        strict = error.errors(include_url=False)
    try:
        lax, loose = model.model_validate(data, context=context), []
    except ValidationError as error:
        lax, loose = None, error.errors(include_url=False)
    seen = {(error["loc"], error["type"]) for error in loose}
    upheld = [error for error in strict if _stands(error) and (error["loc"], error["type"]) not in seen]
    covered = {error["loc"] for error in upheld}
    errors: list[_Error] = [*upheld, *(error for error in loose if error["loc"] not in covered)]
    return (lax, []) if lax is not None and not errors else (None, errors)


def _stands(error: _Error) -> bool:
    value = error["input"]
    return (
        error["type"] in _UPHELD
        and isinstance(value, bool | int | float | str)
        and not isinstance(value, Text | FromEnvironment)
    )


def _mistakes(model: type[BaseModel], data: Map, section: Sequence[str], errors: Iterable[_Error]) -> list[Mistake]:
    groups: dict[Any, list[tuple[Case, Place]]] = {}
    errors = list(errors)
    instead = {(error["loc"][:-1], str(error["loc"][-1])) for error in errors if error["type"] == "extra_forbidden"}
    for number, error in enumerate(errors):
        loc = error["loc"]
        if error["type"] == "missing" and any(at == loc[:-1] and means(key, loc[-1]) for at, key in instead):
            continue  # it stands there under another name, which is told
        found = _in_tag(find(data, loc[:-1] if error["type"] in _ABSENT else loc), error)
        if isinstance(found.value, Broken):
            continue
        place = found.place
        if error["type"] == "extra_forbidden" and isinstance(found.value, Map):
            place = found.value.place(loc[-1])
        keys = keys_at(model, found.path[:-1] if error["type"] == "invalid_key" else found.path)
        path = (*found.path, loc[-1]) if error["type"] == "extra_forbidden" else found.path
        case = Case(error, found, ".".join(named(step) for step in (*section, *path)), keys)
        union = _union(loc[:-1] if error["type"] in _ABSENT else loc, found.path)
        groups.setdefault(number if union is None else ("union", union), []).append((case, place))
    return [mistake for group in groups.values() for mistake in _one_of(group)]


def _in_tag(found: Found, error: _Error) -> Found:
    """What a device says of one of its tags stands at that tag."""
    said = _OF_TAG.match(error["msg"]) if error["type"] == "value_error" else None
    tags = found.value.get("tags") if said is not None and isinstance(found.value, Map) else None
    if said is None or not isinstance(tags, Map) or said[1] not in tags:
        return found
    inside = find(tags, (said[1],))
    return inside._replace(path=(*found.path, "tags", *inside.path))


def _union(loc: Sequence[Any], path: Sequence[Any]) -> tuple[Any, ...] | None:
    """The path of the union an error lies in: pydantic names the branch behind it. None where there is none."""
    for index, step in enumerate(loc):
        if index >= len(path) or (step != path[index] and step != str(path[index])):
            return tuple(path[:index]) if step != "[key]" else None
    return None


def _one_of(group: list[tuple[Case, Place]]) -> list[Mistake]:
    """Mistakes of one value. Where it fits no branch of a union, those of the branch that was meant."""
    if len(group) > 1:
        inside = [(case, place) for case, place in group if _went_in(case, group)]
        if not inside:
            words = [words_for(case) for case, _ in group]
            hints = list(dict.fromkeys(word.hint for word in words if word.hint))
            if any(_NUMBER.match(hint) for hint in hints):
                hints = [hint for hint in hints if not hint.startswith("write a whole number")]
            hint = ", or ".join([*hints[:1], *(other.removeprefix("write ") for other in hints[1:])])
            return [_mistake(group[0][1], Words(words[0].reason, hint))]
        group = inside
    return [_mistake(place, words_for(case)) for case, place in group]


def _went_in(case: Case, group: list[tuple[Case, Place]]) -> bool:
    shortest = min(len(other.found.path) for other, _ in group)
    return len(case.found.path) > shortest or case.error["type"] in _ABSENT


def _mistake(place: Place, words: Words) -> Mistake:
    return Mistake(place.file, place.line, words.reason, words.hint)
