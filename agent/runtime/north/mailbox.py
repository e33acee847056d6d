"""Status and catalogue on their way to the broker: the newest message of a topic wins, nothing piles up."""

from __future__ import annotations

from collections.abc import Sequence

from agent.core.flow import Message


class Mailbox:
    """Holds what is to be said beside the data. Filled on the loop at any time; emptied by one task."""

    def __init__(self) -> None:
        self._letters: dict[str, list[Message]] = {}

    def post(self, messages: Sequence[Message]) -> None:
        """What one event says replaces what earlier events said on the same topics; its own order is kept."""
        topics: dict[str, list[Message]] = {}
        for message in messages:
            topics.setdefault(message.topic, []).append(message)
        for topic, letters in topics.items():
            self._letters.pop(topic, None)
            self._letters[topic] = letters

    def take(self) -> Sequence[Message]:
        """All there is to say now."""
        letters, self._letters = self._letters, {}
        return [message for same_topic in letters.values() for message in same_topic]
