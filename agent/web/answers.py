"""What every answer looks like: its headers, and errors that say what to do."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

_encode = msgspec.json.Encoder(enc_hook=str).encode

#: Of every answer. Scripts, styles, images, fonts and requests from this port only, nothing inline, in nobody's frame.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
#: Of an answer that says nothing of it itself: nobody keeps what another login is shown.
CACHE = "no-store"


def json_answer(content: Any, *, code: int = 200, headers: dict[str, str] | None = None) -> Response:
    """One JSON document."""
    return Response(_encode(content), status_code=code, media_type="application/json", headers=headers)


def error(code: int, why: str, headers: dict[str, str] | None = None) -> Response:
    """`{"error": why}`."""
    return json_answer({"error": why}, code=code, headers=headers)


def unauthorized(why: str) -> Response:
    """401: `why` says what to send."""
    return error(401, why, {"WWW-Authenticate": "Bearer"})
