"""python -m tests.service.make_samples: writes service/samples/ anew, one file a format, from a synthetic heart."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Final

import tests.makers
from service import samples
from tests.ecg.hearts import normal_mv

RATE_HZ: Final = 500.0
SECONDS: Final = 10.0


def maker_names() -> list[str]:
    found = (
        importlib.import_module(f"tests.makers.{each.name}") for each in pkgutil.iter_modules(tests.makers.__path__)
    )
    return [each.__name__.rpartition(".")[2] for each in found if hasattr(each, "make")]


def made(name: str) -> tuple[str, bytes]:
    """The file name's ending and the content."""
    maker = importlib.import_module(f"tests.makers.{name}")
    return Path(maker.FILENAME).suffix, maker.make(normal_mv(66.0, SECONDS, RATE_HZ), RATE_HZ)


def main() -> None:
    folder = Path(samples.__file__).parent
    for name in maker_names():
        ending, data = made(name)
        (folder / f"{name}{ending}").write_bytes(data)
        print(name, len(data))


if __name__ == "__main__":
    main()
