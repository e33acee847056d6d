"""What the C library keeps of memory that was given back."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_TRIM, _MMAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of <malloc.h>
_LARGE, _SPARE = 1 << 20, 4 << 20


def keep_little() -> None:
    """From now on it keeps 4 MiB, and gives back at once what was a MiB or larger.

    glibc learns from the largest block that was ever freed: after one answer of 16 MB it keeps up to 32 for ever. Other
    C libraries have no such call.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP, _LARGE)
        library.mallopt(_TRIM, _SPARE)
