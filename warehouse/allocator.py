"""Memory that a process has used and does not use any more: given back to the system, and not kept a thread.

What glibc does by itself: every thread that finds the others at work gets a heap of its own, eight a core, and none of
them shrinks; a block of 32 MB that is freed makes it keep all smaller ones.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

import pyarrow as pa

ARENAS, MAPPED, TRIMMED = (-8, 2), (-3, 2**20), (-1, 2**21)
"""mallopt's M_ARENA_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD: heaps of this process, bytes of a block that is given
back as soon as it is freed, bytes at the end of a heap that are."""


def keep_little() -> None:
    """Have malloc, where it is glibc's, keep little of what is freed from now on."""
    with suppress(OSError, AttributeError, TypeError):  # another libc
        for parameter, value in (ARENAS, MAPPED, TRIMMED):
            ctypes.CDLL(None).mallopt(parameter, value)


def give_back() -> None:
    """Return free pages of Arrow's pool, and of malloc where it is glibc's: 50 MB after 1,500 tiny models."""
    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError, TypeError):  # another libc
        ctypes.CDLL(None).malloc_trim(0)
