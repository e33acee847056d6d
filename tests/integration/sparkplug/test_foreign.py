"""Edge nodes of others in front of the monitor: their known faults are named, what is right is not blamed."""

from __future__ import annotations

import asyncio
import signal

from agent.core.clock import SystemClock
from tests.interop.foreign import venv
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt import observing
from tests.support.processes import process
from tests.support.sparkplug_tap import Tap
from tests.support.sparkplug_wire import WireMonitor
from tests.support.waiting import eventually

NODE = """
import signal, sys, time
import pysparkplug as p
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
now = lambda: int(time.time() * 1000)
metric = lambda name, kind, value: p.Metric(timestamp=now(), name=name, datatype=kind, value=value)
node = p.EdgeNode("plant", "other", [metric("load", p.DataType.DOUBLE, 1.5)])
node.register(p.Device("press", [metric("count", p.DataType.INT32, 7)]))
node.connect("127.0.0.1", port=int(sys.argv[1]))
signal.sigwait([signal.SIGUSR1])
node.update([metric("load", p.DataType.DOUBLE, 2.5)])
node.update_device("press", [metric("count", p.DataType.INT32, 8)])
print("said", flush=True)
node.disconnect()
"""

#: What is wrong with pysparkplug 0.6.1: a will at QoS 0, a bdSeq of its own in NDEATH, no rebirth, data types in data.
FAULTS = {
    "message-flow-edge-node-birth-publish-will-message-qos",
    "payloads-ndeath-will-message-qos",
    "payloads-ndeath-bdseq",
    "topics-nbirth-rebirth-metric",
    "payloads-nbirth-rebirth-req",
    "operational-behavior-data-commands-rebirth-name",
    "payloads-metric-datatype-not-req",
}
#: DCMD is subscribed beside the births, before or behind them.
CHANCE = {"message-flow-device-dcmd-subscribe"}
#: What it does right.
RIGHT = {"topics-nbirth-seq-num", "payloads-sequence-num-incrementing", "topics-dbirth-metrics", "payloads-ddata-qos"}


async def test_pysparkplug_is_judged_as_it_is(mosquitto: Mosquitto) -> None:
    """On the wire: its faults by their ids, its virtues as passed."""
    python = await asyncio.to_thread(venv, "pysparkplug==0.6.1")
    monitor = WireMonitor(SystemClock().now_ms)
    async with Tap(mosquitto.port, monitor).open() as tap, observing(mosquitto.port, "spBv1.0/#") as host:
        with process(python, "-c", NODE, str(tap.port)) as node:
            await eventually(lambda: any("/DBIRTH/" in one.topic for one in host.seen), what="its device is born")
            node.signal(signal.SIGUSR1)
            await eventually(lambda: any("/DDATA/" in one.topic for one in host.seen), what="it has said data")
            await eventually(lambda: node.returncode is not None)
        await eventually(lambda: any("/NDEATH/" in one.topic for one in host.seen), what="it has said goodbye")
    ledger = monitor.ledger
    assert ledger.failed.keys() - CHANCE == FAULTS, [str(one) for one in ledger.violations()]
    assert ledger.passed.keys() >= RIGHT
