"""configs/templates: each register map reads a simulated device that holds what its document says."""

from __future__ import annotations

import re
import struct
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from agent.config.loader import load
from agent.config.summary import warnings
from agent.simulator.description import plant_of
from agent.testing.context import SimpleContext
from agent.workbench.live import visits_of

FOLDER = Path(__file__).parents[3] / "configs" / "templates"
Cells = dict[int, list[int]]


def words(form: str, *values: float) -> list[int]:
    """Registers, the most significant first."""
    data = struct.pack(f">{form}", *values)
    return [int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2)]


def text(value: str, registers: int) -> list[int]:
    """Two characters a register."""
    return words(f"{2 * registers}s", value.encode())  # type: ignore[arg-type]


def together(*parts: tuple[int, list[int]]) -> Cells:
    """Where each stretch of registers begins."""
    return dict(parts)


SDM630 = together(
    (0, [0x4366, 0x3333, 0x4367, 0x0000, 0x4365, 0x8000]),  # 230.2, 231, 229.5 V
    (6, words("6f", 4.5, 5, 5.5, 1000, 1100, 1200)),
    (52, words("f", 3300)), (56, words("f", 3400)), (60, words("f", 250)), (62, words("f", 0.97)),
    (70, [0x4247, 0xF5C3]),  # 49.99 Hz
    (72, words("ff", 12345.5, 0.25)),
)  # fmt: skip
IEM3000 = together(
    (49, text("iEM3155", 20)), (129, words("I", 2_015_123_456)), (2999, words("3f", 10, 11, 12)),
    (3027, words("3f", 230, 231, 232)), (3053, words("3f", 2.1, 2.2, 2.3)), (3059, words("f", 6.6)),
    (3067, words("f", 0.5)), (3075, words("f", 6.7)), (3109, words("f", 50.02)), (3203, words("q", 9_876_543_210)),
)  # fmt: skip
ABB = together(
    (0x5000, words("QQ", 1_234_567, 0xFFFF_FFFF_FFFF_FFFF)),  # 12,345.67 kWh; this one has no export
    (0x5B00, words("3I", 2301, 2302, 2303)), (0x5B0C, words("3I", 512, 513, 514)),
    (0x5B14, words("4i", -150_025, 1000, 2000, 3000)), (0x5B2C, [4998]), (0x5B3A, words("h", -985)),
)  # fmt: skip
SUNSPEC = together(
    (40000, text("SunS", 2)), (40004, text("Acme", 16)), (40020, text("PV 10", 16)), (40044, text("1.2.3", 8)),
    (40052, text("SN-77", 16)), (40069, [103]), (40071, [1503, 501, 502, 500, 0xFFFE]),  # amps, times 10^-2
    (40079, [2301, 2302, 2303, 0xFFFF]), (40083, [1034, 1]), (40085, [5001, 0xFFFE]), (40087, [1040, 1]),
    (40089, [*words("h", -12), 1]), (40091, [*words("h", -998), 65535]), (40093, [*words("I", 70000), 2]),
    (40100, [1070, 1]), (40102, [0x8000, 412]), (40106, [0xFFFF, 4]),  # no cabinet sensor; MPPT
)  # fmt: skip
MPPT = together(
    (40253, [160, 48, *[0] * 48]), (40255, [0xFFFE, 0xFFFF, 1]), (40261, [2]),
    (40272, [812, 6504, 528]), (40292, [0xFFFF, 0xFFFF, 0xFFFF]),  # nothing at the second tracker
)  # fmt: skip
DK40 = together((0, [500, 398, 399, 400]), (7, [72, 84]), (10, [*words("h", -3), 71]), (30, [0, 5]))

CASES: dict[str, tuple[str, Cells, dict[str, Any]]] = {
    "sdm630": ("input", SDM630, {
        "voltage_l1": 230.2, "voltage_l3": 229.5, "current_l2": 5, "power_l3": 1200, "power": 3300,
        "power_factor": 0.97, "frequency": 49.99, "energy_import": 12345.5, "energy_export": 0.25,
    }),
    "iem3000": ("holding", IEM3000, {
        "model": "iEM3155", "serial_number": 2_015_123_456, "current_l3": 12, "voltage_l1": 230, "power_l2": 2.2,
        "power": 6.6, "reactive_power": 0.5, "apparent_power": 6.7, "frequency": 50.02, "energy_import": 9_876_543_210,
    }),
    "abb_b23": ("holding", ABB, {
        "energy_import": 12345.67, "energy_export": None, "voltage_l3": 230.3, "current_l1": 5.12, "power": -1500.25,
        "power_l3": 30, "frequency": 49.98, "power_factor": -0.985,
    }),
    "sunspec_inverter": ("holding", SUNSPEC, {
        "sunspec": "SunS", "manufacturer": "Acme", "model": "PV 10", "serial_number": "SN-77", "model_id": 103,
        "current": 15.03, "current_l3": 5, "voltage_l2": 230.2, "power": 10340, "frequency": 50.01,
        "reactive_power": -120, "power_factor": -99.8, "energy": 7_000_000, "dc_power": 10700,
        "cabinet_temperature": None, "heat_sink_temperature": 41.2, "state": 4,
    }),
    "sunspec_mppt": ("holding", MPPT, {
        "model_id": 160, "modules": 2, "dc_current_1": 8.12, "dc_voltage_1": 650.4, "dc_power_1": 5280,
        "dc_current_2": None, "dc_voltage_2": None, "dc_power_2": None,
    }),
    "datakom_dk40": ("holding", DK40, {
        "frequency": 50, "voltage_l3": 400, "pressure": 7.2, "air_end_temperature": 84, "temperature_2": -3,
        "pressure_2": 7.1, "warnings": 0, "service_requests": 5,
    }),
}  # fmt: skip


def test_every_template_has_a_device_here() -> None:
    """None is shipped that nobody has read."""
    text = "".join(path.read_text() for path in FOLDER.glob("*.yaml"))
    assert set(re.findall(r"^  (\w+):$", text, re.MULTILINE)) == set(CASES)


@pytest.mark.parametrize("template", CASES)
async def test_what_the_document_says_is_what_is_read(template: str, tmp_path: Path) -> None:
    """Known registers give known values, under `check` without a warning; what the device does not have is bad."""
    area, cells, expected = CASES[template]
    async with plant_of({"devices": {"it": {"kind": "registers", area: cells}}}) as plant:
        path = tmp_path / "agent.yaml"
        path.write_text(
            f"agent: {{id: gw, data_dir: data}}\ninclude: ['{FOLDER}/*.yaml']\n"
            "publishers: {plant: {type: mqtt, url: mqtt://127.0.0.1}}\n"
            f"devices: {{it: {{template: {template}, with: {{url: '{plant.device('it').url}'}}}}}}\n"
        )
        config = load(path, {}).config
        assert warnings(config) == []
        device = config.devices["it"]
        async with SimpleContext() as context:
            collector = device.build("it", context)
            async with aclosing(visits_of("it", device, collector, context)) as visits:
                visit = await anext(visits)
    found = {tag: one.value for tag, one in visit.readings.items()}
    assert not visit.silent
    assert {tag for tag, one in visit.readings.items() if one.quality == "bad"} == {
        tag for tag, value in found.items() if value is None
    }
    for tag, value in expected.items():
        assert found[tag] == (value if value is None or isinstance(value, str) else pytest.approx(value, rel=1e-6))
