"""pydantic's errors in words that teach: what was found, what to write instead. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic.fields import FieldInfo

from agent.config.located import Found, List, Map, named
from agent.config.meant import as_list, as_mapping, as_number, as_variable, by_name, instead_of, is_percent, is_tag
from agent.config.shape import close
from agent.settings.values import format_duration

_SECRET = re.compile(r"password|passwd|secret|token|private_key", re.IGNORECASE)
_USERINFO = re.compile(r"://[^/@\s'\"]*@")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|(?<![\w.])(-?\d+)(?![\w.])")
_MAX_SHOWN = 60
_DOLLARS = frozenset({"node", "topic", "history_topic", "root"})  #: keys whose values may begin with `$`
_AT_THE_MARGIN = ("log", "http", "outbox", "publishers", "devices", "history", "include", "templates", "devices_file")
_OF_A_DEVICE = ("interval", "timeout", "unit_id", "byte_order", "enabled", "max_gap", "url", "type")
_OF_A_TAG = ("address", "node", "scale", "offset", "range", "unit", "length")


class Words(NamedTuple):
    """What was found, and what to write instead."""

    reason: str
    hint: str


class Case(NamedTuple):
    """One error of pydantic with what the raw data and the models say about its place."""

    error: Mapping[str, Any]
    found: Found
    name: str  #: dotted path for people
    keys: Mapping[str, FieldInfo]  #: keys that may stand in the mapping concerned

    @property
    def context(self) -> Mapping[str, Any]:
        """Figures the error carries."""
        context: Mapping[str, Any] = self.error.get("ctx") or {}
        return context

    @property
    def shown(self) -> str:
        """The value (or the key) found, fit to be shown."""
        if self.error["loc"][-1:] == ("[key]",) and self.found.path:
            key = self.found.path[-1]
            return show(key) if isinstance(key, str) else named(key)
        return show(self.found.value, self.found.raw, secret=bool(self.found.path and is_secret(self.found.path[-1])))


def is_secret(key: object) -> bool:
    """Whether what stands under this key is not to be repeated."""
    text = str(key)
    return bool(_SECRET.search(text)) and not text.endswith("_file")


def hide_userinfo(text: str) -> str:
    """Text without user and password of the URLs in it."""
    return _USERINFO.sub("://***@", text)


def show(value: object, raw: str | None = None, *, secret: bool = False) -> str:
    """A value as it may stand in a message: short, as written, without secrets."""
    if isinstance(value, Map):
        return "a mapping"
    if isinstance(value, List):
        return "a list"
    if value is None:
        return "nothing"
    if secret:
        return "a literal"
    if isinstance(value, bool):
        return str(value).lower()
    text = raw if raw is not None else str(value)
    if len(text) > _MAX_SHOWN:
        text = text[:_MAX_SHOWN] + "…"
    return hide_userinfo(repr(text) if isinstance(value, str) else text)


def words_for(case: Case) -> Words:
    """The words for one error."""
    kind: str = case.error["type"]
    for table, make in _MAKERS:
        if kind in table:
            words = make(case)
            own = case.found.raw is None and _DOLLARS.isdisjoint(case.found.path[-1:])
            meant = as_variable(case.found.value) if own else None
            return words._replace(hint=meant) if meant else words
    return Words(f"`{case.name}`: {case.shown}: {_lower(str(case.error['msg']))}", "")


def describe(key: str, field: FieldInfo | None) -> str:
    """How a key is meant, from its docstring."""
    text = (field.description or "") if field is not None else ""
    first = re.split(r" \(|; |\. |\.$", " ".join(text.split()))[0]
    return f"add `{key}: …`" + (f" ({first[:1].lower()}{first[1:]})" if first else "")


def list_keys(keys: Sequence[str]) -> str:
    """The keys there are, for a hint."""
    return "keys here: " + ", ".join(keys)


def unknown_key(name: str, key: object, keys: Sequence[str]) -> Words:
    """A key that does not exist."""
    if str(key)[:1] in "\u00a0\u3000":
        return Words(
            f"`{name}` is not a key", "indent it with ordinary spaces: no-break ones, as on web pages, stand there"
        )
    if not keys:
        return Words(f"`{name}` is not a key", "leave it out")
    guess = close(key, keys)
    return Words(f"`{name}` is not a key", f"did you mean `{guess}`?" if guess else list_keys(keys))


def _missing(case: Case) -> Words:
    key = str(case.error["loc"][-1])
    where = f"`{case.name}`" if case.name else "the file"
    return Words(f"{where} has no `{key}`", describe(key, case.keys.get(key)))


def _extra(case: Case) -> Words:
    if "tags" in case.keys and is_tag(case.error["input"]):
        return Words(f"`{case.name}`: a tag that stands beside `tags:`", "indent it further than `tags:`, below it")
    key = case.error["loc"][-1]
    if case.found.path[:1] == ("agent",) and key in _AT_THE_MARGIN:
        return Words(f"`{case.name}` is not a key", f"begin `{key}:` at the left margin, beside `agent:`")
    counted = key == "unit" and isinstance(case.error["input"], int)  # of a bus, not of a value
    if "tags" in case.keys and key in _OF_A_TAG and not counted:
        return Words(f"`{case.name}`: that is a key of a tag", f"write `tags: {{NAME: {{{key}: …}}}}`")
    meant = instead_of(key, case.error["input"], case.keys, case.found.value)
    return Words(f"`{case.name}` is not a key", meant) if meant else unknown_key(case.name, key, list(case.keys))


def _boolean(case: Case) -> Words:
    value = case.found.value
    hint = "write true or false"
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return Words(f"`{case.name}`: {case.shown} is text", f"write {value.lower()}, without quotes")
    if isinstance(value, str) and value.lower() in ("yes", "on", "y"):
        hint = "write true"
    elif isinstance(value, str) and value.lower() in ("no", "off", "n"):
        hint = "write false"
    return Words(f"`{case.name}`: {case.shown} is neither true nor false", hint)


def _number(case: Case) -> Words:
    whole = case.error["type"].startswith("int")
    value = case.found.value
    if case.found.path[-1:] == ("deadband",) and is_percent(value):
        return Words(f"`{case.name}`: {case.shown} is not a number", "write {percent: " + f"{str(value).strip(' %')}}}")
    if case.error["loc"][-1] == "[key]" and isinstance(value, int):
        return Words(f"`{case.name}`: the number comes first", f"write {value}: {case.found.path[-1]}")
    hint = "write a whole number" if whole else "write a number"
    if isinstance(value, str) and re.fullmatch(r"\s*[-+]?\d+([.,]\d+)?\s*", value) and case.found.raw is None:
        hint += ", without quotes" if "," not in value else ", with a point"
    meant = None if whole or case.found.raw is not None else as_number(value)
    return Words(f"`{case.name}`: {case.shown} is not a {'whole ' if whole else ''}number", meant or hint)


def _text(case: Case) -> Words:
    value = case.found.value
    if case.error["loc"][-1] == "[key]":
        return Words(
            f"`{case.name}`: the name {named(case.found.path[-1])} is not text",
            f'write it in quotes: "{named(case.found.path[-1])}"',
        )
    if case.found.path[-2:-1] == ("enum",) and isinstance(value, int) and isinstance(case.found.path[-1], str):
        return Words(f"`{case.name}`: the number comes first", f"write {value}: {case.found.path[-1]}")
    if case.found.path[-1:] == ("node",) and isinstance(value, int):
        return Words(f"`{case.name}`: {case.shown} is not text", f'write "i={value}", or "ns=2;i={value}"')
    if case.found.path[-1:] == ("byte_order",) and set(str(value)) == set("1234"):
        letters = str(value).translate(str.maketrans("1234", "ABCD"))
        return Words(f"`{case.name}`: {case.shown} is not text", f"write {letters}")
    if isinstance(value, bool | int | float):
        return Words(f"`{case.name}`: {case.shown} is not text", f'write it in quotes: "{show(value)}"')
    return Words(f"`{case.name}`: {case.shown} is not text", "write text")


def _list(case: Case) -> Words:
    value = case.found.value
    scalar = not isinstance(value, Map | List) and value is not None
    hint = f"write [{show(value).strip(chr(39))}]" if scalar else "write [a, b] or items that begin with `- `"
    if case.found.path[-1:] == ("devices",) and isinstance(value, Map):
        hint = 'write the names it carries, `devices: ["*"]`; devices themselves begin at the left margin'
    meant = as_list(case.found.path[-1] if case.found.path else None, value)
    return Words(f"`{case.name}`: {case.shown} is not a list", meant or hint)


def _item(value: object) -> str:
    text = show(value).strip("'")
    return text if re.fullmatch(r"[\w./-]+", text) and text != "…" else f'"{text}"'


def _mapping(case: Case) -> Words:
    hint = list_keys(list(case.keys)) if case.keys else "write `key: value` below it"
    if case.found.value is None and case.found.path[-1:] == ("tags",):
        hint = "write the tags below it, indented further: `NAME: {…}`"
    if case.found.path[-2:-1] == ("tags",) and case.found.path[-1] in _OF_A_DEVICE:
        return Words(f"`{case.name}`: a key of the device below `tags:`", "indent it less, beside `tags:`")
    if case.found.path[-1:] == ("tags",) and isinstance(case.found.value, List) and case.found.value:
        return Words(
            f"`{case.name}`: a list is not a mapping", by_name(case.found.value) or "write `NAME: {…}` for each"
        )
    value = case.found.value if case.found.raw is None else case.found.raw
    return Words(f"`{case.name}`: {case.shown} is not a mapping", as_mapping(case.keys, value) or hint)


def _literal(case: Case) -> Words:
    allowed = [text or number for text, number in _QUOTED.findall(str(case.context.get("expected", "")))]
    value = case.found.value
    if not isinstance(value, str) and value is not None and str(value).lower() in allowed:
        return Words(f"`{case.name}`: {case.shown} is not text", f'write it in quotes: "{str(value).lower()}"')
    if isinstance(value, str) and value in allowed:
        return Words(f"`{case.name}`: {case.shown} is text", f"write {value}, without quotes")
    distinct = len({"".join(sorted(one)) for one in allowed}) == len(allowed)  # ABCD, CDAB: any guess is as good
    guess = close(value, allowed) if isinstance(value, str) and distinct else None
    listed = ", ".join(allowed)
    one_of = f"{'one of ' if len(allowed) > 1 else ''}{listed}"
    if guess:
        return Words(f"`{case.name}`: {case.shown} is not {one_of}", f"did you mean {guess}?")
    return Words(f"`{case.name}`: {case.shown} is not a valid value", f"write {one_of}")


def _bound(case: Case) -> Words:
    bounds = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most", "multiple_of": "a multiple of"}
    key = next(key for key in bounds if key in case.context)
    limit = case.context[key]
    if isinstance(case.found.value, str) and case.found.value[-1:] in "smhd" and isinstance(limit, int | float):
        return Words(f"`{case.name}`: {case.shown} is out of bounds", f"write {bounds[key]} {format_duration(limit)}")
    return Words(f"`{case.name}`: {case.shown} is out of bounds", f"write a number {bounds[key]} {limit:g}")


def _length(case: Case) -> Words:
    least, most = case.context.get("min_length"), case.context.get("max_length")
    wanted = f"at least {least}" if least is not None else f"at most {most}"
    return Words(f"`{case.name}`: {case.shown} has the wrong length", f"write {wanted}")


def _custom(case: Case) -> Words:
    text = str(case.context.get("error") or case.error["msg"])
    value = case.found.value
    if case.found.raw is not None and isinstance(value, str) and value:
        text = text.replace(value, case.found.raw)  # what came out of the environment may be a secret
    reason, separator, hint = hide_userinfo(text).partition("; ")
    if not separator:  # only what should be: say what is
        together = isinstance(value, Map | List)
        reason, hint = "these keys do not go together" if together else f"{case.shown} cannot be used", reason
    return Words(f"`{case.name}`: {reason}" if case.name else reason, hint)


def _key(case: Case) -> Words:
    if case.found.value is None and isinstance(case.found.path[-1], int):
        return Words(f"`{case.name}` is not a key", "decimals are written with a point, not with a comma")
    return Words(f"`{case.name}` is not a key", list_keys(list(case.keys)) if case.keys else "write text as the key")


def _tag(case: Case) -> Words:
    allowed = [text for text, _ in _QUOTED.findall(str(case.context.get("expected_tags", "")))]
    key = str(case.context.get("discriminator", "type")).strip("'")
    tag = case.context.get("tag")
    if tag is None:
        return Words(
            f"`{case.name}` has no `{key}`",
            f"add `{key}: …`, one of {', '.join(allowed)}" if allowed else f"add `{key}: …`",
        )
    guess = close(tag, allowed)
    if guess:
        return Words(f"`{case.name}.{key}`: {tag!r} is not one of {', '.join(allowed)}", f"did you mean {guess}?")
    return Words(f"`{case.name}.{key}`: {tag!r} is not a valid value", f"write one of {', '.join(allowed)}")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


_MAKERS: tuple[tuple[frozenset[str], Callable[[Case], Words]], ...] = (
    (frozenset({"missing"}), _missing),
    (frozenset({"extra_forbidden"}), _extra),
    (frozenset({"bool_type", "bool_parsing"}), _boolean),
    (frozenset({"int_type", "int_parsing", "int_from_float", "int_parsing_size"}), _number),
    (frozenset({"float_type", "float_parsing", "finite_number"}), _number),
    (frozenset({"string_type", "string_sub_type", "path_type"}), _text),
    (frozenset({"list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type"}), _list),
    (frozenset({"dict_type", "mapping_type", "model_type", "model_attributes_type", "dataclass_type"}), _mapping),
    (frozenset({"literal_error", "enum"}), _literal),
    (frozenset({"greater_than", "greater_than_equal", "less_than", "less_than_equal", "multiple_of"}), _bound),
    (frozenset({"too_short", "too_long", "string_too_short", "string_too_long"}), _length),
    (frozenset({"value_error", "assertion_error"}), _custom),
    (frozenset({"invalid_key"}), _key),
    (frozenset({"union_tag_invalid", "union_tag_not_found"}), _tag),
)  # fmt: skip
