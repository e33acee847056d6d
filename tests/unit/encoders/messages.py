"""The messages docs/encoders.md shows: one record, said by each encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent.config.loader import load
from agent.core.flow import Message, Reading, Record
from agent.core.image import TagInfo
from agent.encoders.influx import InfluxConfig
from agent.encoders.umh import UmhConfig
from agent.encoders.value import ValueConfig
from agent.settings.publishers import EncoderConfig
from tests.unit.encoders.conftest import Stage, record

TS = 1_763_760_000_120
_EXAMPLES = Path(__file__).parents[3] / "configs" / "examples"

TAGS = (
    TagInfo(tag="oil_temperature", type="float32", unit="Cel", description="油温"),
    TagInfo(tag="DB1.DW20", type="uint16"),
    TagInfo(tag="part_count", type="uint32"),
)


def the_record(*, historical: bool = False) -> Record:
    """Two good readings and one that failed."""
    readings = [
        Reading("oil_temperature", 61.2, TS, "good", unit="Cel"),
        Reading("DB1.DW20", 1, TS, "good", label="running"),
        Reading(
            "part_count",
            None,
            TS,
            "bad",
            code="BadConfigurationError",
            status=2156462080,
            reason="illegal data address",
        ),
    ]
    made = record(readings, seq=4711, low=4692, cat=3, historical=historical)
    made.stream.epoch = "01KB2XJ5W3Q8Z6T0M4N7V9YACD"
    return made


def _shipped(name: str) -> EncoderConfig:
    encoder = load(_EXAMPLES / f"{name}.yaml", {}).config.publishers["plant"].encoder
    assert encoder is not None
    return encoder


def all_messages() -> dict[str, Sequence[Message]]:
    """By the name of the example in the document."""
    configs: dict[str, EncoderConfig] = {
        "umh": UmhConfig(type="umh"),
        "value": ValueConfig(type="value"),
        "value-plain": ValueConfig(type="value", payload="plain"),
        "influx": InfluxConfig(type="influx"),
        "influx-field": InfluxConfig(type="influx", quality="field", precision="ms", tags={"site": "{site}"}),
        "kepware": _shipped("kepware"),
        "litmus": _shipped("litmus"),
    }
    stage = Stage()
    stage.add(location=("acme", "suzhou", "stamping"), tags=TAGS, cat=3)
    said = {name: stage.begin(config=config)(the_record()) for name, config in configs.items()}
    said["value-history"] = stage.begin(config=configs["value"])(the_record(historical=True))[:1]
    said["umh-properties"] = said["umh"][:1]
    return said


def shown(messages: Sequence[Message], *, properties: bool = False) -> str:
    """Messages as the document shows them: topic, then payload."""
    lines = []
    for message in messages:
        lines.append(message.topic + ("  (retained)" if message.retain else ""))
        if properties:
            lines.append("  " + " ".join(f"{key}={value}" for key, value in message.properties))
        lines += ["  " + line for line in message.payload.decode().split("\n")]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for name, said in all_messages().items():
        print(f"```messages {name}\n{shown(said, properties=name == 'umh-properties')}```\n")  # noqa: T201
