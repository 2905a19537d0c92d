"""Starts and replaces worker processes; passes on the wish to reload models."""

from __future__ import annotations

import os
import signal
from socket import socket
from typing import Final

from prometheus_client.multiprocess import mark_process_dead
from uvicorn import Config
from uvicorn.supervisors import Multiprocess

from service.settings import is_shared, share, shared

SUPERVISED: Final = "ECG_SUPERVISOR_PID"


class Supervisor(Multiprocess):
    """A worker that dies or hangs is replaced; SIGHUP goes on to all, and they swap models without a gap."""

    def __init__(self, config: Config, sockets: list[socket]) -> None:
        share(SUPERVISED, str(os.getpid()))
        super().__init__(config, sockets)

    def handle_hup(self) -> None:
        for process in self.processes:
            if process.pid is not None and process.process.is_alive():
                os.kill(process.pid, signal.SIGHUP)

    def keep_subprocess_alive(self) -> None:
        before = {process.pid for process in self.processes}
        super().keep_subprocess_alive()
        for gone in before - {process.pid for process in self.processes}:
            mark_process_dead(gone)  # type: ignore[no-untyped-call]


def tell_siblings() -> None:
    """Ask the supervisor, where there is one, to have every worker reload."""
    parent = os.getppid()
    if is_shared(SUPERVISED) and shared(SUPERVISED) == str(parent):
        os.kill(parent, signal.SIGHUP)
