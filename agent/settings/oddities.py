"""What is allowed in the keys that every tag has, but probably not meant. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agent.settings.tags import TagBase
from agent.settings.ucum import is_ucum, ucum

#: Units that are some, and mostly meant for others.
_OTHERWISE = {
    "C": "'C' is the coulomb; write \"Cel\" for degrees Celsius",
    "F": "'F' is the farad; write \"[degF]\" for degrees Fahrenheit",
}


def odd_keys(tags: Mapping[str, TagBase]) -> Iterator[str]:
    """`tags.NAME.key: words`; what several tags have in common is told once."""
    units: dict[str, list[str]] = {}
    for name, tag in tags.items():
        if tag.scale == 0:
            yield f"tags.{name}.scale: 0 makes every value 0; leave `scale` out, or write the factor"
        if tag.unit is not None:
            units.setdefault(tag.unit, []).append(name)
    for unit, names in units.items():
        more = f" (and {len(names) - 1:,} more tags)" if len(names) > 1 else ""
        if unit in _OTHERWISE:
            yield f"tags.{names[0]}.unit{more}: {_OTHERWISE[unit]}"
        if is_ucum(unit):
            continue
        meant = ucum(unit)
        hint = f'write "{meant}"' if meant else "put a unit of your own into braces, {piece}"
        yield f"tags.{names[0]}.unit{more}: {unit!r} is no unit in UCUM notation; {hint}"
