"""`make bench`: runs every `bench_*.py` beside it, each in a process of its own; they measure and print.

`python -m tests.bench outbox` runs those whose name contains "outbox". `make bench BASE=rev` is compare.py instead.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.bench import figures


def main(words: list[str]) -> int:
    """Run the chosen ones one after the other; exit code 1 when one of them ended badly."""
    here = Path(__file__).parent
    names = sorted(path.stem for path in here.glob("bench_*.py"))
    chosen = [name for name in names if not words or any(word in name for word in words)]
    if not chosen:
        print(f"nothing to run: {', '.join(names) or 'no benchmark'} here")
        return 1
    failed = []
    figures.begin()
    for name in chosen:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"tests.bench.{name}"], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
