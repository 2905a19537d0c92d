"""python -m service: serve the models on HOST:PORT."""

from __future__ import annotations

import logging
import signal
import ssl
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from pydantic import ValidationError
from uvicorn.config import STARTUP_FAILURE

from service.settings import Settings, load, share
from service.wire import PatientProtocol


def main() -> int:
    try:
        settings = load()
    except ValidationError as error:
        sys.exit("\n".join(f"refused to start: {_told(each)}" for each in error.errors()))
    logging.basicConfig(level=settings.log_level.upper(), format='{"level":"%(levelname)s","event":"%(message)s"}')
    with tempfile.TemporaryDirectory(prefix="ecg-", dir=settings.runtime_dir) as runtime:
        share("RUNTIME_DIR", runtime)
        config = _config(settings)
        if settings.workers > 1:
            return _supervised(config, Path(runtime))
        signal.signal(signal.SIGTERM, _already_drained)
        server = uvicorn.Server(config)
        server.run()
        return 0 if server.started else STARTUP_FAILURE


def _already_drained(_signal: int, _frame: FrameType | None) -> None:
    """The server drains on SIGTERM and then raises it again; by then there is nothing left to end in a hurry."""


def _supervised(config: uvicorn.Config, runtime: Path) -> int:
    from service.metrics import share_directory
    from service.supervisor import Supervisor

    counters = runtime / "metrics"
    counters.mkdir()
    share_directory(str(counters))
    socket = config.bind_socket()
    supervisor = Supervisor(config, [socket])
    supervisor.run()
    failed = any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes)
    return STARTUP_FAILURE if failed else 0


def _config(settings: Settings) -> uvicorn.Config:
    mutual = ssl.CERT_REQUIRED if settings.tls_client_ca_file else ssl.CERT_NONE
    return uvicorn.Config(
        "service.app:from_environment", factory=True, host=settings.host, port=settings.port,
        workers=settings.workers, loop="uvloop", http=PatientProtocol, ws="none", lifespan="on",
        log_config=None, access_log=False, server_header=False, root_path=settings.root_path,
        proxy_headers=True, forwarded_allow_ips=settings.forwarded_allow_ips,
        timeout_graceful_shutdown=settings.shutdown_timeout_s, timeout_keep_alive=75,
        ssl_certfile=settings.tls_cert_file, ssl_keyfile=settings.tls_key_file,
        ssl_ca_certs=str(settings.tls_client_ca_file) if settings.tls_client_ca_file else None, ssl_cert_reqs=mutual,
    )  # fmt: skip


def _told(problem: Any) -> str:
    name = ".".join(str(part).upper() for part in problem["loc"])
    return f"{name}: {problem['msg']}" if name else str(problem["msg"]).removeprefix("Value error, ")


if __name__ == "__main__":
    sys.exit(main())
