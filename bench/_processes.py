"""A server under test: started, waited for, its CPU time and memory with all its children, stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
_TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
_START_S: Final = 90.0
_TO_WAKE_S: Final = 0.5  # what was missed is caught up with first


@dataclass(frozen=True, slots=True)
class Running:
    """`extra` finds processes that are the server's but not its children, such as those of a daemon."""

    port: int
    process: subprocess.Popen[bytes]
    extra: Callable[[], list[int]]

    def pids(self) -> list[int]:
        return list(dict.fromkeys([*_tree(self.process.pid), *(pid for each in self.extra() for pid in _tree(each))]))

    def cpu_s(self) -> float:
        return sum(_cpu_s(pid) for pid in self.pids())

    def memory_mib(self) -> float:
        """Proportional set size: pages that several processes share count once."""
        return sum(_pss_kib(pid) for pid in self.pids()) / 1024

    @contextlib.contextmanager
    def awake(self) -> Iterator[None]:
        """Let it run meanwhile, and stand still again."""
        self.tell(signal.SIGCONT)
        time.sleep(_TO_WAKE_S)
        try:
            yield
        finally:
            self.stand_still()

    def stand_still(self) -> None:
        """So that what it does unasked is not measured as another's."""
        self.tell(signal.SIGSTOP)

    def tell(self, number: signal.Signals) -> None:
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def no_extra() -> list[int]:
    return []


@contextlib.contextmanager
def running(
    command: list[str], port: int, log: Path, *, environment: dict[str, str], extra: Callable[[], list[int]] = no_extra
) -> Iterator[Running]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=out, stderr=out, start_new_session=True
        )  # fmt: skip
    server = Running(port, process, extra)
    try:
        yield server
    finally:
        server.tell(signal.SIGCONT)
        family = {pid: _born(pid) for pid in _tree(process.pid)}
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        # Some frameworks give their workers sessions of their own, and leave them behind.
        for pid, born in family.items():
            if born and _born(pid) == born:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def wait_until_answers(server: Running, path: str, content_type: str, body: bytes) -> bool:
    """Whether the server answers 200 to the very request that will be measured."""
    deadline = time.monotonic() + _START_S
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{path}", data=body, headers={"Content-Type": content_type}
    )
    while time.monotonic() < deadline and server.process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=30) as answer:
            return bool(answer.status == 200)
        time.sleep(0.25)
    return False


def _tree(pid: int) -> list[int]:
    try:
        children = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return []
    return [pid, *(each for child in children for each in _tree(child))]


def _born(pid: int) -> str:
    """When a process began, in the kernel's ticks; a number may go to another process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except OSError:
        return ""


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def _pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
