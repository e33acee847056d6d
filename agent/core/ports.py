"""The ports: what components ask of each other. Contracts in the docstrings; suites in `agent.testing` check them.

A context manager instead of start/stop, so that "closed on cancel" cannot be forgotten; iterators hold no resource,
``open()`` does.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import Any, Literal, Protocol, Self, runtime_checkable

from msgspec import Struct, field

from agent.core.clock import Clock, SystemClock
from agent.core.flow import Batch, DialogueEvent, Gap, Incoming, Limits, Message, Record, ResendRequest, Sample, Stream
from agent.core.image import Image
from agent.core.sessions import Sessions

# --- southbound -------------------------------------------------------------------------------------------------------


class Collector(Protocol):
    """Reads one device."""

    def open(self) -> AbstractAsyncContextManager[AsyncIterator[Sample]]:
        """Entering connects; iterating reads; leaving disconnects, also on cancel, and never hangs.

        Raises ConnectionLost / TransientError (the supervisor backs off and opens again) or PermanentError, on entering
        or while iterating. Retries and back-off are the supervisor's. Each call is a fresh connection.
        """


@runtime_checkable
class Retaggable(Collector, Protocol):
    """A collector that can go on with other tags over the connection it has.

    The iterator of its `open()` may be cancelled while it is waited for, and asked again.
    """

    async def prepare(self, successor: Collector, /) -> bool:
        """What takes long of :meth:`retag`, before it. False: these tags need another connection."""

    def retag(self, successor: Collector, /) -> bool:
        """Read what `successor`, built from the new configuration, would read; only the tags differ.

        True: from the next sample on positions are those of the successor, which is never opened. Tags that did not
        change are read at the instants they would have been. False: not now, a cycle is under way; ask after the next
        sample.
        """


@runtime_checkable
class Heir(Collector, Protocol):
    """A collector that knows since when nobody has listened, also where it takes the place of another."""

    def inherit(self, before: Collector, /) -> None:
        """`before` read the same device until now, as it was configured then; it is closed for good."""


class Bus(Protocol):
    """A connection or bus that several collectors share; sole owner of its socket. What is asked of it is its own."""

    async def run(self) -> None:
        """Own the connection until cancelled; always finishes (or abandons with the connection) the one in flight.

        Never raises for a lost peer: it reconnects by itself while somebody asks.
        """


class Normalizer(Protocol):
    """Samples → batches. Knows the tags of one device, compiled once."""

    def __call__(self, sample: Sample, /) -> Batch | None:
        """None where nothing is to be said. Never raises for a bad value: it marks quality.

        `Sample.lost(reason, ts)` passes through it too, so that on_change says the value again after recovery; an empty
        sample says "confirmed unchanged at ts".
        """

    def awaits(self, since: int, /) -> None:
        """It was published for then (epoch ms) that tags wait for their first value; for no earlier time."""

    def set_back(self, by: int, /) -> None:
        """The wall clock was set back by so many milliseconds (below zero): times still to come move along."""

    def times(self) -> Mapping[str, int]:
        """The newest `ts` of each tag, those that are gone among them."""

    def begin_after(self, times: Mapping[str, int], /) -> None:
        """No tag's time goes back behind these, also where the device was not configured for a while."""

    def resume(self, before: Self, same: Callable[[str], bool], /) -> None:
        """Go on after the normalizer of the device's former configuration: no tag's time goes back.

        For tags that `same` names nothing has changed: they go on as they were.
        """


class BuildContext(Protocol):
    """What a configuration model may use when it builds its part."""

    agent: str
    data_dir: Path
    clock: Clock
    recording: bool  #: what is read goes into outboxes; False for a command that only looks

    @property
    def devices(self) -> int:
        """How many devices are read, this one among them."""

    def recorded(self, device: str, /) -> int | None:
        """Until when (epoch ms) earlier runs recorded, or handed out, readings of this device; None: not known."""

    def room(self, device: str, /) -> int:
        """Bytes of the largest message that any route of this device carries; a larger value is not worth keeping."""

    def bus(self, key: str, make: Callable[[], Bus], /) -> Any:
        """The bus known as `key`, made by `make` and put under supervision if it is new."""

    def note(self, device: str, key: str, value: object, /) -> None:
        """Put something for people into the image (None takes it back)."""

    def while_running(self, register: Callable[[], Callable[[], None]], /) -> None:
        """Call `register()` when the part that is built begins to work, and the undo it returns when it has ended.

        What is built may never begin: building must leave no trace elsewhere.
        """


# --- the wall ---------------------------------------------------------------------------------------------------------


class Memo(Protocol):
    """Small durable notes of a route (retained topics, bdSeq): they live in the outbox's file."""

    def get(self, key: str, /) -> bytes | None:
        """The newest value put, committed or not."""

    def put(self, key: str, value: bytes | None, /) -> None:
        """At once, never waits; durable with the next commit (`Outbox.flush` to be sure). None deletes."""


