"""Whether a processor has nothing to do. The kernel is asked, since other processes keep processors busy too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_LOAD: Final = Path("/proc/loadavg")  # "0.20 0.18 0.12 1/80 11206": of 80 threads one runs, which is who reads it
_LONGEST_LINE: Final = 128


class Processors:
    def __init__(self, load: Path = _LOAD) -> None:
        self._usable = len(os.sched_getaffinity(0))
        self._load = os.open(load, os.O_RDONLY) if load.is_file() else None

    def is_one_idle(self) -> bool:
        """Fewer threads run than this process could have processors; never, where the system does not tell."""
        if self._load is None:
            return False
        running, _, _ = os.pread(self._load, _LONGEST_LINE, 0).split()[3].partition(b"/")
        return int(running) < self._usable

    def close(self) -> None:
        if self._load is not None:
            os.close(self._load)
            self._load = None
