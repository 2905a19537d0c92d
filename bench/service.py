"""The service under load beside the bare network, the usual endpoint and serving frameworks, all in one run."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import json
import os
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, median
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from bench import _document, _stages
from bench._load import Measured, Sent, load
from bench._processes import ROOT, Running, free_port, no_extra, running, wait_until_answers
from bench.peers import _wrapped
from bench.peers._pipeline import model_path
from ecg import beats, formats, harmonise, preprocess, quality
from ecg.predictor import Predictor

WORKERS: Final = 2
ROUNDS: Final = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS: Final = float(os.environ.get("BENCH_SECONDS", "5"))
CLIENTS: Final = (1, 8, 64)
FLOOR_S: Final = 2.0
ALONE: Final = 3  # as often in a round
SAMPLES: Final = ROOT / "service" / "samples"
WFDB: Final = Sent("/predict", "application/zip", SAMPLES / "wfdb.zip")
XML: Final = Sent("/predict", "application/xml", SAMPLES / "muse_xml.xml")
KINDS: Final = {"WFDB": WFDB, "MUSE XML": XML}
PEERS: Final = ROOT / ".cache" / "peers"


@dataclass(frozen=True, slots=True)
class Candidate:
    """`sent` are the kinds of request that it takes."""

    name: str
    command: Callable[[int], list[str]]
    sent: dict[str, Sent]
    environment: dict[str, str] = field(default_factory=dict)
    extra: Callable[[], list[int]] = no_extra
    is_slow: bool = False  # many callers of it wait so long that one turn each is measurement enough


def _own(port: int) -> list[str]:
    return [sys.executable, "-m", "service"]


def _peer(module: str, python: Path | str, port: int) -> list[str]:
    return [str(python), "-m", f"bench.peers.{module}", str(port), str(WORKERS)]


def _in_own_environment(name: str, module: str, sent: dict[str, Sent] | None = None) -> Candidate | None:
    """A framework whose pins quarrel with ours lives in .cache/peers/<name>; install.sh there puts it in."""
    python = PEERS / name / "bin" / "python"
    if not python.is_file():
        return None
    return Candidate(name, functools.partial(_peer, module, python), sent or KINDS)


def _ray_daemons() -> list[int]:
    """Ray's processes leave their parent; all of them on this machine are the candidate's."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                if b"ray/core/src" in command or command.startswith(b"ray::") or b"/ray/dashboard/" in command:
                    found.append(int(entry.name))
    return found


def _as_json(sent: dict[str, Sent], path: str, request: Callable[[bytes], bytes]) -> dict[str, Sent]:
    """The same files inside the JSON that a framework wants."""
    wrapped = {}
    for kind, each in sent.items():
        body = ROOT / ".cache" / f"bench{path.replace('/', '-')}-{each.body.name}.json"
        body.write_bytes(request(each.body.read_bytes()))
        wrapped[kind] = Sent(path, "application/json", body)
    return wrapped


def candidates() -> list[Candidate]:
    listed = [
        Candidate(_document.OURS, _own, KINDS),
        Candidate("usual endpoint", functools.partial(_peer, "usual", sys.executable), {"WFDB": WFDB}, is_slow=True),
        _in_own_environment("litserve", "lit_serve", _as_json(KINDS, "/predict", _wrapped.for_litserve)),
        _in_own_environment("bentoml", "bento_ml"),
        _in_own_environment("mlserver", "ml_server", _as_json(KINDS, "/v2/models/ecg/infer", _wrapped.for_mlserver)),
        Candidate("ray serve", functools.partial(_peer, "ray_serve", sys.executable), KINDS, extra=_ray_daemons),
    ]
    return [each for each in listed if each is not None]


def floor_ms() -> dict[str, float]:
    """CPU of what no service can do without: the network, a plain read of the samples, one zero-phase filter pass.

    As a request would do them, one after the other, in as many processes at once as the service has: a part that is
    repeated by itself finds all that it needs in the processor's caches, which no request does.
    """
    with ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
        found = list(pool.map(_floor_of_one, range(WORKERS)))
    return {name: mean(each[name] for each in found) for name in found[0]}


def _floor_of_one(_process: int) -> dict[str, float]:
    parts, ends = _parts(), time.monotonic() + FLOOR_S
    spent, rounds = dict.fromkeys(parts, 0.0), 0
    while time.monotonic() < ends:
        for name, part in parts.items():
            start = time.thread_time()
            part()
            spent[name] += time.thread_time() - start
        rounds += 1
    return {name: each / rounds * 1000 for name, each in spent.items()}


def bare_ms() -> dict[str, float]:
    """Each part of the floor repeated by itself, in one process alone."""
    return {name: _cpu_ms(part) for name, part in _parts().items()}


def _parts() -> dict[str, Callable[[], object]]:
    """A plain read unpacks what was sent and scales its 16-bit counts, whatever the header says; the filter runs
    forwards and backwards over all twelve leads at their own rate."""
    predictor = Predictor.load(model_path())
    packed = WFDB.body.read_bytes()
    recording = formats.read(packed)
    twelve = harmonise.to_twelve(recording)
    found = beats.find(twelve)
    tensor = preprocess.prepare(twelve, predictor.contract.preprocessing, found)
    mask = quality.inspect(twelve, predictor.contract.quality, found).lead_mask
    sections = signal.butter(2, (0.5, 150.0), "bandpass", fs=twelve.sampling_rate_hz, output="sos")
    return {
        "inference": lambda: predictor.infer(tensor, mask),
        "read": lambda: _plainly_read(packed),
        "filter": lambda: signal.sosfiltfilt(sections, twelve.samples_mv, axis=1),
    }


