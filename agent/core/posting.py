"""What a session may offer beside `Session.send`, where nobody has to wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from agent.core.flow import Message
from agent.core.ports import Session

#: Told once what became of messages: None where they were taken, else what the future of `Session.send` would raise.
Answered = Callable[[BaseException | None], None]


@runtime_checkable
class Prompt(Session, Protocol):
    """A session that can write at once where nothing stands in the way: without a task that waits, or a future.

    It is known by the name of its method: one that a session for HTTP may have of its own, `post` say, would not do.
    """

    def send_at_once(self, messages: Sequence[Message], answered: Answered, /) -> bool:
        """Write all of them now, and tell `answered` in a later turn of the loop.

        False where `send` would have to wait, or would refuse them: nothing is written, nothing is told.
        """