class Lost(Struct):
    """Records that were given up, all of them declared."""

    records: int = 0
    readings: int = 0
    from_ts: int = 0  #: of the oldest of them; 0 while there is none
    to_ts: int = 0

    def add(self, ts: int, readings: int) -> None:
        """One more."""
        self.merge(Lost(1, readings, ts, ts))

    def merge(self, more: Lost) -> None:
        """More of them."""
        self.from_ts = more.from_ts if not self.records else min(self.from_ts, more.from_ts)
        self.to_ts = max(self.to_ts, more.to_ts)
        self.records += more.records
        self.readings += more.readings


class Resent(Struct, frozen=True):
    """What became of a :class:`ResendRequest`: numbers of each kind. The rest waits in its lane, or never existed."""

    again: int = 0  #: to be sent again
    lost: int = 0  #: not kept, and declared lost now


class OutboxStats(Struct, kw_only=True):
    """Figures of one outbox, cheap to ask for."""

    records: int = 0  #: kept and not acknowledged (memory included)
    bytes: int = 0  #: of those
    oldest_ts: int | None = None
    backlog: int = 0  #: of those, what no longer goes live in the present session (all of them without a session)
    quarantined: int = 0
    dropped_records: int = 0  #: since start, whatever the reason, quarantined ones among them
    lost: Lost = field(default_factory=Lost)  #: since start; what is quarantined is not lost
    again: int = 0  #: records to be sent once more; they are not among `records`
    limit: int = 0  #: bytes it may hold now: `max_bytes`, or less where the disk is short
    max_age: float | None = None  #: seconds after which a record that waits is given up
    full: bool = False  #: records are being lost for want of room, or were until a moment ago
    appended_bytes: int = 0  #: packed bytes of all records that came in since start
    written_bytes: int = 0  #: payload bytes handed to the disk since start
    free_disk: int | None = None  #: bytes free on its disk, as of a few seconds ago; None: it has none
    min_free_disk: int = 0  #: below so many it stops growing
    turn_s: float = 0.0  #: seconds since its writer last came round, whatever came of it; it does every second
    committing: bool = True  #: False while the disk refuses (the ring in memory holds on)
    refusal: str | None = None  #: why it does, and behind ` -> ` what to do


class Outbox(Protocol):
    """The durable store-and-forward queue in front of one publisher."""

    memo: Memo

    def open(self) -> AbstractAsyncContextManager[None]:
        """Entering opens the file, a new epoch, and declares what happened before; leaving commits and closes."""

    def append(self, content: Batch | Gap, /) -> None:
        """At once, never waits, never raises. Stream and seq are given here; batches over the route's size are cut.

        The ring in memory is bounded; what overflows it is a declared gap.
        """

    async def flush(self) -> None:
        """Return when all appended so far is committed (or the disk refuses: then what is in the ring stays there)."""

    def reader(self) -> AbstractContextManager[Reader]:
        """The cut: everything appended before is backlog, everything after is live. One per broker session."""

    def end_session(self, reason: str, /) -> None:
        """Hand nothing more out in the broker session that is on: its readers raise ConnectionLost."""

    async def resend(self, request: ResendRequest, /) -> Resent | None:
        """What is kept of these numbers is handed out again (`Reader.again`); the others below `low` are declared.

        What was declared before is declared once more only where the request insists. None where the stream is not this
        outbox's. Raises TransientError while the disk refuses.
        """

    def scanned(self, device: str, due: int, done: int, late: int, /) -> None:
        """So many more scans of a device; written down with its next record."""

    def streams(self) -> Sequence[Stream]:
        """Older streams that still have something unacknowledged, then those of this run."""

    def recorded(self, device: str, /) -> int | None:
        """When (epoch ms) earlier runs appended their last record of this device, or later; None: not known."""

    @property
    def stats(self) -> OutboxStats:
        """Figures as of now."""


class Reader(Protocol):
    """Hands out committed records, each once per reader."""

    async def live(self, limit: int, /) -> Sequence[Record]:
        """Wait for records appended after the cut; 1 to `limit`, in order of append."""

    async def backlog(self, limit: int, /) -> Sequence[Record]:
        """Wait for records from before the cut, or that fell out of the live lane; oldest first, `historical`."""

    async def again(self, limit: int, /) -> Sequence[Record]:
        """Wait for records somebody asked for once more, in the order of asking; `historical` and `resent`.

        They stay asked for until they are acknowledged or rejected, over sessions and runs.
        """

    @property
    def behind(self) -> bool:
        """Whether live records wait to be handed out."""

    @property
    def backlog_left(self) -> int:
        """Records :meth:`backlog` has yet to hand out."""

    def ack(self, record: Record, /) -> None:
        """The broker has it. Any order; the row goes with the next commit, within 1 s."""

    def reject(self, record: Record, reason: str, /) -> None:
        """The broker will never have it: to quarantine, declared as a gap."""

    def retry(self, record: Record, /) -> None:
        """Refused for now: it comes again as backlog, `historical`, before later rows that were not handed out yet."""

    def put_off(self, record: Record, /) -> None:
        """Not in this session: it waits on the disk for the next reader, and nobody holds it in memory meanwhile."""


