"""Bytes to tensor and measurements on one core, beside wfdb and neurokit2 at the same work; import time of the core."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np

from ecg import beats, formats, harmonise, preprocess, quality
from ecg.contract import Step
from ecg.recording import Recording

ROOT = Path(__file__).resolve().parent.parent
PTBXL = ROOT / ".cache" / "ptbxl"
MUSE = ROOT.parent / "shared" / "data" / "vendor" / "muse"
RECORDS, PEER_RECORDS = 300, 8
STEPS = (
    Step(step="resample.v1", parameters={"rate_hz": 500.0}),
    Step(step="bandpass.v1", parameters={"low_hz": 0.5, "high_hz": 150.0, "order": 2}),
    Step(step="median_beat.v1", parameters={"before_ms": 480.0, "after_ms": 720.0}),
)
STAGES = ("parse", "harmonise", "beats", "gate", "prepare", "measure")


def trip(parse: Callable[[], Recording], steps: tuple[Step, ...] = STEPS) -> list[float]:
    """The time of each stage in ms, from bytes to tensor and measurements."""
    marks = [time.perf_counter()]
    recording = parse()
    marks.append(time.perf_counter())
    twelve = harmonise.to_twelve(recording)
    marks.append(time.perf_counter())
    found = beats.find(twelve)
    marks.append(time.perf_counter())
    quality.inspect(twelve, quality.RECOMMENDED, found)
    marks.append(time.perf_counter())
    preprocess.prepare(twelve, steps, found)
    marks.append(time.perf_counter())
    beats.measure(found)
    marks.append(time.perf_counter())
    return [(after - before) * 1000 for before, after in pairwise(marks)]


def measure(title: str, parses: list[Callable[[], Recording]]) -> None:
    """Medians over all records, after a warm-up. CPU beyond the wall would betray a second core."""
    for parse in parses[:20]:
        trip(parse)
    cpu, wall = time.process_time(), time.perf_counter()
    trips = [trip(parse) for parse in parses]
    share = (time.process_time() - cpu) / (time.perf_counter() - wall)
    total = sorted(sum(each) for each in trips)
    stages = "  ".join(f"{name} {median(each[k] for each in trips):.2f}" for k, name in enumerate(STAGES))
    print(f"{title:<30} {median(total):6.2f} ms   fastest {total[0]:.2f}, 90 % under {total[len(total) * 9 // 10]:.2f}")
    print(f"{'':<30} {stages}; {share:.2f} cores")


def wfdb_records(most: int = RECORDS) -> list[dict[str, bytes]]:
    """Header and signals of 500 Hz PTB-XL records, in memory."""
    return [files_of(each) for each in sorted((PTBXL / "records500").rglob("*.hea"))[:most]]


def files_of(header: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (header, header.with_suffix(".dat"))}


def xml_records() -> list[bytes]:
    """Genuine MUSE exports, each as often as it takes for a steady median."""
    return [path.read_bytes() for path in sorted(MUSE.glob("*.xml"))] * 30


def peer(files: dict[str, bytes]) -> float:
    """The same work with wfdb and neurokit2: read, clean twelve leads, peaks, quality, median beat. In ms."""
    import neurokit2 as nk
    import wfdb

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        stem = next(name for name in files if name.endswith(".hea")).removesuffix(".hea")
        start = time.perf_counter()
        signal = wfdb.rdrecord(str(Path(folder) / stem)).p_signal.T
        clean = np.stack([nk.ecg_clean(lead, sampling_rate=500) for lead in signal])
        peaks = nk.ecg_peaks(clean[1], sampling_rate=500)[1]["ECG_R_Peaks"]
        nk.ecg_quality(clean[1], rpeaks=peaks, sampling_rate=500)
        whole = [peak for peak in peaks if peak >= 240 and peak + 360 <= clean.shape[1]]
        np.median([clean[:, peak - 240 : peak + 360] for peak in whole], axis=0)
        return (time.perf_counter() - start) * 1000


def import_time(modules: str) -> float:
    """Seconds that a fresh interpreter spends on importing, median of five."""
    code = f"import time; start = time.perf_counter(); import {modules}; print(time.perf_counter() - start)"
    command = [sys.executable, "-c", code]
    return median(float(subprocess.run(command, capture_output=True, check=True, cwd=ROOT).stdout) for _ in range(5))


def main() -> None:
    records, exports = wfdb_records(), xml_records()
    if records:
        measure(f"WFDB, {len(records)} PTB-XL records", [partial(formats.read_files, files) for files in records])
    if exports:
        measure(f"MUSE XML, {len(exports)} trips", [partial(formats.read, data) for data in exports])
    if records:
        peer(records[0])
        print(f"{'wfdb + neurokit2, WFDB':<30} {median(peer(files) for files in records[:PEER_RECORDS]):6.1f} ms")
    core = "ecg.formats, ecg.harmonise, ecg.beats, ecg.quality, ecg.preprocess, ecg.contract, ecg.risk"
    print(f"{'import of the core':<30} {import_time(core):6.2f} s")
    print(f"{'import of wfdb, neurokit2':<30} {import_time('wfdb, neurokit2'):6.2f} s")
