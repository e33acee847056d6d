"""The library's session, decoding large answers beside the loop.

Within the bounds of `bounds.py` an answer may still take a second to decode. In a thread of its own it takes that
second in the interpreter's slices, and the loop goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncua import ua
from asyncua.client.ua_session import UaSession
from asyncua.ua import ua_binary
from asyncua.ua.ua_binary import struct_from_binary

from agent.collectors.opcua.wire.answers import publish_answer, read_answer
from agent.collectors.opcua.wire.bounds import BoundedBuffer, Budget
from agent.collectors.opcua.wire.columns import LARGE, Columns, Foreign, ValueReader
from agent.collectors.opcua.wire.errors import LimitExceeded
from agent.collectors.opcua.wire.limits import WireLimits
from agent.collectors.opcua.wire.slow import columns_of

if TYPE_CHECKING:
    from agent.collectors.opcua.wire.protocol import BoundedClient

#: Values decoded in one go; a millisecond's work.
SLICE = 2_000

_STAMP = Struct("<qI")  # of a request's header: when it was made, 100 ns since 1601, and its handle
_TICKS_1970 = 116_444_736_000_000_000


class Encoded(NamedTuple):
    """A Read request, made once for all the times it is sent: its time and handle are patched."""

    body: bytearray
    stamp: int  #: where they stand
    asked: int  #: nodes

    @property
    def weight(self) -> int:
        """Bytes of a node, its share of the header included."""
        return -(-len(self.body) // self.asked)

    def patched(self, handle: int) -> bytes:
        """As it is sent now."""
        _STAMP.pack_into(self.body, self.stamp, time.time_ns() // 100 + _TICKS_1970, handle)
        return bytes(self.body)


class Heard(NamedTuple):
    """A notification of data changes, or a keep-alive."""

    subscription: int
    sequence: int
    made: int  #: when, by the server's clock, 100 ns since 1601
    handles: tuple[int, ...]  #: client handles
    columns: Columns | None  #: None: a keep-alive


class BoundedSession(UaSession):
    """A session that leaves publishing to the collector."""

    def ensure_publish_loop(self) -> None:
        """Nothing: the library's loop has one request in flight and hides errors behind retries."""

    async def ask(self, request: Any, kind: type, timeout: float | None = None) -> Any:
        """Send a request; its answer, which is of this kind and good."""
        data: Any = await self._send_request(request, timeout)
        return await decoded(kind, data)

    def encode(self, nodes: Sequence[Any]) -> Encoded:
        """A Read of these (ReadValueIds): values and source times."""
        transport: BoundedClient = self._client  # type: ignore[assignment]  # what it is made with
        request = ua.ReadRequest()
        request.RequestHeader.AuthenticationToken = self.authentication_token
        request.RequestHeader.TimeoutHint = round(transport.timeout * 1000)
        request.Parameters.MaxAge = 0
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Source
        request.Parameters.NodesToRead = list(nodes)
        before = ua_binary.nodeid_to_binary(request.TypeId) + ua_binary.nodeid_to_binary(self.authentication_token)
        return Encoded(bytearray(ua_binary.struct_to_binary(request)), len(before), len(nodes))

    async def values(self, request: Encoded) -> Columns:
        """Send it; as many rows as nodes. An answer that is large lets the loop breathe."""
        transport: BoundedClient = self._client  # type: ignore[assignment]
        data = await transport.send_encoded(request)
        body, limits = data.read(len(data)), data.allowance.limits
        reader = read_answer(body, request.asked, limits, foreign_of(body, limits))
        if reader is not None:
            return (await _swept(reader)).columns
        response = await decoded(ua.ReadResponse, BoundedBuffer(body, Budget(limits)))
        results = response.Results or ()
        if len(results) != request.asked:
            raise LimitExceeded(f"{len(results)} answers for {request.asked} nodes")
        return columns_of(results)

    async def notification(self, acks: Sequence[Any]) -> Heard | Any:
        """A Publish. What is not a plain change of data or a keep-alive is the library's response."""
        request = ua.PublishRequest()
        request.Parameters.SubscriptionAcknowledgements = list(acks)
        data: Any = await self._send_request(request, 0)
        body, limits = data.read(len(data)), data.allowance.limits
        found = publish_answer(body, limits, foreign_of(body, limits))
        if found is None:
            return await decoded(ua.PublishResponse, BoundedBuffer(body, Budget(limits)))
        if found.values is None:
            return Heard(found.subscription, found.sequence, found.made, (), None)
        reader = await _swept(found.values)
        return Heard(found.subscription, found.sequence, found.made, tuple(reader.handles), reader.columns)

    async def read(self, parameters: Any) -> Any:
        """As the library's."""
        return (await self.ask(ua.ReadRequest(Parameters=parameters), ua.ReadResponse)).Results

    async def browse(self, parameters: Any) -> Any:
        """As the library's."""
        return (await self.ask(ua.BrowseRequest(Parameters=parameters), ua.BrowseResponse)).Results

    async def browse_next(self, parameters: Any) -> Any:
        """As the library's."""
        answer = await self.ask(ua.BrowseNextRequest(Parameters=parameters), ua.BrowseNextResponse)
        return answer.Parameters.Results

    async def history_read(self, params: Any) -> Any:
        """As the library's."""
        return (await self.ask(ua.HistoryReadRequest(Parameters=params), ua.HistoryReadResponse)).Results

    async def create_monitored_items(self, params: Any) -> Any:
        """As the library's."""
        request = ua.CreateMonitoredItemsRequest(Parameters=params)
        return (await self.ask(request, ua.CreateMonitoredItemsResponse)).Results

    async def republish(self, subscription_id: int, retransmit_sequence_number: int) -> Any:
        """As the library's."""
        request = ua.RepublishRequest()
        request.Parameters.SubscriptionId = subscription_id
        request.Parameters.RetransmitSequenceNumber = retransmit_sequence_number
        return (await self.ask(request, ua.RepublishResponse)).NotificationMessage

    async def call(self, methodstocall: Sequence[Any]) -> Any:
        """As the library's."""
        request = ua.CallRequest()
        request.Parameters.MethodsToCall = list(methodstocall)
        return (await self.ask(request, ua.CallResponse)).Results


def foreign_of(data: bytes, limits: WireLimits) -> Foreign:
    """The library's decoder for single Variants of this message, which share one allowance."""
    allowance = Budget(limits)

    def foreign(at: int) -> tuple[object, int]:
        buffer = BoundedBuffer(data, allowance, at)
        return ua_binary.variant_from_binary(buffer), buffer.cur_pos

    return foreign


async def decoded(kind: type, data: BoundedBuffer) -> Any:
    """The library's response, which must be a good one."""
    if len(data) <= LARGE:
        response: Any = struct_from_binary(kind, data)
    else:
        response = await asyncio.to_thread(struct_from_binary, kind, data)
    response.ResponseHeader.ServiceResult.check()
    return response


async def _swept(reader: ValueReader) -> ValueReader:
    """All of its values, in slices; from the first on that is heavy in a thread."""
    reader.take(SLICE)
    while reader.left:
        if reader.heavy:
            await asyncio.to_thread(_rest, reader)
        else:
            await asyncio.sleep(0)
            reader.take(SLICE)
    return reader


def _rest(reader: ValueReader) -> None:
    while reader.left:
        reader.take(SLICE)
