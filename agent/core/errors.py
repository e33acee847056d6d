"""Errors, named by what the caller does about them (docs/architecture.md).

A foreign exception is translated into one of these once, in the one file that touches its library. A tag that cannot be
read is no error: it is a reading with quality bad.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

#: Where a URL has what may be a secret: `//user:…@host`, `?password=…`.
_SECRETS = re.compile(
    r"(?<=://)[^/@\s\"']+(?=@)|(?<=[?&;])[\w-]*(?:pass|pwd|token|secret|key|auth)[\w-]*=[^&\s'\"]+", re.IGNORECASE
)
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class AgentError(Exception):
    """Base of every error the agent raises on purpose. ``str()`` is fit for an operator."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in a configuration: where it stands, what is wrong, what to write instead."""

    path: str  #: file, as the user named it
    line: int | None  #: 1-based; None where a file has no lines (it is missing, say)
    reason: str  #: what was found
    hint: str = ""  #: what to write instead; may be empty

    def __str__(self) -> str:
        return self.at(None)

    def at(self, column: int | None) -> str:
        """With the column, from 1, where one is known: `agent.yaml:7:14: …`, as editors and terminals take it."""
        where = ":".join(str(part) for part in (self.path, self.line, column) if part)
        return _SECRETS.sub("…", f"{where}: {self.reason}" + (f" -> {self.hint}" if self.hint else ""))


class ConfigError(AgentError):
    """The configuration cannot be used. At start: exit code 2; on reload: the old configuration stays.

    Carries every mistake found, so that one run of `check` shows them all.
    """

    def __init__(self, path: str, line: int | None, reason: str, hint: str = "") -> None:
        self.mistakes: Sequence[Mistake] = (Mistake(path, line, reason, hint),)
        super().__init__(str(self.mistakes[0]))

    @classmethod
    def of(cls, mistakes: Sequence[Mistake]) -> ConfigError:
        """Several mistakes as one error. `mistakes` is not empty."""
        first = mistakes[0]
        error = cls(first.path, first.line, first.reason, first.hint)
        error.mistakes = tuple(mistakes)
        error.args = ("\n".join(str(m) for m in mistakes),)
        return error


class TransientError(AgentError):
    """It may work later: the supervisor backs off and reopens; a route tries the record again.

    `retry_after` (seconds), if given, is waited at least.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class ConnectionLost(TransientError):
    """The peer is gone or never was there: back off and reopen.

    `blames`: the peer disconnected, perhaps because of something that was in flight. `large`: this message is much
    larger than any it ever took, which may be why. `learned`: the reason is known, and is none the next time.
    """

    def __init__(
        self, reason: str, *, retry_after: float | None = None,
        blames: bool = False, large: bool = False, learned: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(reason, retry_after=retry_after)
        self.blames = blames
        self.large = large
        self.learned = learned


class Refused(TransientError):
    """The broker refuses this message for now, others may pass: its device waits `retry_after`.

    `attempts`: quarantine the record after so many refusals; None: never (a missing permission must not eat data).
    """

    def __init__(
        self, reason: str, *, retry_after: float, attempts: int | None = None, code: int | None = None
    ) -> None:
        super().__init__(reason, retry_after=retry_after)
        self.attempts = attempts
        self.code = code  #: MQTT reason code, where there is one: the same cause, whatever the words


class Rejected(AgentError):
    """The broker will never take this record: the route quarantines it, counts it, goes on."""

    def __init__(self, reason: str, *, code: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code  #: MQTT reason code, where there is one


class PermanentError(AgentError):
    """This one component cannot work as it is configured: logged once, tried again every 5 min and on reload."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason if not hint else f"{reason} -> {hint}")
        self.reason = reason
        self.hint = hint


def exhausted(error: BaseException) -> bool:
    """Whether the process or the machine has run out, of descriptors say: what was asked for is not to blame."""
    return isinstance(error, OSError) and error.errno in _EXHAUSTED


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions inside (nested) groups, or the exception itself: groups are unwrapped before they are judged."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error
