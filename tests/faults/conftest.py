"""File systems and a database that a test may break, thrown away after it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.service import conftest as service_fixtures
from tests.service.conftest import free_port
from tests.service.server import Server


def mounted(folder: Path, *words: str) -> None:
    """Needs the right to mount; where a run has none, its test is skipped."""
    done = subprocess.run(["mount", *words, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this run may not mount file systems: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of three megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted(folder, "-t", "tmpfs", "-o", "size=3m", "tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@dataclass(frozen=True)
class Disk:
    """An ext4 file system in a file: it can fail as a real one does, and be mounted again."""

    image: Path
    folder: Path

    def mount(self) -> None:
        mounted(self.folder, "-o", "loop,errors=remount-ro", str(self.image))

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.folder)], check=True)

    def fail(self) -> None:
        """What the kernel does on a broken disk: from now on the file system is read-only."""
        lines = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
        device = next(words[0] for words in lines if words[1] == str(self.folder))
        trigger = Path("/sys/fs/ext4") / Path(device).name / "trigger_fs_error"
        if not trigger.exists():
            pytest.skip("this kernel cannot be told to fail a file system")
        trigger.write_text("1")


@pytest.fixture
def failing_disk(tmp_path: Path) -> Iterator[Disk]:
    make = shutil.which("mkfs.ext4")
    if make is None:
        pytest.skip("mkfs.ext4 is not installed")
    disk = Disk(tmp_path / "disk.img", tmp_path / "ext4")
    disk.folder.mkdir()
    with disk.image.open("wb") as image:
        image.truncate(32 * 2**20)
    subprocess.run([make, "-q", "-O", "^has_journal", str(disk.image)], check=True)
    disk.mount()
    yield disk
    subprocess.run(["umount", "-l", str(disk.folder)], check=False, capture_output=True)


@dataclass(frozen=True)
class Postgres:
    """A cluster that can be stopped and started."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgresql://ecg@127.0.0.1:{self.port}/postgres"

    def control(self, verb: str, *words: str) -> None:
        binary = str(service_fixtures._BINARIES[-1] / "pg_ctl")
        service_fixtures._as_postgres(binary, "-D", str(self.folder / "data"), *words, "-w", verb)

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder} -c fsync=off"
        self.control("start", "-o", options, "-l", str(self.folder / "log"))

    def crash(self) -> None:
        self.control("stop", "-m", "immediate")


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    if not service_fixtures._BINARIES:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="ecg-pg-"))
    os.chmod(folder, 0o777)
    cluster = Postgres(folder, free_port())
    initdb = str(service_fixtures._BINARIES[-1] / "initdb")
    service_fixtures._as_postgres(initdb, "-D", str(folder / "data"), "-A", "trust", "-U", "ecg", "--no-sync")
    cluster.start()
    yield cluster
    cluster.crash()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def shifting_clock(tmp_path: Path) -> Path:
    """A library to preload whose wall clock is ahead by the seconds in the file `offset` beside it."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to build the shifted clock with")
    (tmp_path / "offset").write_bytes(bytes(8))
    source = tmp_path / "clock.c"
    source.write_text(_CLOCK % (tmp_path / "offset"))
    library = tmp_path / "clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return library


_CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
static volatile long *ahead;
static int (*real)(clockid_t, struct timespec *);
__attribute__((constructor)) static void open_offset(void) {
    real = dlsym(RTLD_NEXT, "clock_gettime");
    int file = open("%s", O_RDONLY);
    void *page = mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
    ahead = page == MAP_FAILED ? 0 : page;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = real(clock, now);
    if (!failed && ahead && clock == CLOCK_REALTIME) now->tv_sec += *ahead;
    return failed;
}
time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}
int gettimeofday(struct timeval *restrict into, void *restrict zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    into->tv_sec = now.tv_sec;
    into->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of a module that leave it as it was."""
    with Server(tmp_path_factory.mktemp("server")) as running:
        yield running
