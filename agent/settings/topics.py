"""Templates of topics: parsed when the configuration is read, with the variables a location offers. Pure."""

from __future__ import annotations

import re
import string
from collections.abc import Collection, Mapping

#: ISA-95 names of the levels of a location, outermost first.
ISA_95 = ("enterprise", "site", "area", "line", "cell")
#: What a topic of one device may name.
DEVICE_VARIABLES = ("root", "agent", "location", *ISA_95, "device")
#: What a topic of one tag may name.
TAG_VARIABLES = (*DEVICE_VARIABLES, "tag")
#: MQTT 5.0, 1.5.4: a text is at most this many bytes.
MAX_TOPIC_BYTES = 65535

#: AWS IoT Core's Basic Ingest: a message goes to the rule of this name, and no further. These levels do not count.
_RULES = re.compile(r"\$aws/rules/[A-Za-z0-9_]+(/|$)")
_FORBIDDEN = re.compile(r"[+#\x00-\x1f\x7f]")


def whole(topic: str) -> str:
    """The topic of a catalogue, where this is one of its parts; every other as it is."""
    above, _, last = topic.rpartition("/")
    return above if last.isdecimal() and above.endswith("/tags") else topic


class Template:
    """Text with `{variables}`. No expressions, attributes or formats: there is nothing to execute."""

    def __init__(self, text: str, variables: Collection[str], *, word: str = "topic") -> None:
        """Raise ValueError (`reason; hint`) where it cannot be one."""
        self.text = text
        try:
            parts = list(string.Formatter().parse(text))
        except ValueError as error:
            raise ValueError(f"{text!r} is not a template: {error}; write {{{{ and }}}} for braces") from None
        self.parts: list[tuple[str, str | None]] = []
        for literal, name, spec, conversion in parts:
            if name is not None and (spec or conversion or name not in variables):
                known = ", ".join(f"{{{one}}}" for one in variables)
                shown = name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
                raise ValueError(f"{{{shown}}} is not known in a {word}; known are {known}")
            self.parts.append((literal, name))
        self.names = frozenset(name for _, name in self.parts if name is not None)

    def render(self, values: Mapping[str, str]) -> str:
        """The text with the values put in."""
        return "".join(literal + (values[name] if name is not None else "") for literal, name in self.parts)


def topic_template(text: str, variables: Collection[str] = TAG_VARIABLES) -> Template:
    """The template of a topic. ValueError (`reason; hint`) where no topic can come of it (MQTT 5.0, 4.7)."""
    template = Template(text, variables)
    check_levels(text, "topic")
    return template


def filter_of(template: Template, *, root: str, agent: str) -> str:
    """A filter for every topic that comes of the template (MQTT 5.0, 4.7.1)."""
    fixed = {"root": root, "agent": agent}
    levels: list[str] = []
    for level in template.render({name: fixed.get(name, f"{{{name}}}") for name in template.names}).split("/"):
        if "{location}" in level or "{tag}" in level:  # these may be several levels
            return "/".join([*levels, "#"])
        levels.append("+" if "{" in level else level)
    return "/".join(levels)


def under_rules(topic: str) -> bool:
    """Whether it is one of AWS IoT Core's Basic Ingest, `$aws/rules/NAME/…`: nothing is retained there."""
    return _RULES.match(topic) is not None


def slashes(topic: str) -> int:
    """How many there are, as AWS IoT Core counts them."""
    return _RULES.sub("", topic, count=1).count("/") if under_rules(topic) else topic.count("/")


def check_levels(text: str, word: str) -> str:
    """Text that is to be levels of a topic. ValueError (`reason; hint`) where it cannot be (MQTT 5.0, 4.7)."""
    bare = (_RULES.sub("", text, count=1) or "rule") if under_rules(text) else text
    if not bare or _FORBIDDEN.search(bare) or bare.startswith(("$", "/")) or bare.endswith("/") or "//" in bare:
        raise ValueError(
            f"{text!r} is no {word}: it must not be empty, begin with $ or /, end with /, have an empty level, or hold "
            "+ # or control characters"
        )
    return text
