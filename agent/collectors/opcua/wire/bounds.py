"""Bounds for the library's decoder: what is larger than its message can hold, or than one answer may hold, is refused
before anything is made of it.

The library has none: an array of two thousand million nulls is one byte of type and four of length. It has no hooks for
them either, so the functions of its decoder that take a length from the wire are wrapped here, once, for the process;
they do nothing for a buffer that is not a :class:`BoundedBuffer`. Pinned: `asyncua>=2.1,<2.2`, ua/ua_binary.py.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any

from asyncua.common.utils import Buffer
from asyncua.ua import ua_binary

from agent.collectors.opcua.wire.errors import LimitExceeded
from agent.collectors.opcua.wire.limits import WireLimits

#: Variants and structures within each other; a decoder has to take a hundred (OPC 10000-6, 5.2.2.16).
DEEPEST = 100

_INT32 = Struct("<i")
_library: Any = ua_binary
_NUMBERS = {name for name in vars(_library.Primitives1) if not name.startswith("_")}  # made by the array, in one go


class Budget:
    """What is left of what one message may hold."""

    __slots__ = ("depth", "elements", "limits", "numbers", "text")

    def __init__(self, limits: WireLimits) -> None:
        self.limits = limits
        self.elements = limits.array  # of those that are made one by one
        self.numbers = limits.elements
        self.text = limits.text_bytes
        self.depth = 0

    def spend(self, elements: int, text: int) -> None:
        """So many elements of arrays and bytes of strings are made next."""
        self.numbers -= elements
        self.text -= text
        if self.numbers < 0:
            raise LimitExceeded(f"more than {self.limits.elements} elements of arrays in one answer")
        if self.text < 0:
            raise LimitExceeded(f"more than {self.limits.text_bytes} bytes of strings in one answer")


class BoundedBuffer(Buffer):
    """The bytes of one message; its parts share its allowance."""

    def __init__(self, data: bytes, allowance: Budget, start_pos: int = 0, size: int = -1) -> None:
        super().__init__(data, start_pos, size)
        self.allowance = allowance

    def copy(self, size: int = -1) -> BoundedBuffer:
        """As the library's."""
        if size < 0 or size > self._size:
            size = self._size
        return BoundedBuffer(self._data, self.allowance, self._cur_pos, size)

    def read(self, size: int) -> bytes:
        """As the library's, but never backwards."""
        if size < 0:
            raise LimitExceeded(f"a length of {size}")
        return super().read(size)

    def skip(self, size: int) -> None:
        """As the library's, but never backwards."""
        if size < 0:
            raise LimitExceeded(f"a length of {size}")
        super().skip(size)

    def _length(self) -> int:
        """What stands next, not taken yet."""
        return int(_INT32.unpack_from(self._data, self._cur_pos)[0]) if self._size >= _INT32.size else 0

    def claim_array(self, *, one_by_one: bool) -> None:
        """An array begins here."""
        count, allowance = self._length(), self.allowance
        if count > allowance.limits.array:
            raise LimitExceeded(f"an array of {count}; limits: {{array: {allowance.limits.array}}}")
        if count > self._size or count < -1:  # an element has a byte at least, but for nulls, which nobody sends
            raise LimitExceeded(f"an array of {count} in {self._size} bytes")
        allowance.spend(max(count, 0), 0)
        if one_by_one and count > 0:
            allowance.elements -= count
            if allowance.elements < 0:
                raise LimitExceeded(f"more than {allowance.limits.array} elements in one answer")

    def claim_string(self) -> None:
        """A string or byte string begins here."""
        count, most = self._length(), self.allowance.limits.string_bytes
        if count > most:
            raise LimitExceeded(f"a string of {count} bytes; limits: {{string_bytes: {most}}}")
        if count < -1:
            raise LimitExceeded(f"a string of {count} bytes")
        self.allowance.spend(0, max(count, 0))


def install() -> None:
    """Idempotent."""
    if getattr(_library, "bounded", False):
        return
    _library.bounded = True
    for name in ("String", "Bytes", "ByteString", "CharArray"):
        setattr(_library.Primitives, name, _Counted(getattr(_library.Primitives, name)))
    for name, one_by_one in (
        ("_create_uatype_array_deserializer", lambda vtype: vtype.name not in _NUMBERS),
        ("_create_list_deserializer", lambda _type: True),
    ):
        setattr(_library, name, _bounded_array(getattr(_library, name), one_by_one))
    for name in ("variant_from_binary", "extensionobject_from_binary"):
        setattr(_library, name, _not_too_deep(getattr(_library, name)))
    _library._reshape = reshape  # noqa: SLF001 - see above
    for name in ("_create_uatype_deserializer", "_create_type_deserializer", "_create_dataclass_deserializer"):
        getattr(_library, name).cache_clear()  # they hold what stood there before


class _Counted:
    """A string primitive of the library's, with a look at the length before."""

    def __init__(self, plain: Any) -> None:
        self.pack = plain.pack
        self._unpack = plain.unpack

    def unpack(self, data: Any) -> Any:
        if type(data) is BoundedBuffer:
            data.claim_string()
        return self._unpack(data)


def _bounded_array(create: Callable[[Any], Any], one_by_one: Callable[[Any], bool]) -> Callable[[Any], Any]:
    @functools.cache
    def made(kind: Any) -> Callable[[Any], Any]:
        plain, single = create(kind), one_by_one(kind)

        def deserialize(data: Any) -> Any:
            if type(data) is BoundedBuffer:
                data.claim_array(one_by_one=single)
            return plain(data)

        return deserialize

    return made


def _not_too_deep(plain: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decode(data: Any) -> Any:
        if type(data) is not BoundedBuffer:
            return plain(data)
        allowance = data.allowance
        if allowance.depth >= DEEPEST:
            raise LimitExceeded(f"values within values, {DEEPEST} deep")
        allowance.depth += 1
        try:
            return plain(data)
        finally:
            allowance.depth -= 1

    return decode


def reshape(flat: Sequence[Any], dimensions: Sequence[int]) -> list[Any]:
    """A matrix out of its elements. Dimensions that do not fit their number are an error (OPC 10000-6, 5.2.2.16)."""
    if not dimensions:
        return list(flat)
    if any(size < 0 for size in dimensions) or math.prod(dimensions) != len(flat):
        raise LimitExceeded(f"dimensions {list(dimensions)[:8]} for {len(flat)} elements")
    made = list(flat)
    for size in reversed(dimensions[1:]):
        made = [made[at : at + size] for at in range(0, len(made), size)] if size else []
    return made
