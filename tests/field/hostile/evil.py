"""An OPC UA server without security whose every answer can be bent. Only the library's encoders are used of it.

async with evil(ReadRequest=nulls(300_000)) as url: ...

A hook gets the peer, the request's id and the request. It sends what it likes; what it returns is sent as the answer,
`USUAL` has the usual answer made.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from asyncua import ua as library
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary, struct_to_binary

ua: Any = library
NONE = b"http://opcfoundation.org/UA/SecurityPolicy#None"
USUAL = object()
_NAMES = {
    number: name.removesuffix("_Encoding_DefaultBinary")
    for name, number in vars(ua.ObjectIds).items()
    if name.endswith("Request_Encoding_DefaultBinary")
}


class Peer:
    """One connection of the agent's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._sequence = 0

    async def chunk(self) -> tuple[bytes, bytes]:
        """The next one: its type, and what stands behind its length."""
        head = await self.reader.readexactly(8)
        return head[:3], await self.reader.readexactly(int.from_bytes(head[4:], "little") - 8)

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def send(self, request: int, body: bytes, kind: bytes = b"MSG", part: bytes = b"F") -> None:
        """One chunk."""
        self._sequence += 1
        head = struct.pack("<II", 7, 13)
        if kind == b"OPN":
            head = struct.pack("<Ii", 7, len(NONE)) + NONE + struct.pack("<ii", -1, -1)
        whole = head + struct.pack("<II", self._sequence, request) + body
        await self.raw(kind + part + struct.pack("<I", 8 + len(whole)) + whole)

    async def answer(self, request: int, body: bytes, piece: int = 60_000) -> None:
        """In as many chunks as it takes."""
        for at in range(0, len(body), piece):
            await self.send(request, body[at : at + piece], part=b"F" if at + piece >= len(body) else b"C")


Hook = Callable[[Peer, int, Any], Awaitable[Any]]


class Evil:
    """What all connections share."""

    def __init__(self, hooks: dict[str, Hook]) -> None:
        self._hooks = hooks
        self.url = ""
        self.asked: dict[str, int] = {}  #: how often each request came
        self.handles: list[int] = []
        self._notifications = 0
        self._serving: set[asyncio.Task[Any]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._serve(Peer(reader, writer))
        self._serving.discard(task)
        writer.transport.abort()

    def stop(self) -> None:
        for task in list(self._serving):
            task.cancel()

    async def _serve(self, peer: Peer) -> None:
        while True:
            kind, body = await peer.chunk()
            if kind == b"HEL":
                if await self._hooked("Hello", peer, 0, body) is USUAL:
                    await peer.raw(b"ACKF" + struct.pack("<IIIIII", 28, 0, 65_536, 65_536, 0, 0))
            elif kind == b"OPN":
                request = struct.unpack_from("<I", body, 4 + 4 + len(NONE) + 4 + 4 + 4)[0]
                await peer.send(request, struct_to_binary(self._stamped(_opened())), kind=b"OPN")
            elif kind == b"MSG":
                await self._message(peer, body)
            else:
                return

    async def _message(self, peer: Peer, body: bytes) -> None:
        number = struct.unpack_from("<I", body, 12)[0]
        name = _NAMES[nodeid_from_binary(Buffer(body[16:])).Identifier]
        self.asked[name] = self.asked.get(name, 0) + 1
        request = struct_from_binary(getattr(ua, name), Buffer(body[16:]))
        response = await self._hooked(name, peer, number, request)
        if response is USUAL:
            snake = re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
            response = getattr(self, f"_{snake}", _unsupported)(request)
        if response is not None:
            await peer.answer(number, struct_to_binary(self._stamped(response)))

    async def _hooked(self, name: str, peer: Peer, number: int, request: Any) -> Any:
        hook = self._hooks.get(name)
        return USUAL if hook is None else await hook(peer, number, request)

    def _stamped(self, response: Any) -> Any:
        response.ResponseHeader.Timestamp = dt.datetime.now(dt.UTC)
        return response

    # --- as any server --------------------------------------------------------------------------------------------

    def _create_session_request(self, _request: Any) -> Any:
        response = ua.CreateSessionResponse()
        made = response.Parameters
        made.SessionId, made.AuthenticationToken = ua.NodeId(11, 1), ua.NodeId(12, 1)
        made.RevisedSessionTimeout, made.ServerNonce = 60_000.0, b"n" * 32
        endpoint = ua.EndpointDescription(EndpointUrl=self.url)
        endpoint.SecurityMode = ua.MessageSecurityMode.None_
        endpoint.SecurityPolicyUri = NONE.decode()
        endpoint.UserIdentityTokens = [ua.UserTokenPolicy(PolicyId="a", TokenType=ua.UserTokenType.Anonymous)]
        made.ServerEndpoints = [endpoint]
        return response

    def _activate_session_request(self, _request: Any) -> Any:
        response = ua.ActivateSessionResponse()
        response.Parameters.ServerNonce = b"n" * 32
        return response

    def _close_session_request(self, _request: Any) -> Any:
        return ua.CloseSessionResponse()

    def _read_request(self, request: Any) -> Any:
        return ua.ReadResponse(Results=[_value(each.NodeId) for each in request.Parameters.NodesToRead])

    def _create_subscription_request(self, request: Any) -> Any:
        response = ua.CreateSubscriptionResponse()
        made = response.Parameters
        made.SubscriptionId, made.RevisedPublishingInterval = 1, request.Parameters.RequestedPublishingInterval
        made.RevisedLifetimeCount, made.RevisedMaxKeepAliveCount = 1000, 10
        return response

    def _create_monitored_items_request(self, request: Any) -> Any:
        self.handles = [item.RequestedParameters.ClientHandle for item in request.Parameters.ItemsToCreate]
        made = [
            ua.MonitoredItemCreateResult(MonitoredItemId=100 + at, RevisedSamplingInterval=500.0, RevisedQueueSize=2)
            for at in range(len(self.handles))
        ]
        return ua.CreateMonitoredItemsResponse(Results=made)


def _opened() -> Any:
    response = ua.OpenSecureChannelResponse()
    token = response.Parameters.SecurityToken
    token.ChannelId, token.TokenId, token.RevisedLifetime = 7, 13, 3_600_000
    token.CreatedAt, response.Parameters.ServerNonce = dt.datetime.now(dt.UTC), b""
    return response


def _unsupported(_request: Any) -> Any:
    response = ua.ServiceFault()
    response.ResponseHeader.ServiceResult = ua.StatusCode(ua.StatusCodes.BadServiceUnsupported)
    return response


def _value(node: Any) -> Any:
    known = {
        2255: ua.Variant(["http://opcfoundation.org/UA/", "urn:x"], ua.VariantType.String),
        2259: ua.Variant(0, ua.VariantType.Int32),
        2258: ua.Variant(dt.datetime.now(dt.UTC), ua.VariantType.DateTime),
    }
    if node.NamespaceIndex == 0 and node.Identifier not in known:
        return ua.DataValue(ua.Variant(), ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown))
    value = known[node.Identifier] if node.NamespaceIndex == 0 else ua.Variant(1.0, ua.VariantType.Double)
    return ua.DataValue(value, SourceTimestamp=dt.datetime.now(dt.UTC))


