from __future__ import annotations

import re

from agent.core.errors import (
    AgentError,
    ConfigError,
    ConnectionLost,
    Mistake,
    PermanentError,
    Rejected,
    TransientError,
    leaves,
)
from agent.core.ids import ulid


def test_ulid_is_well_formed():
    """26 characters of Crockford's alphabet, the first within 48 bits of time."""
    assert re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", ulid(1_763_760_000_000))


def test_ulid_carries_its_time():
    """Its first ten characters are the milliseconds, as the specification's example has them; later ones sort later."""
    assert ulid(1_469_918_176_385)[:10] == "01ARYZ6S41"
    assert ulid(1) < ulid(2) < ulid(2**48 - 1)


def test_ulids_are_unique():
    """Many in one millisecond differ."""
    assert len({ulid(1) for _ in range(10_000)}) == 10_000


def test_mistakes_name_file_and_line():
    """A mistake reads as an editor understands it, with the way out at its end."""
    assert str(Mistake("agent.yaml", 7, "40001 is not an address", "quote it")) == (
        "agent.yaml:7: 40001 is not an address -> quote it"
    )
    assert str(Mistake("agent.yaml", None, "cannot be read")) == "agent.yaml: cannot be read"


def test_all_mistakes_at_once():
    """One error carries every mistake and says each on its own line."""
    error = ConfigError.of([Mistake("a.yaml", 1, "one"), Mistake("b.yaml", 2, "two", "do")])
    assert [mistake.reason for mistake in error.mistakes] == ["one", "two"]
    assert str(error) == "a.yaml:1: one\nb.yaml:2: two -> do"
    assert str(ConfigError("a.yaml", 3, "x")) == "a.yaml:3: x"


def test_errors_are_judged_by_consequence():
    """A lost connection is a transient error; nothing permanent or rejected is."""
    assert issubclass(ConnectionLost, TransientError)
    assert not issubclass(PermanentError, TransientError)
    assert not issubclass(Rejected, TransientError)
    assert all(issubclass(kind, AgentError) for kind in (ConfigError, TransientError, PermanentError, Rejected))


def test_errors_say_what_they_carry():
    """Reason, hint, retry_after and code are to be had; str() is for people."""
    assert ConnectionLost("refused", retry_after=3).retry_after == 3
    assert TransientError("busy").retry_after is None
    assert str(PermanentError("no such file", "create it")) == "no such file -> create it"
    assert (Rejected("too large", code=0x95).code, str(Rejected("too large"))) == (0x95, "too large")


def test_leaves():
    """Groups are unwrapped, however deep; a bare error is its own leaf."""
    one, two, three = ValueError(1), KeyboardInterrupt(), OSError(3)
    group = BaseExceptionGroup("g", [one, BaseExceptionGroup("h", [two, three])])
    assert list(leaves(group)) == [one, two, three]
    assert list(leaves(one)) == [one]
