from __future__ import annotations

import asyncio
import re
import shutil
import signal

import msgspec
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from pymodbus.client import AsyncModbusTcpClient

from agent.cli.tail import tail
from agent.cli.verify import verify
from agent.simulator.broker import EmbeddedBroker
from tests.support.ports import free_port
from tests.support.processes import agent_command, process, run_process
from tests.support.waiting import eventually

LAST = ("edge/agents/gw/status", msgspec.json.encode({"state": "offline", "session": "S"}))


@pytest.fixture(scope="module")
def broker():
    with EmbeddedBroker() as running:
        yield running


def record(seq, low, value=1, **extra):
    body = {
        "schema": "edge.readings.v1", "agent": "gw", "device": "press", "epoch": "E", "seq": seq, "low": low, "ts": 1,
        "cat": 1, "readings": [{"tag": "t", "value": value, "ts": 0, "quality": "good", "unit": "Cel"}],
    }  # fmt: skip
    return "edge/site/press/readings", msgspec.json.encode(body | extra)


def publish(broker, *messages, retain=False):
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    for topic, payload in messages:
        client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


async def hear(broker, *command, messages):
    """Exit code and output of a command that hears `messages`, says that it heard the last, and is ended by Ctrl-C."""
    with process(*agent_command(*command, "--url", broker.url)) as listener:
        await eventually(lambda: "listening to edge/#" in listener.stderr)
        await asyncio.to_thread(publish, broker, *messages, LAST)
        await eventually(lambda: re.search("agent gw (is )?offline", listener.stdout + listener.stderr))
        listener.signal(signal.SIGINT)
        code = await listener.wait()
        return code, listener.stdout


async def test_verify_names_device_and_numbers_of_what_is_missing(broker):
    """Exit 1, one line a finding, the result last."""
    messages = [record(1, 1), record(2, 2), record(5, 5), record(8, 6)]
    code, said = await hear(broker, "verify", messages=messages)
    lines = said.splitlines()
    assert code == 1
    assert lines[0].startswith("missing gw/press epoch E seq 3-4:")
    assert lines[1].startswith("pending gw/press epoch E seq 6-7:")
    assert lines[-1].startswith("audit: messages=4 readings=4 missing=2 duplicates=0 undeclared_gaps=1")


async def test_verify_is_content_with_repetitions(broker):
    """Exit 0 where everything came, be it twice."""
    messages = [record(1, 1), record(2, 1), record(1, 1, historical=True), record(2, 2), record(3, 3)]
    code, said = await hear(broker, "verify", messages=messages)
    assert code == 0
    assert said.startswith("audit: messages=5 readings=3 missing=0 duplicates=2 undeclared_gaps=0")


async def test_verify_keeps_its_books_between_runs(broker, tmp_path):
    """With `--state` a later run knows what was missing in an earlier one, and that it came after all."""
    state = ("--state", str(tmp_path / "books"))
    code, said = await hear(broker, "verify", *state, messages=[record(1, 1), record(4, 4)])
    assert (code, "missing=2" in said) == (1, True)
    code, said = await hear(broker, "verify", *state, messages=[record(3, 50, historical=True), record(50, 50)])
    assert code == 1
    assert "missing gw/press epoch E seq 2: never came" in said
    assert "note: the books of 2 runs" in said
    assert "audit: messages=4 readings=4 missing=1" in said
    code, said = await hear(broker, "verify", *state, messages=[record(2, 60, historical=True)])
    assert (code, "missing=0" in said) == (0, True)


async def test_verify_reports_even_where_its_books_cannot_be_kept(broker, tmp_path):
    """What was heard for days is told all the same; the exit code says that the state is not."""
    folder = tmp_path / "gone"
    folder.mkdir()
    with process(*agent_command("verify", "--state", str(folder / "books"), "--url", broker.url)) as listener:
        await eventually(lambda: "listening to edge/#" in listener.stderr)
        shutil.rmtree(folder)
        await asyncio.to_thread(publish, broker, record(1, 1), record(2, 2), LAST)
        await eventually(lambda: "agent gw is offline" in listener.stderr)
        listener.signal(signal.SIGINT)
        assert await listener.wait() == 1
        assert "the state cannot be kept" in listener.stderr
        assert "audit: messages=2 readings=2 missing=0" in listener.stdout


async def test_tail_prints_each_reading_once(broker):
    """A line a reading: time, device, tag, value, unit; repetitions are left out."""
    code, said = await hear(broker, "tail", messages=[record(1, 1, value=61.5), record(1, 1, value=61.5)])
    assert code == 0
    assert [line for line in said.splitlines() if "press/t" in line] == ["1970-01-01T00:00:00.000Z press/t = 61.5 Cel"]


async def test_tail_shows_the_devices_and_tags_that_are_asked_for(broker):
    """Both are globs."""
    for chosen, seen in ((("--device", "pr*", "--tag", "t"), 1), (("--device", "cnc*"), 0), (("--tag", "x*"), 0)):
        _, said = await hear(broker, "tail", *chosen, messages=[record(1, 1)])
        assert said.count("press/t") == seen, chosen


