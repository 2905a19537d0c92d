"""Freed memory stays with the process: each recording needs the same few hundred kilobytes again."""

from __future__ import annotations

import ctypes
import gc
from typing import Final

# From <malloc.h> of the GNU C library.
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_KEPT_BYTES: Final = 256 * 2**20
_LARGEST_MMAP_THRESHOLD: Final = 32 * 2**20


def keep_freed() -> None:
    """Without this every array comes as fresh pages from the kernel, whose zeroing takes longer than the arithmetic.

    Other C libraries have no such setting, and are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)


def settle() -> None:
    """What is there once the service has started stays: the collector need not look through it again and again."""
    gc.collect()
    gc.freeze()