def _plainly_read(packed: bytes) -> NDArray[np.float32]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        counts = np.frombuffer(archive.read("record.dat"), "<i2")
    return counts.reshape(-1, 12).T.astype(np.float32) * np.float32(1e-3)


def _cpu_ms(part: Callable[[], object], repeats: int = 100) -> float:
    for _ in range(10):
        part()
    start = time.thread_time()
    for _ in range(repeats):
        part()
    return (time.thread_time() - start) / repeats * 1000


def _environment(candidate: Candidate, port: int, folder: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "PORT": str(port),
        "WORKERS": str(WORKERS),
        "QUEUE_SIZE": "64",
        "LOG_LEVEL": "error",
        "AUDIT_URL": f"sqlite:///{folder}/audit.db",
        **candidate.environment,
    }


@dataclass(slots=True)
class Line:
    """One candidate, one kind of request, one number of clients; medians over the rounds."""

    candidate: str
    kind: str
    clients: int
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    cpu_ms: float
    memory_mib: float
    failed: int
    rounds_per_second: list[float]
    rounds_cpu_ms: list[float]


def _asked(candidate: Candidate, server: Running, kind: str, clients: int) -> tuple[Measured, float, float]:
    """What its callers saw, its CPU milliseconds a request, its memory."""
    seconds = min(SECONDS, 1.0) if candidate.is_slow and clients > WORKERS else SECONDS
    with server.awake():
        before = server.cpu_s()
        found = load(server.port, candidate.sent[kind], clients, seconds)
        return found, (server.cpu_s() - before) / max(found.requests, 1) * 1000, server.memory_mib()


def _alone(ask: Callable[[], tuple[Measured, float, float]], infer: Callable[[], object]) -> dict[str, float]:
    """What a lone client waits, and what bare inference takes just before and just after: an aim in one breath."""
    before, (found, _, _), after = _cpu_ms(infer), ask(), _cpu_ms(infer)
    return {"p50_ms": found.percentile_ms(0.5), "bare_ms": (before + after) / 2}


def measure() -> dict[str, Any]:
    """All candidates are up and take turns at each load, so that a slow minute of the machine is everybody's; who is
    not asked stands still."""
    rounds: dict[tuple[str, str, int], list[tuple[Measured, float, float]]] = {}
    floors: list[dict[str, float]] = []
    bare: list[dict[str, float]] = []
    lone: list[dict[str, float]] = []
    infer = _parts()["inference"]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        up = list(filter(None, (_started(stack, each, folder) for each in candidates())))
        for turn in range(ROUNDS):
            print(f"round {turn + 1} of {ROUNDS}", file=sys.stderr, flush=True)
            floors.append(floor_ms())
            bare.append(bare_ms())
            lone += [_alone(functools.partial(_asked, *up[0], "WFDB", 1), infer) for _ in range(ALONE)]
            for kind, clients in itertools.product(KINDS, CLIENTS):
                for candidate, server in up:
                    if kind in candidate.sent:
                        found = _asked(candidate, server, kind, clients)
                        rounds.setdefault((candidate.name, kind, clients), []).append(found)
    return {
        "floor_ms": _medians(floors),
        "floors_ms": floors,
        "bare_ms": _medians(bare),
        "lone": lone,
        "stages_ms": _stages.profile({kind: sent.body for kind, sent in KINDS.items()}),
        "audit": _stages.audit(),
        "lines": [asdict(_line(key, found)) for key, found in rounds.items()],
        "rounds": ROUNDS,
        "workers": WORKERS,
    }


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: median(each[name] for each in rounds) for name in rounds[0]}


def _started(stack: contextlib.ExitStack, candidate: Candidate, folder: Path) -> tuple[Candidate, Running] | None:
    port = free_port()
    log = ROOT / ".cache" / f"bench-{candidate.name.replace(' ', '-')}.log"
    home = folder / candidate.name.replace(" ", "-")
    home.mkdir()
    server = stack.enter_context(
        running(
            candidate.command(port),
            port,
            log,
            environment=_environment(candidate, port, home),
            extra=candidate.extra,
        )
    )
    for sent in candidate.sent.values():
        if not wait_until_answers(server, sent.path, sent.content_type, sent.body.read_bytes()):
            print(f"{candidate.name}: does not answer, see {log.relative_to(ROOT)}", file=sys.stderr)
            return None
    load(port, next(iter(candidate.sent.values())), 4, 2.0)
    server.stand_still()
    return candidate, server


def _line(key: tuple[str, str, int], found: list[tuple[Measured, float, float]]) -> Line:
    runs = [each[0] for each in found]
    return Line(
        *key,
        per_second=median(each.per_second for each in runs),
        p50_ms=median(each.percentile_ms(0.5) for each in runs),
        p95_ms=median(each.percentile_ms(0.95) for each in runs),
        p99_ms=median(each.percentile_ms(0.99) for each in runs),
        cpu_ms=median(each[1] for each in found),
        memory_mib=max(each[2] for each in found),
        failed=sum(each.failed for each in runs),
        rounds_per_second=[each.per_second for each in runs],
        rounds_cpu_ms=[each[1] for each in found],
    )


def main() -> None:
    found = measure()
    _document.keep("service", found)
    print(json.dumps(found["floor_ms"]))
    print(_document.text_of("service"))


if __name__ == "__main__":
    main()