async def test_tail_once_ends_with_the_first_readings_that_fit(broker):
    """Nothing else is printed; exit code 1 where none came in time."""
    command = agent_command("tail", "--once", "--tag", "x*", "--url", broker.url)
    other = {"tag": "x1", "value": 2, "ts": 0, "quality": "good"}
    with process(*command) as listener:
        await eventually(lambda: "listening to edge/#" in listener.stderr)
        await asyncio.to_thread(
            publish, broker, LAST, record(1, 1), record(2, 2, readings=[other]), record(3, 3, readings=[other])
        )
        assert await listener.wait() == 0
        assert listener.stdout == "1970-01-01T00:00:00.000Z press/x1 = 2\n"
    ended = await asyncio.to_thread(
        run_process, *agent_command("tail", "--once", "--url", broker.url, "--seconds", "0.2")
    )
    assert ended.returncode == 1


def test_commands_refuse_what_names_no_broker(capsys, tmp_path):
    """No URL, a bad one, a configuration with mistakes: exit 2, with a word about it."""
    assert verify(None, None, None, 1) == 2
    assert "give --url" in capsys.readouterr().err
    assert tail("broker", None, None, 1) == 2
    assert "write mqtt://host:1883" in capsys.readouterr().err
    broken = tmp_path / "agent.yaml"
    broken.write_text("agent: {idd: x}\n")
    assert verify(None, None, broken, 1) == 2
    assert "agent.yaml:1" in capsys.readouterr().err


def test_broker_that_is_never_there_is_a_failure(capsys):
    """An audit that heard nothing because nobody was there is no success."""
    assert verify(f"mqtt://127.0.0.1:{free_port()}", None, None, 0.3) == 1
    assert "was never there" in capsys.readouterr().err


def test_an_audit_of_what_nobody_can_read_is_no_success(monkeypatch, capsys):
    """What is not ours may pass there; where nothing else does, nothing was audited."""
    heard = [("edge/hall/press/readings", b"\xff no JSON")] * 2
    monkeypatch.setattr(
        "agent.cli.verify.listen",
        lambda _access, auditor, _seconds: [auditor.heard(*one, retained=False) for one in heard],
    )
    assert verify("mqtt://127.0.0.1:1", None, None, 1) == 3
    assert "heard 2 messages below edge/, and could read none of them" in capsys.readouterr().out
    heard.append(record(1, 1))
    assert verify("mqtt://127.0.0.1:1", None, None, 1) == 0


def test_broker_and_root_come_from_a_configuration(broker, tmp_path):
    """`-c` takes broker and root from the publisher."""
    path = tmp_path / "agent.yaml"
    path.write_text(
        "agent: {id: gw}\npublishers:\n  plant: {type: mqtt, root: works, url: '%s'}\n"  # noqa: UP031  # braces of YAML
        % broker.url
    )
    result = run_process(*agent_command("verify", "-c", str(path), "--seconds", "0.5"))
    assert result.returncode == 3, "nothing was heard at all"
    assert "listening to works/# " in result.stderr
    assert result.stdout.startswith("audit: messages=0 ")
    assert "heard nothing: nobody publishes below works/" in result.stdout
    assert "--sparkplug" in result.stdout, "nor does a Sparkplug node, which may well be there"


def test_a_publisher_is_picked_by_its_name(broker, tmp_path):
    """`--publisher` takes its root, and its topics where they lie beside that; one that is not there is said."""
    path = tmp_path / "agent.yaml"
    path.write_text(
        "agent: {id: gw}\npublishers:\n  plant: {type: mqtt, url: mqtt://127.0.0.1:1}\n"
        f"  hall: {{type: mqtt, root: works, topic: 'hall/{{device}}', url: '{broker.url}'}}\n"
    )
    result = run_process(*agent_command("verify", "-c", str(path), "--publisher", "hall", "--seconds", "0.5"))
    assert result.returncode == 3, result.stderr
    assert "listening to works/#, hall/+/# at 127.0.0.1" in result.stderr
    assert verify(None, None, path, 1, publisher="halle") == 2


async def test_simulate_serves_a_plant_until_ctrl_c(tmp_path):
    """Devices are listed with their addresses and answer; Ctrl-C ends it with 0."""
    path = tmp_path / "plant.yaml"
    path.write_text("devices:\n  raw-01: {kind: registers, holding: {0: [7]}}\n")
    with process(*agent_command("simulate", str(path))) as plant:
        await eventually(lambda: "raw-01: tcp://" in plant.stdout)
        port = int(plant.stdout.split("raw-01: tcp://127.0.0.1:")[1].split()[0])
        client = AsyncModbusTcpClient("127.0.0.1", port=port)
        assert await client.connect()
        assert (await client.read_holding_registers(0)).registers == [7]
        client.close()
        plant.signal(signal.SIGINT)
        assert await plant.wait() == 0


def test_simulate_says_what_is_wrong(tmp_path):
    """A bad description is exit 2, with its file."""
    path = tmp_path / "plant.yaml"
    path.write_text("devices: {a: {kind: pres}}")
    result = run_process(*agent_command("simulate", str(path)))
    assert result.returncode == 2
    assert "plant.yaml:1:21: `devices.a.kind`: unknown kind" in result.stderr
    assert "Traceback" not in result.stderr
