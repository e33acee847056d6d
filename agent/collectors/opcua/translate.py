"""What the library raises, as what the supervisor does about it. Everything from asyncua passes here once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from asyncua.ua.uaerrors import UaStatusCodeError

from agent.core.dial import words_of
from agent.core.errors import AgentError, ConnectionLost, TransientError
from agent.core.quality import name_of

_TOO_LARGE = {
    "BadTooManyOperations",
    "BadRequestTooLarge",
    "BadResponseTooLarge",
    "BadTcpMessageTooLarge",
    "BadEncodingLimitsExceeded",
    "BadTooManyMonitoredItems",
}
_FULL = {"BadTooManySessions", "BadTcpServerTooBusy", "BadTcpNotEnoughResources", "BadMaxConnectionsReached"}
_GONE = {
    "BadConnectionClosed",
    "BadSecureChannelClosed",
    "BadSecureChannelIdInvalid",
    "BadSecureChannelTokenUnknown",
    "BadTcpSecureChannelUnknown",
    "BadSessionClosed",
    "BadSessionIdInvalid",
    "BadSessionNotActivated",
    "BadServerHalted",
    "BadShutdown",
    "BadSubscriptionIdInvalid",
    "BadNoSubscription",
}
_REFUSED = {
    "BadIdentityTokenInvalid",
    "BadIdentityTokenRejected",
    "BadUserAccessDenied",
    "BadUserSignatureInvalid",
    "BadSecurityPolicyRejected",
    "BadSecurityModeRejected",
    "BadSecurityModeInsufficient",
    "BadNoValidCertificates",
    "BadLicenseNotAvailable",
}

_TRUST = "trust the agent's certificate at the server (its list of rejected ones); see `edge-agent trust`"
_HINTS = {
    "BadCertificateTimeInvalid": "the agent's certificate is not valid at the server's time: compare the two clocks, "
    "and the dates that `edge-agent trust` shows",
    "BadCertificateUriInvalid": "the application URI in security: certificate: is not one the server takes; see "
    "`edge-agent trust`",
    "BadCertificateUseNotAllowed": "security: certificate: lacks a key usage or the extended usage clientAuth",
    "BadInvalidTimestamp": "the clocks of the server and this machine differ by minutes: set them",
}

_TRUST_AGAIN = 30.0  #: seconds until a server that does not trust us is asked again: somebody may have told it to

_USERS_AGAIN = 15.0  #: the same for a user: it may still be starting, and must not lock the user out for many attempts


class ServiceRefused(TransientError):
    """The server answered a service with a bad status that concerns this request only."""

    def __init__(self, code: int, doing: str) -> None:
        super().__init__(f"{doing}: the server says {name_of(code)}")
        self.code = code


class TooLarge(ServiceRefused):
    """The server does not take requests (or cannot give answers) of this size: ask for less."""


class AnswerUndecodable(TransientError):
    """The server's answer could not be decoded; the connection stands."""


def translate(error: BaseException, doing: str, *, retry_after: float | None = None) -> AgentError:
    """Our error for one of the library's.

    `retry_after`, given while connecting: how long to stay away from a server that is full, seconds. Within a session
    that stands, a right its user lacks concerns the one request.
    """
    if isinstance(error, AgentError):
        return error
    if isinstance(error, UaStatusCodeError) and isinstance(error.code, int):
        return _of_status(error.code, doing, retry_after)
    if isinstance(error, asyncio.TimeoutError | TimeoutError):
        return ConnectionLost(f"{doing}: no answer in time")
    if isinstance(error, OSError):
        return ConnectionLost(f"{doing}: {words_of(error)}")
    return AnswerUndecodable(f"{doing}: the answer cannot be decoded ({type(error).__name__}: {error})"[:300])


def _of_status(code: int, doing: str, retry_after: float | None) -> AgentError:
    name = name_of(code)
    said = f"{doing}: the server says {name}"
    if name in _TOO_LARGE:
        return TooLarge(code, doing)
    if name in _FULL and retry_after is not None:  # within a session that stands it has a place for us
        return TransientError(said, retry_after=retry_after)
    if name in _GONE:
        return ConnectionLost(said)
    if name == "BadSecurityChecksFailed" or name.startswith("BadCertificate") or name in _HINTS:
        return TransientError(f"{said} -> {_HINTS.get(name, _TRUST)}", retry_after=_TRUST_AGAIN)
    if name == "BadTcpEndpointUrlInvalid":
        return TransientError(f"{said} -> write endpoint_url: with the name the server has for itself")
    if name in _REFUSED and not (name == "BadUserAccessDenied" and retry_after is None):
        said = f"{said} -> see the server's users and its security settings"
        return TransientError(said, retry_after=_USERS_AGAIN)
    return ServiceRefused(code, doing)


@contextmanager
def translated(doing: str, *, retry_after: float | None = None) -> Iterator[None]:
    """Around every call into the library. `doing` says what was tried, for people."""
    try:
        yield
    except asyncio.CancelledError as cancelled:
        if type(cancelled) is asyncio.CancelledError:
            raise
        # wait_for2 hands the answer that came in the same turn to us in a subclass; a task group takes it for an error
        raise asyncio.CancelledError from None
    except Exception as error:
        ours = translate(error, doing, retry_after=retry_after)
        if ours is error:
            raise
        # its frames hold the answer that was not understood, which may be 16 MB, for as long as ours is looked at; and
        # if this frame kept ours, which keeps this frame, until garbage is looked for
        try:
            raise ours from error.with_traceback(None)
        finally:
            del ours