# --- northbound -------------------------------------------------------------------------------------------------------


class RouteInfo(Struct, frozen=True, kw_only=True):
    """What a route's encoder must know of its publisher."""

    name: str
    agent: str
    root: str = "edge"
    topic: str = "{root}/{location}/{device}"
    qos: int = 1
    max_message_bytes: int = 96 * 1024
    wants: Callable[[str], bool] = lambda _device: True  #: the route's `devices:` globs
    sessions: Sessions = field(default_factory=Sessions)  #: of all routes of this run
    clock: Clock = field(default_factory=SystemClock)
    status: bool = True  #: whether status topics are published
    catalogue: bool = True  #: … and catalogues
    resend: Callable[[], bool] = lambda: False  #: whether records that consumers ask for are sent once more
    properties: bool | None = None  #: user properties travel with messages; None: it is the broker that decides


class Encoder(Protocol):
    """Readings → payloads and topics. Holds configuration only; what is sent in a session is the dialogue's.

    It may also have `snapshots: bool` (True where it has none: the route appends a snapshot of every device to the
    outbox at each cut) and `tick: float | None` (seconds between Tick events; None, as where it has none: none wanted).
    """

    def begin(self, image: Image, memo: Memo, /) -> Dialogue:
        """A dialogue for the next CONNECT. `memo` is committed before the CONNECT is sent."""


class Dialogue(Protocol):
    """What one encoder says during one broker session. Pure but for what its standard makes stateful."""

    will: Message | None
    listens: Sequence[str]

    def __call__(self, event: DialogueEvent, /) -> Sequence[Message]:
        """Messages to send because of `event`, in order. Those of a Record acknowledge it when all are acknowledged.

        For everything else they go into a newest-wins mailbox per topic and are sent before data. Rejected, raised for
        a record, says that it can never be sent.
        """


@runtime_checkable
class Repairing(Dialogue, Protocol):
    """A dialogue that takes consumers' requests for records."""

    repairs: str | None  #: topic on which they do; None: nobody is listened to

    def request(self, incoming: Incoming, /) -> ResendRequest:
        """What is asked for in a message on that topic. Raises Rejected where it makes no sense."""


Course = Literal["hold", "open", "flow", "leave"]
"""What a stateful dialogue wants next. hold: no records; open: a cut, then :class:`Opening`; flow: records;
leave: the end of this session, and another attempt later."""


@runtime_checkable
class Stateful(Dialogue, Protocol):
    """A dialogue whose messages count: each is made and written before the next one is made, whatever caused it.

    It says when data may flow, and it is asked for a will at every CONNECT.
    """

    course: Course  #: looked at after every event
    why: str  #: words for people: why it holds or leaves; empty where it does so for a moment only
    linger: float  #: seconds a record is kept after the broker has read it, in case it must be sent again

    def connecting(self) -> Message:
        """The will of the CONNECT about to be sent. What it puts into the memo is committed before that."""


WillMaker = Callable[[], Awaitable[Message]]
"""Awaited for every CONNECT packet, when the way to the broker stands and nothing but the packet is missing."""


class Publisher(Protocol):
    """Hands messages to one broker."""

    def open(self, will: Message | WillMaker | None, listens: Sequence[str], /) -> AbstractAsyncContextManager[Session]:
        """Entering connects, subscribes and returns after SUBACK; leaving disconnects. Each time a fresh client.

        Left by an exception, the session ends so that the broker says the will.
        Raises ConnectionLost / TransientError / PermanentError. While open, a lost connection surfaces from `send` and
        `closed`.
        """


@runtime_checkable
class Learning(Publisher, Protocol):
    """A publisher that learns what its broker takes, and is to know it again after a restart."""

    def recall(self, memo: Memo, /) -> None:
        """Before the first opening: what earlier runs have learned is in there, what this one learns goes there."""


@runtime_checkable
class Adjustable(Publisher, Protocol):
    """A publisher of whose configuration a part may change while its session goes on."""

    def adjust(self, successor: Publisher, /) -> None:
        """Take that part over from `successor`, built from the new configuration and never opened."""


class Session(Protocol):
    """One connection to a broker."""

    limits: Limits

    async def send(self, messages: Sequence[Message], /) -> Future[None]:
        """Return once all are written inside the window; the future completes at the last PUBACK < 0x80.

        The future fails with Rejected (never again), Refused (later) or ConnectionLost (the session is over).
        """

    def incoming(self) -> AsyncIterator[Incoming]:
        """Messages on the topics listened to; ends with the session."""

    async def closed(self) -> None:
        """Wait until the connection is gone, then raise why (ConnectionLost, TransientError with retry_after, ...)."""
