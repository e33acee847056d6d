"""`devices:` and `publishers:` of all files, put together by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from agent.config.files import SourceFile
from agent.config.located import Broken, Map, Place, named
from agent.config.meant import by_name
from agent.config.words import show
from agent.core.errors import Mistake
from agent.settings.values import Name

_NAME = TypeAdapter(Name)


class WrittenPart(NamedTuple):
    """One device or publisher as it stands in a file."""

    data: Map
    source: SourceFile
    place: Place  #: of its name


def collect(sources: Sequence[SourceFile], section: str, mistakes: list[Mistake]) -> dict[str, WrittenPart]:
    """The entries of one section by name; of two with one name the first stays."""
    entries: dict[str, WrittenPart] = {}
    for source in sources:
        found = source.data.get(section)
        if isinstance(found, Broken) or section not in source.data:
            continue
        if not isinstance(found, Map):
            hint = by_name(found) or f"write `NAME:` below it and its keys below that, or leave `{section}:` out"
            place = source.data.place(section)
            mistakes.append(Mistake(*place, f"`{section}`: {show(found)} is not a mapping", hint))
            continue
        for name, data in found.items():
            place = found.place(name)
            wrong = wrong_entry(section, name, data, entries.get(name))
            if wrong is None:
                entries[name] = WrittenPart(data, source, place)
            elif not isinstance(data, Broken):
                mistakes.append(Mistake(*place, *wrong))
    return entries


def wrong_entry(section: str, name: object, data: object, first: WrittenPart | None) -> tuple[str, str] | None:
    """Reason and hint where a name or its data cannot be; `first` is the entry that has the name already."""
    try:
        _NAME.validate_python(name, strict=True)
    except ValidationError as error:
        context = error.errors(include_url=False)[0].get("ctx") or {}
        text = str(context.get("error") or f'{named(name)} is not text; write it in quotes: "{named(name)}"')
        reason, _, hint = text.partition("; ")
        if section == "devices" and isinstance(name, str) and "for example" in hint:
            hint += f", and keep {name!r} as its `description`"
        return f"`{section}`: {reason}", hint
    if section == "devices" and str(name).startswith("_"):
        return f"`devices.{name}`: names that begin with `_` are the agent's own", "take another name"
    if first is not None:
        reason = f"`{section}.{name}` stands here a second time; the first is in {first.place}"
        return reason, "give one of them another name"
    if not isinstance(data, Map):
        return f"`{section}.{name}`: {show(data)} is not a mapping", "write its keys below it, `type:` first"
    return None
