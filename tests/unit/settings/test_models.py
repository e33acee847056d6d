from __future__ import annotations

import math
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from agent.core.ports import BuildContext, Collector
from agent.settings import devices, outbox, publishers, tags, tls
from agent.settings.devices import DeviceConfig
from agent.settings.model import Model, described
from agent.settings.outbox import OutboxSettings
from agent.settings.publishers import Replay
from agent.settings.tags import TagBase
from agent.settings.tls import TLSSettings

MODELS = [
    model
    for room in (devices, outbox, publishers, tags, tls)
    for model in vars(room).values()
    if isinstance(model, type) and issubclass(model, Model) and model is not Model
]


def said(model: type[BaseModel], **keys: Any) -> str:
    """All messages of a refused configuration."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(keys)
    return " | ".join(f"{error['loc']}: {error['msg']}" for error in caught.value.errors())


class Meter(DeviceConfig):
    """A device of a protocol of its own."""

    type: Literal["meter"] = "meter"
    tags: dict[str, TagBase] = Field(default_factory=dict)

    @property
    def tag_table(self) -> dict[str, TagBase]:
        return self.tags

    def build(self, name: str, context: BuildContext) -> Collector:
        raise AssertionError("not built here")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_models_are_frozen_and_strict(model):
    """No model takes a key it does not know, none can be changed, each field explains itself."""
    assert model.model_config["frozen"]
    assert model.model_config["extra"] == "forbid"
    assert model.model_fields.keys() - described(model).keys() == set()


class _Odd(TagBase):
    """Takes a key over from its base, and says another anew."""

    unit: str | None = None
    """What it is measured in."""
    shade: Replay | None = None
    """How the backlog of an outage is sent."""


def test_keys_are_described_when_somebody_asks():
    """By the text below them, of the nearest class that has one; the schema says the same."""
    about = described(_Odd)
    assert about["unit"] == "What it is measured in."
    assert about["description"] == "Free text in any language."
    said = _Odd.model_json_schema()["properties"]
    assert {key: one["description"] for key, one in said.items() if "$ref" not in one} == about


@pytest.mark.parametrize(
    ("raw", "scale", "offset", "kind"),
    [
        ("uint8", None, -40, "int16"),
        ("uint8[]", None, -40, "int16[]"),
        ("uint16", 10, None, "uint32"),
        ("uint16", 1, 0, "uint16"),
        ("uint16", 1.0, None, "uint16"),
        ("uint16", 1, 5, "uint32"),
        ("int16", -1, None, "int32"),
        ("uint64", 2, None, "uint64"),
        ("uint64", -1, None, "int64"),
        ("int16", 0.1, None, "float64"),
        ("int16[]", None, 0.5, "float64[]"),
        ("float32", 0.1, None, "float32"),
        ("bool", 2, None, "bool"),
        ("structure", 2, None, "structure"),
    ],
)
def test_the_type_of_a_value_is_that_of_what_comes_out(raw: str, scale: float | None, offset: float | None, kind: str):
    """Scale and offset are part of it: -20 is no uint8, 61.2 no int16."""
    assert TagBase(scale=scale, offset=offset).value_type(raw) == kind


def test_a_tag_needs_nothing():
    """All keys of a tag are optional, and a bare tag changes nothing."""
    tag = TagBase()
    assert tag.enabled
    assert tag.catalogue_type() is None


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        ({"scal": 1}, "scal"),
        ({"scale": "x"}, "number"),
        ({"scale": math.nan}, "finite"),
        ({"offset": math.inf}, "finite"),
        ({"range": {"min": 2, "max": 1}}, "swap them"),
        ({"range": {"min": math.nan}}, "finite"),
        ({"round": -1}, "greater than or equal to 0"),
        ({"round": 16}, "less than or equal to 15"),
        ({"deadband": 0}, "greater than 0"),
        ({"deadband": {"percent": 101}}, "less than or equal to 100"),
        ({"deadband": 1, "report": "every"}, "leave out `report: every`"),
        ({"report": "sometimes"}, "'every' or 'on_change'"),
        ({"interval": 5}, "write 5ms, or 5s for seconds"),
        ({"interval": "twice"}, "'once'"),
        ({"max_silence": "0s"}, "longer than zero"),
        ({"null_values": {1: "BadWeather"}}, "BadSensorFailure"),
        ({"null_values": {1: "GoodClamped"}}, "BadSensorFailure"),
        ({"enum": {"on": "running"}}, "integer"),
    ],
)
def test_mistakes_of_a_tag(keys, word):
    """What makes no sense is refused with a word of help."""
    assert word in said(TagBase, **keys)


def test_numbers_of_a_tag_keep_their_type():
    """Integers stay integers: a 64-bit counter depends on it."""
    tag = TagBase.model_validate({"scale": 10, "offset": 0.5, "null_values": [32768, -9999.9, "nan"]})
    assert [type(value) for value in (tag.scale, tag.offset, *(tag.null_values or []))] == [int, float, int, float, str]
    assert TagBase.model_validate({"null_values": {32768: "BadSensorFailure"}}).null_values == {
        32768: "BadSensorFailure"
    }


def test_catalogue():
    """The catalogue says unit, description and interval in milliseconds, the device's where the tag has none."""
    meter = Meter.model_validate(
        {
            "interval": "2s",
            "tags": {
                "a": {"unit": "kW", "description": "功率"},
                "b": {"interval": "250ms"},
                "c": {"interval": "once"},
            },
        }
    )
    said = [(info.tag, info.unit, info.description, info.interval) for info in meter.catalogue()]
    assert said == [("a", "kW", "功率", 2000), ("b", None, None, 250), ("c", None, None, "once")]


def test_labels_of_a_configuration_in_json():
    """JSON writes every key as text: the label is the number's all the same, and what is no number stays a mistake."""
    assert TagBase.model_validate({"enum": {"0": "off", "-1": "fault", 2: "on"}}).enum == {
        0: "off",
        -1: "fault",
        2: "on",
    }
    assert "integer" in said(TagBase, enum={"zero": "off"})


def test_tls():
    """Certificate and key come together; there is no switch that turns verification off."""
    assert "cert_file and key_file belong together" in said(TLSSettings, cert_file="a.pem")
    assert "cert_file and key_file belong together" in said(TLSSettings, key_file="a.pem")
    assert not any("verify" in name or "insecure" in name for name in TLSSettings.model_fields)


def test_outbox_defaults():
    """The defaults are those of the documentation."""
    outbox = OutboxSettings()
    assert (outbox.durability, outbox.max_bytes, outbox.max_age) == ("commit", 1 << 30, 30 * 86400)
    assert (outbox.min_free_disk, outbox.when_full, outbox.keep_acked) == (200 << 20, "drop_oldest", None)


@pytest.mark.parametrize("share", [0, -0.1, 1.1])
def test_replay_share(share):
    """The backlog's share is a part of the window, never none and never more than all."""
    assert "share" in said(Replay, share=share)


def test_a_model_is_compiled_when_somebody_asks_it():
    """A part of another model never is: the whole one holds what it needs of it."""

    class Unasked(Model):
        key: int = 0

    assert not Unasked.__pydantic_complete__
    assert Unasked.model_validate({"key": 1}) == Unasked(key=1)
    assert said(Unasked, other=1)