@asynccontextmanager
async def evil(**hooks: Hook) -> AsyncIterator[Evil]:
    """It listens while the body runs."""
    made = Evil(hooks)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"opc.tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        made.stop()
        await server.wait_closed()


# --- what they do -------------------------------------------------------------------------------------------------


def ours(request: Any) -> bool:
    """Whether a Read asks for tags, not for what every client asks a server."""
    return any(each.NodeId.NamespaceIndex for each in request.Parameters.NodesToRead)


def read_with(results: bytes, count: int) -> bytes:
    """A ReadResponse of so many results, whatever their bytes are."""
    empty = struct_to_binary(ua.ReadResponse(Results=[]))
    return empty[:-8] + struct.pack("<i", count) + results + struct.pack("<i", -1)


def reads(results: bytes, count: int) -> Hook:
    """Answers Reads of tags so."""

    async def hook(peer: Peer, number: int, request: Any) -> Any:
        if not ours(request):
            return USUAL
        await peer.answer(number, read_with(results, count))
        return None

    return hook


def endless(piece: bytes, part: bytes = b"C") -> Hook:
    """Answers Reads of tags with chunks that never end."""

    async def hook(peer: Peer, number: int, request: Any) -> Any:
        if not ours(request):
            return USUAL
        while True:
            await peer.send(number, piece, part=part)

    return hook


def says(data: bytes) -> Hook:
    """Answers Reads of tags with these bytes, on the wire as they are."""

    async def hook(peer: Peer, _number: int, request: Any) -> Any:
        if not isinstance(request, bytes) and not ours(request):
            return USUAL
        await peer.raw(data)
        return None

    return hook


def policies(count: int) -> Hook:
    """GetEndpoints with one endpoint of so many user token policies."""

    async def hook(peer: Peer, number: int, _request: Any) -> Any:
        response = ua.GetEndpointsResponse()
        response.Endpoints = [ua.EndpointDescription(UserIdentityTokens=[ua.UserTokenPolicy()])]
        one, whole = struct_to_binary(ua.UserTokenPolicy()), struct_to_binary(response)
        at = whole.rindex(one)
        await peer.answer(number, whole[: at - 4] + struct.pack("<i", count) + one * count + whole[at + len(one) :])

    return hook


def notifies(count: int, handles: int, *, times: int) -> Hook:
    """The first Publish requests are answered at once, with so many values of this many tags in turn, later ones never.

    It ends, so that all that was made of it can reach the broker before the test does.
    """
    left = times
    values = b"".join(struct.pack("<I", at % handles) + b"\x01\x0b" + struct.pack("<d", at) for at in range(count))
    body = struct.pack("<i", count) + values + struct.pack("<i", -1)

    async def hook(peer: Peer, number: int, _request: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            return
        message = ua.PublishResponse()
        message.Parameters.SubscriptionId = 1
        message.Parameters.NotificationMessage.SequenceNumber = number
        message.Parameters.NotificationMessage.NotificationData = [ua.ExtensionObject(ua.FourByteNodeId(811), body)]
        await peer.answer(number, struct_to_binary(message))

    return hook
