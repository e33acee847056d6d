"""The library's protocol and client behind our own framing, with limits that are announced and kept to.

The library copies what has come so far with every arrival, announces no limits, takes the server's limits for its own
once they are acknowledged, and logs a traceback for whatever a stranger sends. Its secure channel (sequence numbers,
tokens, signatures) is used as it is, chunk by chunk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container
from typing import Any, NamedTuple

from asyncua import ua as library
from asyncua.client.ua_client import UaClient, UASocketProtocol
from asyncua.common.connection import SecureConnection, TransportLimits
from asyncua.ua.ua_binary import header_from_binary, nodeid_from_binary, struct_from_binary, uatcp_to_binary

from agent.collectors.common.sockets import quiet_for
from agent.collectors.opcua.wire.bounds import BoundedBuffer, Budget, install
from agent.collectors.opcua.wire.errors import WireViolation
from agent.collectors.opcua.wire.frames import Frames
from agent.collectors.opcua.wire.limits import BUFFER_BYTES, SMALLEST_BUFFER, WireLimits
from agent.collectors.opcua.wire.session import Encoded

install()
_SERVICE_FAULT = library.FourByteNodeId(library.ObjectIds.ServiceFault_Encoding_DefaultBinary)  # type: ignore[arg-type,attr-defined]
ua: Any = library  # much of it has no annotations, or wrong ones


class KeptLimits(TransportLimits):
    """Ours stand; what the server says is what it takes."""

    def update_client_limits(self, msg: library.Acknowledge) -> None:
        """The server has acknowledged the Hello."""
        self.max_send_buffer = max(SMALLEST_BUFFER, min(BUFFER_BYTES, msg.ReceiveBufferSize))


class Aborted(NamedTuple):
    """An answer the server began and could not end (OPC 10000-6, 6.7.3)."""

    request: int
    error: Exception


class AskedChannel(SecureConnection):
    """Takes chunks of what was asked for and is not answered yet; an abort is an answer.

    The library takes any and goes on waiting after an abort: a server could send aborted messages without end.
    """

    def __init__(self, policy: Any, limits: TransportLimits, asked: Container[int]) -> None:
        super().__init__(policy, limits)
        self._asked = asked

    def _receive(self, msg: Any) -> Any:
        request = msg.SequenceHeader.RequestId
        if request not in self._asked:
            raise WireViolation("the server answers what nobody asked")
        if msg.MessageHeader.ChunkType != ua.ChunkType.Abort:
            return super()._receive(msg)
        self._check_incoming_chunk(msg)
        self._drop_incoming_parts()
        code = int.from_bytes(msg.Body[:4], "little")
        return Aborted(request, ua.UaStatusCodeError(code or ua.StatusCodes.BadUnexpectedError))


class BoundedProtocol(UASocketProtocol):
    """One connection. What breaks its bounds is closed, with the reason for all who wait."""

    def __init__(self, timeout: float, policy: Any, limits: WireLimits) -> None:
        own = KeptLimits(BUFFER_BYTES, BUFFER_BYTES, limits.chunks, limits.message_bytes)
        super().__init__(timeout, security_policy=policy, limits=own)
        self._connection = AskedChannel(policy, own, self._callbackmap)
        self._agreed = limits
        self._frames = Frames(limits.of_strangers)
        self.violation: WireViolation | None = None

    def data_received(self, data: bytes) -> None:
        """Chunk by chunk, until the connection is closed."""
        if self.violation is not None:
            return
        try:
            for chunk in self._frames.feed(data):
                self._take(chunk)
        except WireViolation as violation:
            self._close(violation)
        except ua.UaStatusCodeError as error:  # the server says why it ends the connection
            self._fail_all_pending(error)
            self.disconnect_socket()
        except Exception as error:  # noqa: BLE001 - whatever a stranger's bytes do to the library
            words = f"the server's message cannot be understood ({type(error).__name__}: {error})"
            self._close(WireViolation(words[:300]))

    def _close(self, violation: WireViolation) -> None:
        self.violation = violation
        self._fail_all_pending(violation)
        self._forget()
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more comes."""
        super().connection_lost(exc)
        self._forget()

    def _forget(self) -> None:
        """A message that never ends is 16 MB, and whoever saw the error may hold this connection until the next."""
        self._connection._drop_incoming_parts()  # noqa: SLF001 - the library drops them on its own errors only
        self._frames.forget()

    def _take(self, chunk: bytes) -> None:
        limits = self._frames.limits
        buffer = BoundedBuffer(chunk, Budget(limits))
        header = header_from_binary(buffer)
        message: Any = self._connection.receive_from_header_and_body(header, buffer)
        if isinstance(message, ua.Message):
            whole = message.body()
            body = BoundedBuffer(whole.read(len(whole)), Budget(limits))
            if header.MessageType == ua.MessageType.SecureOpen:
                self._opened(body.copy())
            self._call_callback(message.request_id(), body)
        elif isinstance(message, Aborted):
            waits = self._callbackmap.pop(message.request)
            if not waits.done():
                waits.set_exception(message.error)
        elif isinstance(message, ua.Acknowledge):
            if 0 not in self._callbackmap:
                raise WireViolation("the server acknowledges a Hello twice")
            if message.SendBufferSize >= SMALLEST_BUFFER:
                self._frames.most = min(BUFFER_BYTES, message.SendBufferSize)
            self._call_callback(0, message)
        elif isinstance(message, ua.ErrorMessage):
            message.Error.check()
            raise WireViolation("the server ends the connection")

    def _call_callback(self, request_id: int, body: Any) -> None:
        """An answer that came too late is nobody's: that it did not come in time was said. The library logs each."""
        if (waits := self._callbackmap.get(request_id)) is not None and waits.done():
            del self._callbackmap[request_id]
        else:
            super()._call_callback(request_id, body)

    def check_answer(self, data: Any, context: str) -> bool:  # noqa: ARG002 - the library's
        """A ServiceFault is raised; the library would log each of them too."""
        body = data.copy()
        if nodeid_from_binary(body) == _SERVICE_FAULT:
            struct_from_binary(ua.ResponseHeader, body).ServiceResult.check()
        return True

    def _opened(self, body: BoundedBuffer) -> None:
        """An OpenSecureChannel response: the library's own step, which it does within its reading loop."""
        params: Any = self._open_secure_channel_exchange
        response = struct_from_binary(ua.OpenSecureChannelResponse, body)
        response.ResponseHeader.ServiceResult.check()
        self._open_secure_channel_exchange = response
        self._connection.set_channel(response.Parameters, params.RequestType, params.ClientNonce)

    async def send_encoded(self, request: Encoded) -> BoundedBuffer:
        """What :meth:`send_request` does for a request that is encoded already."""
        if self.transport is None:
            raise ConnectionError("Connection is closed")
        self._request_handle += 1
        self._request_id += 1
        self.revolve_security_token()
        message = self._connection.message_to_binary(request.patched(self._request_handle), request_id=self._request_id)
        answered: asyncio.Future[BoundedBuffer] = asyncio.get_running_loop().create_future()
        self._callbackmap[self._request_id] = answered
        self.transport.write(message)
        async with asyncio.timeout(self.timeout):
            data = await answered
        self.check_answer(data, " in response to a Read")
        return data

    def admit(self) -> None:
        """The server is who it should be: from now on all that was announced is taken; less before."""
        self._frames.limits = self._agreed

    async def send_hello(self, url: str, max_messagesize: int = 0, max_chunkcount: int = 0) -> library.Acknowledge:  # noqa: ARG002 - the library's
        """With the limits that will be kept to."""
        hello: Any = ua.Hello()
        hello.EndpointUrl = url
        hello.ReceiveBufferSize = hello.SendBufferSize = BUFFER_BYTES
        hello.MaxMessageSize = self._agreed.message_bytes
        hello.MaxChunkCount = self._agreed.chunks
        acknowledged: asyncio.Future[library.Acknowledge] = asyncio.get_running_loop().create_future()
        self._callbackmap[0] = acknowledged
        if self.transport is not None:
            self.transport.write(uatcp_to_binary(ua.MessageType.Hello, hello))
        async with asyncio.timeout(self.timeout):
            return await acknowledged


