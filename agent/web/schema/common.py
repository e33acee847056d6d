"""What the types of answers are made of."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Instant = Annotated[int, Meta(description="Milliseconds since 1970-01-01 UTC.")]
Quality = Literal["good", "uncertain", "bad"]
Level = Literal["debug", "info", "warning", "error"]
Value = Annotated[
    Any,
    Meta(
        description="Number, boolean, text, list or null. A whole number beyond 2^53 is text, so that a browser shows "
        "each of its digits."
    ),
]


class ApiStruct(Struct, forbid_unknown_fields=True):
    """What the document lists is all there is: tests decode real answers with these types."""
