"""python -m ecg.native: compile the kernels for every processor of this machine's kind.

Without a C compiler the numpy twins do the same work; that is said, and is no error.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess  # nosec B404
import sys
import tempfile
from pathlib import Path
from typing import Final

from ecg.native import LEVELS, LIBRARIES, SOURCES, digest, library_of

# Sums may be taken in any order, as vectors do; what is no number stays none.
FLAGS: Final = (
    "-std=gnu11", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-fno-math-errno", "-fno-trapping-math",
    "-fno-signed-zeros", "-fassociative-math",
)  # fmt: skip


def main() -> int:
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if shutil.which(compiler[0]) is None:
        print(f"no C compiler ({compiler[0]}): numpy does the kernels' work, more slowly")
        return 0
    levels = LEVELS if platform.machine() in ("x86_64", "AMD64") else LEVELS[:1]
    return max(_compiled(compiler, level) for level in levels)


def _compiled(compiler: list[str], level: int) -> int:
    sources = [str(each) for each in SOURCES if each.suffix == ".c"]
    flags = [
        *FLAGS,
        *shlex.split(os.environ.get("CFLAGS", "")),
        f'-DMADE_OF="{digest()}"',
        *([f"-march=x86-64-v{level}"] if level else []),
    ]
    LIBRARIES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=LIBRARIES) as folder:
        made = Path(folder) / "kernels.so"
        # The compiler is named by whoever sets the project up.
        command = [*compiler, *flags, *sources, "-o", str(made), "-lm"]
        ended = subprocess.run(command, check=False)  # noqa: S603  # nosec B603
        if ended.returncode == 0:
            made.replace(library_of(level))  # at once, since a service may be reading the old one
    print(f"{'compiled' if ended.returncode == 0 else 'could not compile'} {library_of(level).name}")
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