class BoundedClient(UaClient):
    """The library's, with a protocol that keeps to limits."""

    def __init__(self, timeout: float, limits: WireLimits) -> None:
        super().__init__(timeout)
        self.timeout = timeout
        self._limits = limits
        self._made: BoundedProtocol | None = None

    async def send_encoded(self, request: Encoded) -> BoundedBuffer:
        """A Read request; its answer."""
        if self._made is None or self.protocol is None:
            raise ConnectionError("Connection is not open")
        return await self._made.send_encoded(request)

    def _make_protocol(self) -> BoundedProtocol:
        made = self._made = BoundedProtocol(self._timeout, self.security_policy, self._limits)
        self.protocol = made
        made.pre_request_hook = self._pre_request_hook
        made.on_connection_lost = self._on_transport_lost
        made.is_session_closing = self._is_session_closing
        return made

    def admit(self) -> None:
        """The server is who it should be."""
        if self._made is not None:
            self._made.admit()

    @property
    def quiet_for(self) -> float:
        """Seconds since the server's machine sent anything, acknowledgements included."""
        transport = None if self.protocol is None else self.protocol.transport
        sock = None if transport is None else transport.get_extra_info("socket")
        return 0.0 if sock is None else quiet_for(sock)

    @property
    def violation(self) -> WireViolation | None:
        """Why the connection was closed from here."""
        return None if self._made is None else self._made.violation
