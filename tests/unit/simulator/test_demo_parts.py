from __future__ import annotations

import io
import re
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from agent.config.loader import load
from agent.consumer.contract import AgentStatus, DeviceStatus, Reading, Readings
from agent.consumer.table import Table
from agent.simulator.script import CUT, SHORTEST, acts
from agent.simulator.stage import Stage, configuration, configured
from agent.simulator.view import LiveView, PlainView, view_for
from tests.support.processes import ROOT

DEVICES = ("press-01", "meter-01", "cnc-07")
URLS = {
    "press-01": "tcp://127.0.0.1:1",
    "meter-01": "tcp://127.0.0.1:2",
    "cnc-07": "opc.tcp://127.0.0.1:3",
    "broker": "mqtt://127.0.0.1:4",
}


@given(seconds=st.floats(SHORTEST, 4000))
def test_every_fault_of_a_demo_is_healed_before_its_end(seconds):
    """At least one device goes and one cut happens; both end, in order, with a quarter of a round left to catch up."""
    script = list(acts(seconds, DEVICES))
    whats = [act.what for act in script]
    assert whats == ["offline", "heal", "cut", "restore"] * (len(script) // 4)
    assert script
    assert [act.at for act in script] == sorted(act.at for act in script)
    assert script[-1].at <= seconds - min(seconds, 45) / 4


def test_the_cut_lasts_five_seconds_where_there_is_time():
    """Fifteen seconds are enough for it; less is shared."""
    for seconds in (15.0, 20.0, 600.0):
        script = list(acts(seconds, DEVICES))
        assert script[3].at - script[2].at == pytest.approx(CUT)
    short = list(acts(9.0, DEVICES))
    assert short[3].at - short[2].at == pytest.approx(3.0)


def test_a_demo_without_end_takes_one_device_after_the_other():
    """Ctrl-C ends it; until then every device has its turn."""
    script = islice(acts(None, DEVICES), 16)
    assert [act.device for act in script if act.what == "offline"] == [*DEVICES, DEVICES[0]]


def test_shipped_configuration_is_the_one_in_configs():
    """What the wheel carries is what a user finds at a checkout."""
    assert configuration() == (ROOT / "configs" / "demo.yaml").read_text(encoding="utf-8")


def test_demo_configuration_takes_the_real_ports_and_loads(tmp_path):
    """Every address is replaced once, and what comes out is a valid configuration with all devices of the stage."""
    path = tmp_path / "demo.yaml"
    path.write_text(configured(URLS))
    config = load(path).config
    assert set(config.devices) == set(Stage.devices)
    assert {device.model_dump()["url"] for device in config.devices.values()} == set(URLS.values()) - {URLS["broker"]}
    assert config.publishers["plant"].model_dump()["url"] == URLS["broker"]
    assert config.http is not None
    assert config.http.port == 0


def table() -> Table:
    made = Table()
    made.apply(AgentStatus("online", "S", agent="demo"), "edge/agents/demo/status")
    readings = [
        Reading("temperature", 61.2, 1000, "good", unit="Cel"),
        Reading("running", value=True, ts=1000, quality="good"),
        Reading("state", 1, 1000, "good", label="[running]"),
        Reading("level", None, 1000, "bad", code="BadNoCommunication"),
    ]
    message = Readings("edge/s/press/readings", "demo", "press", "E", 1, 1, 1, readings, False, False, False, None, b"")
    made.apply(message, message.topic)
    return made


def offline() -> Table:
    made = table()
    made.apply(DeviceStatus("offline", "S", device="press", reason="cable"), "edge/s/press/status")
    return made


def test_a_pipe_gets_plain_lines():
    """No control codes; totals now and then, changes of trust at once, every tag at the end, events after it."""
    out = io.StringIO()
    view = view_for(Console(file=out, width=60))
    assert isinstance(view, PlainView)
    view.step("broker", "[mqtt://127.0.0.1:1883]")
    for at in (1.0, 1.5, 3.1):
        view.show(table(), 3500, at, {"messages": 1})
    view.show(offline(), 3500, 3.2, {"messages": 1})
    view.close()
    view.show(table(), 3500, 9.0, {"messages": 1})
    view.event(9.0, "agent stopped")
    assert out.getvalue().splitlines() == [
        "broker: [mqtt://127.0.0.1:1883]",
        "[   1.0] messages=1",
        "[   3.1] messages=1",
        "[   3.2] subscriber sees press device offline: cable, 1 of 4 bad",
        "press/temperature = 61.2 Cel stale, 2.5 s old",
        "press/running = yes stale, 2.5 s old",
        "press/state = 1 ([running]) stale, 2.5 s old",
        "press/level = - bad BadNoCommunication, 2.5 s old",
        "[   9.0] agent stopped",
    ]


def test_a_terminal_gets_one_screen():
    """Within 80x24: the story on top, a line a device with state, age and two values, totals at the bottom."""
    out = io.StringIO()
    view = view_for(Console(file=out, force_terminal=True, width=80, height=24))
    assert isinstance(view, LiveView)
    view.step("page", "http://127.0.0.1:8080/")
    view.event(1.0, "press goes offline")
    view.show(table(), 3500, 1.0, {"messages": 17})
    view.show(offline(), 3500, 1.2, {"messages": 18})
    view.close()
    view.event(2.0, "agent stopped")
    shown = re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    lines = shown.replace("\r", "\n").splitlines()
    assert max(map(len, lines)) <= 80
    for part in ("temperature 61.2 Cel", "2.5 s", "device offline", "1 of 4 bad", "messages=18", "press goes offline"):
        assert part in shown
    assert re.search(r"what happens to the plant +http://127\.0\.0\.1:8080/$", shown, re.MULTILINE)
    assert shown.rstrip().endswith("agent stopped")
