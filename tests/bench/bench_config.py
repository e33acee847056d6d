"""CPU of loading and checking a configuration whose 10,000 tags stand in CSV files, ten devices of 1,000."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from agent.config.loader import load
from agent.config.summary import warnings

DEVICES, TAGS = 10, 1_000
_TYPES = ("float32", "uint16", "int16", "uint32")
_SIZES = {"float32": 2, "uint16": 1, "int16": 1, "uint32": 2}


def write(folder: Path) -> Path:
    """The files: each tag has a unit, a scale and a range, some a deadband or an interval of their own."""
    lines = ["agent: {id: gw, data_dir: data}", "publishers: {plant: {type: mqtt, url: mqtt://127.0.0.1}}", "devices:"]
    for device in range(DEVICES):
        rows, offset = ["tag,address,type,unit,scale,range.min,range.max,deadband,interval,description"], 0
        for tag in range(TAGS):
            kind = _TYPES[tag % 4]
            odd = ("0.5", "") if tag % 3 == 0 else ("", "5s") if tag % 7 == 0 else ("", "")
            rows.append(f"t_{tag},holding:{offset},{kind},Cel,0.1,-50,500,{odd[0]},{odd[1]},point {tag} of the line")
            offset += _SIZES[kind]
        (folder / f"tags-{device}.csv").write_text("\n".join(rows) + "\n")
        lines.append(f"  plc-{device}: {{type: modbus, url: tcp://192.0.2.{device + 1}, tags_file: tags-{device}.csv}}")
    path = folder / "agent.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def cpu(work: Callable[[], object]) -> float:
    """Seconds of CPU, best of three."""
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def cpu_of_command(*argv: str) -> float:
    """Seconds of CPU of a process of its own, best of three."""
    best = float("inf")
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(argv, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best


def main() -> None:
    """Print the figures."""
    with TemporaryDirectory() as folder:
        path = write(Path(folder))
        config = load(path, {}).config
        print(f"{DEVICES * TAGS:,} tags from CSV, s of CPU")
        print(f"{'load':<44}{cpu(lambda: load(path, {})):>8.2f}")
        print(f"{'what check warns of':<44}{cpu(lambda: list(warnings(config))):>8.2f}")
        command = (sys.executable, "-m", "agent", "check", "-c", str(path))
        print(f"{'edge-agent check, the whole process':<44}{cpu_of_command(*command):>8.2f}")


if __name__ == "__main__":
    main()
