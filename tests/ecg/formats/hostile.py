"""What strangers do to bytes, and the one law for it: an answer or an EcgError, soon."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from ecg.errors import EcgError

EXTREMES = (
    b"\x00" * 4,
    b"\xff" * 4,
    b"\xff\xff\xff\x7f",
    b"\x00\x00\x00\x80",
    b"\x01\x00\x00\x00",
    b"-1",
    b"1e400",
    b"nan",
)


def synthetic_mv(n_samples: int = 1_000, rate_hz: float = 500.0, seed: int = 7) -> NDArray[np.float64]:
    """Twelve leads that obey Einthoven and Goldberger: narrow bumps over a slow wave."""
    rng = np.random.default_rng(seed)
    t = np.arange(n_samples) / rate_hz
    bumps = np.exp(-(((t + 0.3) % 0.8 - 0.4) ** 2) / (2 * 0.012**2))
    independent = rng.uniform(-0.8, 1.6, (8, 1)) * bumps + 0.08 * np.sin(2 * np.pi * (t + rng.uniform(0, 1, (8, 1))))
    i, ii, chest = independent[0], independent[1], independent[2:]
    limb = [i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2]
    return np.concatenate([np.stack(limb), chest])


@st.composite
def mutations(draw: st.DrawFn, data: bytes) -> bytes:
    """A few cuts, flips and planted extremes, most of them near the front where the headers are."""
    broken = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        near = draw(st.booleans())
        place = draw(st.integers(0, max(min(len(broken), 2_000 if near else len(broken)) - 1, 0)))
        match draw(st.sampled_from(["cut", "flip", "plant", "drop", "double"])):
            case "cut":
                del broken[place:]
            case "flip" if broken:
                broken[place] ^= 1 << draw(st.integers(0, 7))
            case "plant":
                extreme = draw(st.sampled_from(EXTREMES))
                broken[place : place + len(extreme)] = extreme
            case "drop":
                del broken[place : place + draw(st.integers(1, 64))]
            case _:
                broken[place:place] = broken[place : place + draw(st.integers(1, 64))]
    return bytes(broken)


def stays_lawful(parse: Callable[[], object], limit_s: float = 1.0) -> None:
    """An EcgError or an answer within the limit; any other exception fails the test by itself."""
    start = time.perf_counter()
    with contextlib.suppress(EcgError):
        parse()
    assert time.perf_counter() - start < limit_s
