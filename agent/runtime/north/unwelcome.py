"""What makes a broker disconnect beside the data: status, catalogue, births. Found as `suspects` finds records. Pure.

What was in flight `DROPS` times in a row when the broker disconnected is a suspect: from then on it waits until the
data flows, and is sent alone. What then ends the session is left out at this broker. Where it is larger than all that
the broker ever took, its size may be why: the next suspect has its turn first, and a smaller limit (learned by the
publisher) begins anew. Where `KIND` topics of a kind (the last level of a topic) were left out, the whole kind is: it
is a rule of the broker, not the name of a device. The parts of a catalogue are one topic.

Known of each broker, in memory only: once the broker allows the topic, restart the agent or wait `FORGOTTEN_AFTER`.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from agent.settings.topics import whole

#: After so many disconnects in a row, what was in flight each time is a suspect.
DROPS = 3
#: So many topics of a kind that are left out stand for all of it.
KIND = 2
#: Data goes first so long, before something is sent that may end the session, seconds.
PATIENCE = 5.0
#: What is left out is tried again so long after it was, seconds.
FORGOTTEN_AFTER = 86_400.0

Verdict = Literal["welcome", "accused", "left out"]


class _KnownBroker(Struct):
    """Of one broker."""

    drops: dict[str, int] = field(default_factory=dict)
    alone: dict[str, int] = field(default_factory=dict)  #: disconnects while nothing else was in flight
    left_out: dict[str, float] = field(default_factory=dict)  #: topics or kinds, since when
    limit: int | None = None  #: largest packet of the last session


class Unwelcome:
    """What a route remembers from one session to the next."""

    def __init__(self) -> None:
        self._brokers: dict[str, _KnownBroker] = {}
        self._known = _KnownBroker()
        self._dropped: dict[str, None] = {}  # in the order they were in flight: they are tried alone in that order
        self._cleared: dict[str, int] = {}  # how often each had been dropped before it was taken
        self._alone: str | None = None
        self._heard = self._large = False

    def session(self, broker: str, limit: int | None = None) -> None:
        """The next session begins; `limit` is its largest packet. With another one what was alone begins anew."""
        known = self._known = self._brokers.setdefault(broker, _KnownBroker())
        self._dropped, self._cleared, self._alone, self._heard, self._large = {}, {}, None, False, False
        if limit != known.limit:
            known.limit = limit
            known.alone.clear()

    def judge(self, topic: str, now: float) -> Verdict:
        """What is to become of a message on this topic."""
        known, topic = self._known, whole(topic)
        if not known.drops and not known.left_out:
            return "welcome"
        for name in (topic, _kind(topic)):
            since = known.left_out.get(name)
            if since is not None and now - since < FORGOTTEN_AFTER:
                return "left out"
            known.left_out.pop(name, None)
        return "accused" if known.drops.get(topic, 0) >= DROPS or self._like_others(topic) else "welcome"

    def accused(self) -> list[str]:
        """Topics that wait for their turn alone."""
        return [topic for topic, count in self._known.drops.items() if count >= DROPS]

    def _like_others(self, topic: str) -> bool:
        """Another one of its kind is left out, and this one has never been taken since."""
        kind = _kind(topic)
        return topic not in self._known.alone and any(_kind(one) == kind for one in self._known.left_out)

    def alone(self, topic: str | None) -> None:
        """This topic is in flight now and nothing else; None: no longer."""
        self._alone = topic

    def taken(self, topic: str) -> None:
        """The broker took it."""
        self._heard, topic = True, whole(topic)
        if count := self._known.drops.pop(topic, 0):
            self._cleared[topic] = count
        if self._alone == topic:
            self._known.alone[topic] = 0

    def dropped(self, topic: str, *, large: bool = False) -> None:
        """It was in flight when the broker disconnected. Called for each one. `large`: see ConnectionLost."""
        name = whole(topic)
        if name != topic and (count := self._cleared.pop(name, 0)):  # the part before it was taken: that clears it not
            self._known.drops[name] = count
        self._dropped[name] = None
        self._large |= large

    def ended(self, *, heard: bool, now: float) -> str | None:
        """The session is over; what is left out from now on, a topic or all of a kind (`#/kind`), if that is news.

        `heard`: the broker took something in it.
        """
        dropped, self._dropped = self._dropped, {}
        if not dropped:
            return None
        known, alone = self._known, self._alone
        if alone is not None and dropped.keys() == {alone}:
            times = known.alone[alone] = known.alone.get(alone, 0) + 1
            if times >= DROPS + self._large or ((heard or self._heard) and not self._large):
                return self._leave_out(alone, now)
            known.drops[alone] = known.drops.pop(alone, DROPS)
            return None
        accused = {topic: count for topic, count in known.drops.items() if count >= DROPS or topic in dropped}
        known.drops = accused | {topic: accused.get(topic, 0) + 1 for topic in dropped}
        return None

    def _leave_out(self, topic: str, now: float) -> str:
        known, kind = self._known, _kind(topic)
        known.drops.pop(topic, None)
        known.alone.pop(topic, None)
        known.left_out[topic] = now
        alike = [one for one in known.left_out if _kind(one) == kind]
        if len(alike) < KIND:
            return topic
        for one in alike:
            del known.left_out[one]
        known.left_out[kind] = now
        return kind


def _kind(topic: str) -> str:
    """The last level."""
    return f"#/{topic.rpartition('/')[2]}"
