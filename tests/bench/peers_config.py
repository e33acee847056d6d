"""How each peer is told to do what the agent does: the same tags from the same server to the same broker, each second.

Where a peer leaves a choice it is its default.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

#: Float32 registers that modpoll asks for at once: it takes 123 registers at most.
MODPOLL_BLOCK = 61


class Modbus(NamedTuple):
    """Devices with float32 tags from register 0 on."""

    ports: list[int]
    tags: int


class Opcua(NamedTuple):
    """Nodes s=V0, s=V1, … of namespace 2."""

    port: int
    nodes: int


def devices(case: Modbus | Opcua) -> dict[str, Any]:
    """Of the agent."""
    if isinstance(case, Opcua):
        tags: dict[str, Any] = {f"v{at}": {"node": f"ns=2;s=V{at}"} for at in range(case.nodes)}
        return {"server": {"type": "opcua", "url": f"opc.tcp://127.0.0.1:{case.port}", "mode": "poll", "tags": tags}}
    tags = {f"v{at}": {"address": f"holding:{2 * at}", "type": "float32"} for at in range(case.tags)}
    return {
        f"plc-{number:03}": {"type": "modbus", "url": f"tcp://127.0.0.1:{port}", "tags": tags}
        for number, port in enumerate(case.ports)
    }


def thingsboard_gateway(case: Modbus | Opcua, folder: Path, broker: int) -> None:
    """Writes its configuration."""
    kind, document = ("opcua", _tb_opcua(case)) if isinstance(case, Opcua) else ("modbus", _tb_modbus(case))
    gateway = {
        "thingsboard": {
            "host": "127.0.0.1",
            "port": broker,
            "remoteConfiguration": False,
            "statistics": {"enable": False},
            "security": {"type": "accessToken", "accessToken": "bench"},
            "qos": 1,
        },
        "storage": {"type": "memory", "read_records_count": 100, "max_records_count": 100_000},
        "grpc": {"enabled": False},
        "connectors": [{"name": kind, "type": kind, "configuration": f"{kind}.json"}],
    }
    quiet = {"version": 1, "disable_existing_loggers": False, "root": {"level": "ERROR"}}
    for name, content in {"tb_gateway": gateway, kind: document, "logs": quiet}.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def _tb_modbus(case: Modbus) -> dict[str, Any]:
    tags = {
        "tag": "v${address}",
        "type": "32float",
        "functionCode": 3,
        "address": f"0-{2 * case.tags - 1}",  # single tags would be a request each
        "objectsCount": 2,
        "maxRegistersPerRequest": 124,
    }
    slaves = [
        {
            "host": "127.0.0.1",
            "port": port,
            "type": "tcp",
            "method": "socket",
            "unitId": 1,
            "deviceName": f"plc-{number:03}",
            "byteOrder": "BIG",
            "wordOrder": "BIG",
            "pollPeriod": 1000,
            "timeseries": [tags],
        }
        for number, port in enumerate(case.ports)
    ]
    return {"name": "modbus", "logLevel": "ERROR", "master": {"slaves": slaves}}


def _tb_opcua(case: Opcua) -> dict[str, Any]:
    tags = [{"key": f"v{at}", "type": "identifier", "value": f"${{ns=2;s=V{at}}}"} for at in range(case.nodes)]
    info = {f"device{what}ExpressionSource": "constant" for what in ("Name", "Profile")}
    mapping = {
        "deviceNodeSource": "path",
        "deviceNodePattern": r"Root\.Objects",
        "deviceInfo": {**info, "deviceNameExpression": "server", "deviceProfileExpression": "default"},
        "timeseries": tags,
    }
    server = {
        "url": f"opc.tcp://127.0.0.1:{case.port}",
        "scanPeriodInMillis": 3_600_000,
        "pollPeriodInMillis": 1000,
        "enableSubscriptions": False,
        "security": "None",
        "identity": {"type": "anonymous"},
    }
    return {"name": "opcua", "logLevel": "ERROR", "server": server, "mapping": [mapping]}


def modpoll(case: Modbus, folder: Path, broker: int) -> list[str]:
    """Likewise; its arguments. It has one connection: its devices are units of one server."""
    file = folder / "modpoll.csv"
    file.write_text("\n".join(_modpoll_lines(case)) + "\n", encoding="utf-8")
    return [
        *("--daemon", "--loglevel", "ERROR", "--config", str(file), "--rate", "1", "--interval", "0"),
        *("--tcp", "127.0.0.1", "--tcp-port", str(case.ports[0])),
        *("--mqtt-host", "127.0.0.1", "--mqtt-port", str(broker), "--mqtt-clientid", "modpoll-bench"),
        *("--mqtt-version", "5.0"),  # its way of 3.1.1 fails with the MQTT library it is installed with
    ]


def _modpoll_lines(case: Modbus) -> Iterator[str]:
    for number in range(len(case.ports)):
        yield f"device,plc-{number:03},{number + 1}"
        for first in range(0, case.tags, MODPOLL_BLOCK):
            block = range(first, min(first + MODPOLL_BLOCK, case.tags))
            yield f"poll,holding_register,{2 * first},{2 * len(block)},BE_BE"
            for at in block:
                yield f"ref,v{at},{2 * at},float32,r"
