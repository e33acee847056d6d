"""CPU per reading of the normalizer alone, on columns of 120 tags, by what the tags ask for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from agent.core.clock import SystemClock
from agent.core.flow import Answer, Sample
from agent.normalize import compile_normalizer
from agent.settings.tags import TagBase

TAGS = 120
ROUNDS = 2000
T0 = 1_763_760_000_000

CASES: dict[str, dict[str, Any]] = {
    "plain": {"unit": "Cel"},
    "scale": {"unit": "Cel", "scale": 0.1},
    "scale, round": {"unit": "Cel", "scale": 0.1, "round": 2},
    "enum": {"enum": {0: "stopped", 1: "running"}},
    "scale, round, range": {"scale": 0.1, "round": 2, "range": {"min": -1000, "max": 1000}},
    "scale, round, range, on_change (all say)": {
        "scale": 0.1, "round": 2, "range": {"min": -1000, "max": 1000}, "report": "on_change",
    },
    "scale, round, range, deadband (none says)": {
        "scale": 0.1, "round": 2, "range": {"min": -1000, "max": 1000}, "deadband": 100, "max_silence": "1h",
    },
}  # fmt: skip


def cpu_per_reading(
    keys: dict[str, Any],
    *,
    values: list[list[Any]],
    src: bool,
    fresh: bool,
    status: Any = 0,
    still: Callable[[int], bool] = lambda _place: False,
) -> float:
    """Microseconds of CPU per value handed in; best of three runs. `still`: places whose source time never moves."""
    table = {f"tag_{n}": TagBase.model_validate(keys) for n in range(TAGS)}
    tags = tuple(range(TAGS))
    best = float("inf")
    for _ in range(3):
        normalize = compile_normalizer("bench", table, cat=lambda: 1, clock=SystemClock())
        samples = []
        for n in range(ROUNDS):
            ts = T0 + 1000 * n
            answer = Answer(
                tags=(*tags[:-1], TAGS - 1) if fresh else tags,
                values=values[n % 2],
                ts=ts,
                status=status,
                src=[T0 - 5 if still(place) else ts - 5 for place in range(TAGS)] if src else None,
            )
            samples.append(Sample(ts=ts, answers=[answer]))
        start = time.process_time()
        for sample in samples:
            normalize(sample)
        best = min(best, time.process_time() - start)
    return best / ROUNDS / TAGS * 1e6


def main() -> None:
    """Print the table."""
    floats = [[n * 0.5 + k for n in range(TAGS)] for k in (0, 1)]
    integers = [[n + k for n in range(TAGS)] for k in (0, 1)]
    print(f"{'us CPU per reading':<44}{'float':>8}{'int':>8}{'source ts':>11}{'one-off':>9}")
    for name, keys in CASES.items():
        row = [
            cpu_per_reading(keys, values=floats, src=False, fresh=False),
            cpu_per_reading(keys, values=integers, src=False, fresh=False),
            cpu_per_reading(keys, values=floats, src=True, fresh=False),
            cpu_per_reading(keys, values=floats, src=True, fresh=True),
        ]
        print(f"{name:<44}{row[0]:>8.3f}{row[1]:>8.3f}{row[2]:>11.3f}{row[3]:>9.3f}")
    mixed = [0] * (TAGS - 1) + [0x80340000]
    one_bad = cpu_per_reading(CASES["plain"], values=floats, src=False, fresh=False, status=mixed)
    print(f"{'plain, one of 120 bad':<44}{one_bad:>8.3f}")
    for name, still in {
        "poll of nodes whose source times stand still": lambda _place: True,
        "poll of nodes, every other source time moves": lambda place: place % 2 == 0,
    }.items():
        cost = cpu_per_reading(CASES["plain"], values=floats, src=True, fresh=False, still=still)
        print(f"{name:<44}{cost:>8.3f}")


if __name__ == "__main__":
    main()
