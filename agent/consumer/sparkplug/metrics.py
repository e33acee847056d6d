"""What the standard asks of single metrics, in births and in data. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from agent.consumer.sparkplug.ledger import Scorecard
from agent.consumer.sparkplug.wire import Metric, Payload

#: data type → field of its value; UInt32 is read from both (hosts differ)
FIELDS: dict[int, tuple[str, ...]] = {
    **dict.fromkeys((1, 2, 3, 5, 6), ("int_value",)),
    7: ("int_value", "long_value"),
    **dict.fromkeys((4, 8, 13), ("long_value",)),
    9: ("float_value",),
    10: ("double_value",),
    11: ("boolean_value",),
    **dict.fromkeys((12, 14, 15), ("string_value",)),
    **dict.fromkeys((17, 18, *range(22, 35)), ("bytes_value",)),
    16: ("dataset_value",),
    19: ("template_value",),
}
_BITS = {1: 8, 2: 16, 5: 8, 6: 16}
_PROPERTY_TYPES = {*range(1, 16), 20, 21}


@dataclass
class Known:
    """A metric of a birth that is in force."""

    name: str
    datatype: int
    device: str | None
    alias: int | None = None
    newest: int = 0  #: timestamp of its newest live value
    value: object = None


def value_fits(metric: Metric, datatype: int) -> bool:
    """One value in the field of its type, or null and no value."""
    if metric.is_null:
        return metric.value_field is None
    if metric.value_field not in FIELDS.get(datatype, ()):
        return False
    bits = _BITS.get(datatype)
    if bits is None or not isinstance(metric.value, int):
        return True
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if datatype < 4 else (0, (1 << bits) - 1)
    signed = metric.signed(datatype)
    return isinstance(signed, int) and low <= signed <= high


def check_birth_metric(ledger: Scorecard, kind: str, metric: Metric, where: str, *, aliased: bool) -> None:
    """Name, data type, time, value (lists of section D, E and L); an alias where the node uses them."""
    side = "nbirth" if kind == "NBIRTH" else "dbirth"
    what = f"{where}: {metric.name!r}"
    typed = metric.datatype is not None
    ledger.check(metric.name, f"{what} has no name", "payloads-name-requirement", "payloads-alias-birth-requirement")
    if aliased and metric.name != "bdSeq" and not (metric.name or "").startswith("Node Control/"):
        ledger.check(metric.alias is not None, f"{what} has no alias", "payloads-alias-birth-requirement")
    ledger.check(typed, f"{what} has no data type", "payloads-metric-datatype-req")
    ledger.check(
        metric.datatype in FIELDS, f"{what} has data type {metric.datatype}", "payloads-metric-datatype-value",
        "payloads-metric-datatype-value-type",
    )  # fmt: skip
    fits = typed and value_fits(metric, metric.datatype or 0)
    said = f"{what}: {metric.value_field} {metric.value!r} for type {metric.datatype}, null {metric.is_null}"
    ledger.check(fits, said, f"operational-behavior-data-publish-{side}-values")
    ledger.check(metric.name and typed and fits, said, f"topics-{side}-metrics")
    _check_time(ledger, metric, what)
    check_properties(ledger, metric, what, birth=True)
    _check_exotic(ledger, metric, what)


def check_data_metric(ledger: Scorecard, metric: Metric, known: Known | None, where: str, *, aliased: bool) -> None:
    """Resolved by name or alias, of the birth's type, with its time."""
    what = f"{where}: {metric.name or f'alias {metric.alias}'}"
    ledger.check(
        metric.name or metric.alias is not None, f"{what}: neither name nor alias", "payloads-name-requirement"
    )
    if aliased:
        # what the birth gave no alias (Node Control/…) has nothing but its name
        named = metric.alias is None and known is not None and known.alias is None
        right = named or (metric.alias is not None and metric.name is None)
        ledger.check(right, f"{what}: its name, which has an alias, in data", "payloads-alias-data-cmd-requirement")
    ledger.check(metric.datatype is None, f"{what}: data type in data", "payloads-metric-datatype-not-req")
    node = where.startswith("NDATA")
    complete = ("topics-nbirth-metric-reqs", "operational-behavior-data-publish-nbirth") if node else (
        "topics-dbirth-metric-reqs", "operational-behavior-data-publish-dbirth"
    )  # fmt: skip
    ledger.check(known is not None, f"{what} is in no birth", *complete)
    if known is not None:
        fits = value_fits(metric, known.datatype)
        said = f"{what}: {metric.value_field} {metric.value!r} for type {known.datatype}, null {metric.is_null}"
        ledger.check(fits, said, "payloads-metric-datatype-value")
    _check_time(ledger, metric, what)
    check_properties(ledger, metric, what, birth=False)
    _check_exotic(ledger, metric, what)


def _check_time(ledger: Scorecard, metric: Metric, what: str) -> None:
    ledger.check(metric.timestamp is not None, f"{what} has no timestamp", "payloads-name-birth-data-requirement")
    # between 2000 and 2200: milliseconds, and neither seconds nor nanoseconds
    plausible = metric.timestamp is not None and 946_684_800_000 <= metric.timestamp < 7_258_118_400_000
    ledger.check(plausible, f"{what} has timestamp {metric.timestamp}", "payloads-metric-timestamp-in-UTC")


def check_properties(ledger: Scorecard, metric: Metric, what: str, *, birth: bool) -> None:
    """Property sets, and the one for quality."""
    if not metric.keys and not metric.properties:
        return
    same = len(metric.keys) == len(metric.properties)
    said = f"{what}: {len(metric.keys)} keys, {len(metric.properties)} values"
    ledger.check(same, said, "payloads-propertyset-keys-array-size", "payloads-propertyset-values-array-size")
    types = [one.type for one in metric.properties]
    ledger.check(
        all(one in _PROPERTY_TYPES for one in types), f"{what}: property types {types}",
        "payloads-metric-propertyvalue-type-type", "payloads-metric-propertyvalue-type-value",
    )  # fmt: skip
    if birth:
        ledger.check(None not in types, f"{what}: no property type", "payloads-metric-propertyvalue-type-req")
    quality = metric.property("Quality")
    if quality is not None:
        said = f"{what}: quality {quality}"
        ledger.check(quality.type == 3, said, "payloads-propertyset-quality-value-type")
        right = quality.value_field == "int_value" and quality.value in (0, 192, 500)
        ledger.check(right, said, "payloads-propertyset-quality-value-value")


def _check_exotic(ledger: Scorecard, metric: Metric, what: str) -> None:
    """Templates and data sets are right in a node that has them; what is in them is not checked (unchecked.py)."""
    for word, number in (("template", 19), ("dataset", 16)):
        if metric.value_field == f"{word}_value" or metric.datatype == number:
            ledger.notes[f"{what.partition(':')[0]}: a {word}, whose inside is not checked"] += 1


def check_names(ledger: Scorecard, payload: Payload, where: str) -> None:
    """Each metric of a birth has a name that no other one has, not even in other letters."""
    names = [metric.name or "" for metric in payload.metrics]
    folded = {name.casefold() for name in names}
    twice = sorted({name for name in names if names.count(name) > 1}) if len(folded) < len(names) else []
    said = f"{where}: names {twice or names}"
    ledger.check(len(folded) == len(names), said, "case-sensitivity-metric-names")


def in_order(payload: Payload) -> bool:
    """Live metrics stand in the order of their times."""
    times = [metric.timestamp or 0 for metric in payload.metrics if not metric.is_historical]
    return times == sorted(times)
