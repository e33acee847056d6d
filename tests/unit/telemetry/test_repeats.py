from __future__ import annotations

from agent.telemetry.repeats import MOST_KEYS, Flapping, Repeats


def test_once_a_minute_then_every_ten():
    """A fact that repeats each second is said at once, each minute for ten minutes, then every ten."""
    repeats = Repeats()
    said = [(second, n) for second in range(3600) if (n := repeats.due("fact", float(second))) is not None]
    assert said[:3] == [(0, 0), (60, 59), (120, 59)]
    assert [second for second, _ in said] == [*range(0, 600, 60), *range(1140, 3600, 600)]
    assert sum(n for _, n in said) + len(said) + repeats.over("fact") == 3600


def test_facts_do_not_hide_each_other():
    """Each fact has its own count."""
    repeats = Repeats()
    assert repeats.due("a", 0.0) == 0
    assert repeats.due("b", 1.0) == 0
    assert repeats.due("a", 2.0) is None


def test_over():
    """A fact that ended gives the repetitions that were kept back, and is news when it comes again."""
    repeats = Repeats()
    for second in range(4):
        repeats.due("a", float(second))
    assert repeats.over("a") == 3
    assert repeats.over("a") == 0
    assert repeats.due("a", 5.0) == 0


def test_bounded():
    """Facts with ever new words do not fill the memory: the oldest is forgotten, and is news when it comes again."""
    repeats = Repeats()
    for number in range(MOST_KEYS + 1):
        assert repeats.due(f"fact {number}", 0.0) == 0
    assert repeats.due("fact 1", 1.0) is None
    assert repeats.due("fact 0", 1.0) == 0


def test_flapping():
    """A second outage is news; what comes and goes every ten seconds is three times two lines a minute. The log is
    never out of date for long.
    """
    flapping = Flapping()
    log: list[tuple[int, object]] = []
    for second in range(90):
        if second % 10 < 5:
            if (repeats := flapping.lasts(float(second), news=second % 10 == 0)) is not None:
                log.append((second, repeats))
        elif flapping.ended():
            log.append((second, "over"))
    first = [(0, 0), (5, "over"), (10, 0), (15, "over"), (20, 0), (25, "over")]
    again = [(60, 3), (65, "over"), (70, 0), (75, "over"), (80, 0), (85, "over")]
    assert log == first + again
    assert flapping.lasts(91.0) is None
    assert flapping.lasts(121.0) == 1, "it lasts, and is said as soon as it may be"
    assert flapping.lasts(180.0) is None
    assert flapping.lasts(181.0) == 1
    assert flapping.ended()
    assert not flapping.ended()
