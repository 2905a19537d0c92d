"""A real PostgreSQL and a real SQLite store, each thrown away after use."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from tests.service.server import Server

_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: int(each.parent.name))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _as_postgres(*words: str) -> None:
    """PostgreSQL refuses to run as root."""
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*prefix, *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[int]:
    """The port of a cluster of our own on loopback."""
    if not _BINARIES:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="ecg-pg-"))
    folder.chmod(0o777)
    port, binaries, data = free_port(), _BINARIES[-1], folder / "data"
    _as_postgres(str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-U", "ecg", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    _as_postgres(str(binaries / "pg_ctl"), "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start")
    yield port
    _as_postgres(str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_cluster: int) -> str:
    """A database of its own for this test."""
    name = f"audit_{uuid4().hex[:12]}"
    create = ["-h", "127.0.0.1", "-p", str(postgres_cluster), "-U", "ecg", name]
    subprocess.run([str(_BINARIES[-1] / "createdb"), *create], check=True, timeout=60)
    return f"postgresql://ecg@127.0.0.1:{postgres_cluster}/{name}"


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'audit.db'}"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest) -> str:
    """The same law holds on both."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of a module that leave it as it was."""
    from tests.service.server import Server

    with Server(tmp_path_factory.mktemp("server")) as running:
        yield running
