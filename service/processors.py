"""Whether a processor has nothing to do. The kernel is asked, since other processes keep processors busy too."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

_LOAD: Final = Path("/proc/loadavg")
_RUNNING: Final = re.compile(rb"\S+ \S+ \S+ (\d+)/")  # 0.20 0.18 0.12 1/80 11206: of 80 threads one runs, who reads it
_LONGEST_LINE: Final = 128


class Processors:
    def __init__(self, load: Path = _LOAD) -> None:
        self._usable = len(os.sched_getaffinity(0))
        self._load = os.open(load, os.O_RDONLY) if load.is_file() else None

    def is_one_idle(self) -> bool:
        """Fewer threads run than this process could have processors; never, where the system does not tell."""
        if self._load is None:
            return False
        found = _RUNNING.match(os.pread(self._load, _LONGEST_LINE, 0))
        return found is not None and int(found[1]) < self._usable

    def close(self) -> None:
        if self._load is not None:
            os.close(self._load)
            self._load = None
