"""What stays retained about the agent itself: its status, and its streams where the status has no room for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import structs

from agent.core.flow import Message, Stream
from agent.core.image import AgentInfo
from agent.core.ports import Memo, RouteInfo
from agent.encoders.common import retained
from agent.encoders.common.messages import AgentStatus, ConfigStatus, EndedStatus, StreamStatus, encode
from agent.encoders.common.topics import agent_status, agent_topic
from agent.encoders.common.wire import overhead

#: In the memo: where the agent's status may be retained.
_STATUS_TOPIC = "agent.status"
#: How many parts the streams had at the broker when they were published last.
_PARTS = "agent.streams"


class AgentTopics:
    """Of one session."""

    def __init__(self, route: RouteInfo, memo: Memo, session: str, *, resends: bool) -> None:
        """`resends`: requests of consumers are listened to."""
        self.status = agent_status(route)
        self._route = route
        self._memo = memo
        self._session = session
        self._resends = resends

    def say(
        self,
        state: Literal["online", "offline"],
        about: AgentInfo,
        ts: int,
        streams: Sequence[Stream],
        *,
        protocol: str,
        limit: int,
    ) -> list[Message]:
        """The status, in packets of `limit` bytes; `offline` comes last."""
        if not self._route.status:
            return []
        told = {stream.device: _stream_status(stream) for stream in streams}
        status = AgentStatus(
            state=state,
            session=self._session,
            version=about.version,
            mqtt=protocol,
            config=ConfigStatus(about.config, about.attempted or about.config, about.error),
            shard=about.shard,
            publisher=self._route.name,
            resend=self._resends and self._route.resend(),
            streams=told,
            ts=ts,
        )
        message, parts = retained.message(self.status, encode(status)), list[Message]()
        below = agent_topic(self._route, "streams")
        if len(message.payload) > limit - overhead(self.status, ()):
            parts = retained.streams(below, self._session, told, ts, limit)
            message.payload = encode(structs.replace(status, streams={}, streams_parts=len(parts)))
        before = int(self._memo.get(_PARTS) or b"0")
        self._memo.put(_PARTS, b"%d" % len(parts) if parts else None)
        gone = [retained.empty(f"{below}/{i}") for i in range(len(parts) + 1, before + 1)]
        return [message, *parts, *gone] if state == "online" else [*parts, *gone, message]

    def settle(self) -> None:
        """What was taken back has had its time to arrive: forget it."""
        self._memo.put(_STATUS_TOPIC, " ".join(self._here()).encode())

    def clear_moved(self) -> list[Message]:
        """Take back the status where it was published under another root."""
        here = self._here()
        known = {*here, *(self._memo.get(_STATUS_TOPIC) or b"").decode().split()}
        self._memo.put(_STATUS_TOPIC, " ".join(sorted(known)).encode())
        return [retained.empty(topic) for topic in sorted(known - {*here, self.status})]

    def _here(self) -> list[str]:
        return [self.status] if self._route.status else []


def _stream_status(stream: Stream) -> StreamStatus:
    before = [
        EndedStatus(one.epoch, one.next, one.readings, retained.totals(one.scans) if one.scans.due else None)
        for one in stream.before
    ]
    return StreamStatus(stream.epoch, stream.low, _told(stream), before)


def _told(stream: Stream) -> int:
    """The next number, as far as a consumer may be told: one that waits for its commit is not yet anybody's."""
    return stream.next if stream.safe is None else stream.safe
