"""Where a cohort's signals lie: one file a recording, or rows of a memory-mapped array."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ecg import formats
from ecg.formats.wfdb import named_by
from ecg.leads import LEADS
from ecg.recording import Recording, Unit, Waveform


@dataclass(frozen=True, slots=True)
class Files:
    """One recording a path below `root`. A path without a suffix, or ending in .hea, is a WFDB record."""

    root: Path
    paths: tuple[str, ...]

    def recording(self, position: int) -> Recording:
        path = self.root / self.paths[position]
        if path.suffix not in ("", ".hea"):
            return formats.read(path.read_bytes(), path.name)
        header = path.with_suffix(".hea")
        content = header.read_bytes()
        wanted = {path.parent / name for name in named_by(content)}
        return formats.read_files({each.name: each.read_bytes() for each in (header, *sorted(wanted))})


@dataclass(frozen=True, slots=True)
class ArrayRows:
    """Rows of memory-mapped .npy arrays shaped (n, time, 12) or (n, 12, time), possibly with axes of length one."""

    paths: tuple[Path, ...]
    rows: tuple[tuple[int, int], ...]
    sampling_rate_hz: float
    unit: Unit
    format: str
    mv_per_count: float = 1.0
    leads: tuple[str, ...] = LEADS

    def recording(self, position: int) -> Recording:
        path, row = self.rows[position]
        samples = np.squeeze(np.asarray(_mapped(self.paths[path])[row], dtype=np.float32))
        return _recording(
            samples * np.float32(self.mv_per_count), self.leads, self.sampling_rate_hz, self.unit, self.format
        )


@dataclass(frozen=True, slots=True)
class Hdf5Rows:
    """Rows of the data set `key` in HDF5 files, shaped (n, time, 12)."""

    paths: tuple[Path, ...]
    key: str
    rows: tuple[tuple[int, int], ...]
    sampling_rate_hz: float
    unit: Unit
    format: str

    def recording(self, position: int) -> Recording:
        path, row = self.rows[position]
        samples = np.asarray(_opened(self.paths[path])[self.key][row], dtype=np.float32)
        return _recording(samples, LEADS, self.sampling_rate_hz, self.unit, self.format)


def _recording(
    samples: NDArray[np.float32], leads: tuple[str, ...], rate_hz: float, unit: Unit, name: str
) -> Recording:
    by_lead = samples if samples.shape[0] == len(leads) else samples.T
    return Recording(name, Waveform(leads, by_lead, rate_hz, unit))


@lru_cache(maxsize=64)
def _mapped(path: Path) -> NDArray[np.generic]:
    array: NDArray[np.generic] = np.load(path, mmap_mode="r")
    return array


@lru_cache(maxsize=64)
def _opened(path: Path) -> h5py.File:
    return h5py.File(path, "r")
