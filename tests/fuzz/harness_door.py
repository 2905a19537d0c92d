"""python -m tests.fuzz.harness_door [libFuzzer arguments]: the whole application through its ASGI face."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tests.fuzz.harness import begin


def _load() -> Callable[[bytes], None]:
    from service import logs
    from tests.fuzz import door

    logs.configure("error")
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    return door.target


if __name__ == "__main__":
    begin(_load)
