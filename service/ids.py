"""Identifiers that sort by the time they were made: 48 bits of milliseconds, 80 bits of chance (the ULID layout)."""

from __future__ import annotations

import os
import threading
import time
from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_CHANCE_BITS: Final = 80
_CHANCE_BYTES: Final = _CHANCE_BITS // 8
_IDS_A_READING: Final = 64
_lock = threading.Lock()
_last = [0]
_chance: list[bytes] = []
os.register_at_fork(after_in_child=_chance.clear)  # two processes must not share what is left


def _read_chance() -> list[bytes]:
    """For many ids at once: asking the system takes longer than all the rest."""
    read = os.urandom(_IDS_A_READING * _CHANCE_BYTES)
    return [read[at : at + _CHANCE_BYTES] for at in range(0, len(read), _CHANCE_BYTES)]


def new_id() -> str:
    """26 characters; later ids of one process always sort after earlier ones, also within one millisecond."""
    with _lock:
        if not _chance:
            _chance.extend(_read_chance())
        fresh = (time.time_ns() // 1_000_000) << _CHANCE_BITS | int.from_bytes(_chance.pop(), "big")
        # Within one millisecond (or when the clock steps back) the last id is counted up instead.
        value = fresh if fresh >> _CHANCE_BITS > _last[0] >> _CHANCE_BITS else _last[0] + 1
        _last[0] = value
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10)])
