"""What the harnesses share: instrument, arm the limits, hand over to the fuzzer."""

from __future__ import annotations

import resource
import sys
import warnings
from collections.abc import Callable

import atheris

from tests.fuzz.law import LIMIT_BYTES, address_space

# The fuzzer's own corpus and tables, on top of what the target may take.
_FUZZER_BYTES = 700 * 2**20
INSTRUMENTED = [
    "ecg",
    "service",
    "uvicorn.protocols.http",
    "pydicom",
    "python_multipart",
    "starlette.formparsers",
    "starlette.datastructures",
]


def begin(load: Callable[[], Callable[[bytes], None]]) -> None:
    """Load the target instrumented, then fuzz it with libFuzzer's arguments."""
    with atheris.instrument_imports(include=INSTRUMENTED, enable_loader_override=False):
        target = load()
    # As in the tests: a warning is a defect.
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", category=ResourceWarning)
    limit = address_space() + LIMIT_BYTES + _FUZZER_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
