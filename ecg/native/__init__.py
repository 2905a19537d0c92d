"""The arithmetic that takes most of a request's time, compiled where a C compiler was at hand.

Every kernel stands beside its numpy twin in the room that needs it, which is the reference and what runs where nothing
was compiled: `if native.compiled: return native.<kernel>(...)`. Both give the same but for the last digits of sums.

`python -m ecg.native` compiles. ECG_KERNELS chooses: `numpy`, or the highest level of instructions to use (0, 3, 4), so
that unlike machines of one cluster agree in the last digits too.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

HOME: Final = Path(__file__).parent
LIBRARIES: Final = HOME / "lib"  # a folder of their own, since beside the sources they would pass for modules of Python
# One library for each level of instructions that processors of a kind differ in; 0 runs on all of them.
LEVELS: Final = (0, 3, 4)
SOURCES: Final = tuple(sorted(HOME.glob("*.[ch]")))
MOST_BEATS: Final = 64  # as in beats.c

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]


@functools.cache
def digest() -> str:
    """What a library must have been made of to be used: one of older sources would read its arguments wrongly."""
    return hashlib.sha256(b"".join(each.read_bytes() for each in SOURCES)).hexdigest()


def library_of(level: int) -> Path:
    return LIBRARIES / (f"kernels-v{level}.so" if level else "kernels.so")


def _best() -> ctypes.PyDLL | None:
    wanted = os.environ.get("ECG_KERNELS") or str(LEVELS[-1])
    everywhere = None if wanted == "numpy" else _opened(library_of(0))
    if everywhere is None:
        return None
    # The processor's own level is asked of the library that runs on all of them.
    return _opened(library_of(min(everywhere.ecg_level(), int(wanted)))) or everywhere


def _opened(path: Path) -> ctypes.PyDLL | None:
    try:
        # Not CDLL, which lets go of the interpreter's lock: kernels take microseconds, and to win it back takes longer.
        library = ctypes.PyDLL(str(path))
        made_of = ctypes.c_char_p.in_dll(library, "ecg_made_of").value
    except (OSError, ValueError):
        return None
    return library if made_of == digest().encode() else None


def _at(array: NDArray[Any]) -> int | None:
    """Where the array's values lie, by its head, whose layout all extensions of numpy rely on. `array.ctypes.data` says
    the same six times as slowly, and a request asks dozens of times."""
    return ctypes.c_void_p.from_address(id(array) + object.__basicsize__).value


def _can_point() -> bool:
    some = np.zeros(1)
    return _at(some) == some.ctypes.data


_library: Final = _best()
# Tests take the numpy way by setting this.
compiled = _library is not None and _can_point()


def in_use() -> str:
    """What does the arithmetic, for a log."""
    return Path(_library._name).stem if compiled and _library else "numpy"


_TYPES: Final[dict[str, Any]] = {
    "p": ctypes.c_void_p,
    "n": ctypes.c_int64,
    "f": ctypes.c_float,
    "d": ctypes.c_double,
}


def _kernel(name: str, parameters: str, result: Any = None) -> Callable[..., Any]:
    """The kernel of that name; its parameters by letter: p an array, n a whole number, f and d a float."""
    if _library is None:
        return _absent
    kernel = _library[f"ecg_{name}"]
    kernel.argtypes, kernel.restype = [_TYPES[each] for each in parameters], result
    return kernel


def _absent(*_: object) -> None:
    raise RuntimeError("the kernels are not compiled: python -m ecg.native")


_shared_slope: Final = _kernel("shared_slope", "pnnp", ctypes.c_int)
_bursts: Final = _kernel("bursts", "pnnpnfdnnddnp", ctypes.c_int64)
_align: Final = _kernel("align", "pnpnnnfnppp", ctypes.c_int)
_median_beat: Final = _kernel("median_beat", "pnnpnnnp")
_all_known: Final = _kernel("all_known", "pn", ctypes.c_int)
_resample: Final = _kernel("resample", "pnnpnnnnnp", ctypes.c_int)
_bands: Final = _kernel("bands", "pnnnpnppppnp", ctypes.c_int)
_lead_facts: Final = _kernel("lead_facts", "pnnnnpnp")
_roughness: Final = _kernel("roughness", "pnnnp", ctypes.c_int)
_height: Final = _kernel("height", "pnnp")
_peakedness: Final = _kernel("peakedness", "pnnpnn", ctypes.c_double)
_likeness: Final = _kernel("likeness", "pnnpnnnpnnp")
_steep: Final = _kernel("steep", "pnnnfpp", ctypes.c_int64)
_limb_residual: Final = _kernel("limb_residual", "pn", ctypes.c_double)
_levelled: Final = _kernel("levelled", "pnnp", ctypes.c_int)
_products: Final = _kernel("products", "pnnpnp")
_reversals: Final = _kernel("reversals", "pnpp", ctypes.c_int)
_left_limbs: Final = _kernel("left_limbs", "pnnpnnpdpppn", ctypes.c_double)
_slope_width: Final = _kernel("slope_width", "pnnnn", ctypes.c_double)
_centre: Final = _kernel("centre", "pnnnnn", ctypes.c_double)
_delineate: Final = _kernel("delineate", "pnndddpp", ctypes.c_int)


def _laid(samples: NDArray[Any]) -> Floats:
    """Row by row in single precision, as every kernel takes them; the same array where it lies so already."""
    return np.ascontiguousarray(samples, np.float32)


def _require_memory(done: int) -> None:
    if done <= 0:
        raise MemoryError


def _number(found: float) -> float:
    if found != found:
        raise MemoryError
    return found


def shared_slope(qrs: Floats, half: int) -> Floats:
    qrs, shared = _laid(qrs), np.empty(qrs.shape[1], np.float32)
    _require_memory(_shared_slope(_at(qrs), qrs.shape[1], half, _at(shared)))
    return shared


def bursts(
    qrs: Floats, envelope: Floats, *, distance: int, faintest: float, above: float, around: tuple[int, int],
    soon: float, less: float, reach: int,
) -> Indices:  # fmt: skip
    qrs, envelope, found = _laid(qrs), _laid(envelope), np.empty(qrs.shape[1], np.int64)
    count = _bursts(
        _at(qrs), *qrs.shape, _at(envelope), distance, faintest, above, *around, soon, less, reach, _at(found)
    )
    _require_memory(count + 1)
    return found[:count]


def align(
    samples: Floats, peaks: Indices, reach: int, lag: int, alike: float, typical_of: int
) -> tuple[Indices, Floats, Floats]:
    """Of all twelve leads: each peak's best lag, how well it fits, and the typical beat of the independent leads."""
    samples, peaks = _laid(samples), np.ascontiguousarray(peaks, np.int64)
    best, fit = np.empty(peaks.size, np.int64), np.empty(peaks.size, np.float32)
    typical = np.empty((8, 2 * reach + 1), np.float32)
    _require_memory(
        _align(
            _at(samples), samples.shape[1], _at(peaks), peaks.size, reach, lag, alike, typical_of,
            _at(best), _at(fit), _at(typical),
        )
    )  # fmt: skip
    return best, fit, typical


def median_beat(samples: Floats, r_samples: Indices, before: int, after: int) -> Floats:
    """Of beats that lie wholly inside, at least one and at most MOST_BEATS."""
    samples, r_samples = _laid(samples), np.ascontiguousarray(r_samples, np.int64)
    middle = np.empty((samples.shape[0], before + after), np.float32)
    _median_beat(_at(samples), *samples.shape, _at(r_samples), r_samples.size, before, after, _at(middle))
    return middle


def all_known(samples: Floats) -> bool:
    samples = _laid(samples)
    return bool(_all_known(_at(samples), samples.size))


def resample(samples: Floats, phases: Floats, up: int, down: int, half: int, n_out: int) -> Floats:
    samples, resampled = _laid(samples), np.empty((samples.shape[0], n_out), np.float32)
    taps = phases.shape[1]
    _require_memory(_resample(_at(samples), *samples.shape, _at(phases), up, down, taps, half, n_out, _at(resampled)))
    return resampled


def bands(
    samples: Floats, pad: int, fade: Floats, turns: NDArray[np.complex64], gain: Floats, coarse_gain: Floats, every: int
) -> tuple[Floats, Floats]:
    """The samples under one gain, and every so many of them under another; one turn a sample of the extension."""
    samples, (leads, n) = _laid(samples), samples.shape
    filtered, coarse = np.empty((leads, n), np.float32), np.empty((leads, -(-n // every)), np.float32)
    _require_memory(
        _bands(
            _at(samples), leads, n, pad, _at(fade), turns.size, _at(turns),
            _at(gain), _at(filtered), _at(coarse_gain), every, _at(coarse),
        )
    )  # fmt: skip
    return filtered, coarse


def lead_facts(samples: Floats, run: int, second: int, waves: Floats) -> Doubles:
    """A row a lead: spread, wander, mains hum, and how many runs lie at its highest or lowest value."""
    samples, facts = _laid(samples), np.empty((samples.shape[0], 4))
    _lead_facts(_at(samples), *samples.shape, run, second, _at(waves), len(waves) // 2, _at(facts))
    return facts


def roughness(samples: Floats, step: int) -> Floats:
    samples, middle = _laid(samples), np.empty(samples.shape[0], np.float32)
    _require_memory(_roughness(_at(samples), *samples.shape, step, _at(middle)))
    return middle


def height(samples: Floats) -> Floats:
    samples, farthest = _laid(samples), np.empty(samples.shape[0], np.float32)
    _height(_at(samples), *samples.shape, _at(farthest))
    return farthest


def peakedness(samples: Floats, r_samples: Indices, half: int) -> float:
    samples, r_samples = _laid(samples), np.ascontiguousarray(r_samples, np.int64)
    return _number(_peakedness(_at(samples), *samples.shape, _at(r_samples), r_samples.size, half))


def likeness(samples: Floats, r_samples: Indices, before: int, after: int, beat: Floats, middle: int) -> Doubles:
    """Of beats that lie wholly inside, at least one."""
    samples, beat = _laid(samples), _laid(beat)
    r_samples, alike = np.ascontiguousarray(r_samples, np.int64), np.empty(samples.shape[0])
    _likeness(
        _at(samples), *samples.shape, _at(r_samples), r_samples.size, before, after,
        _at(beat), beat.shape[1], middle, _at(alike),
    )  # fmt: skip
    return alike


def steep(samples: Floats, width: int, above: float) -> tuple[Indices, Floats]:
    samples = _laid(samples)
    ends, sharp = np.empty(samples.shape[1], np.int64), np.empty(samples.shape[1], np.float32)
    found = _steep(_at(samples), *samples.shape, width, above, _at(ends), _at(sharp))
    _require_memory(found + 1)
    return ends[:found], sharp[:found]


def limb_residual(samples: Floats) -> float:
    """Squared, of the first six rows."""
    samples = _laid(samples)
    residual: float = _limb_residual(_at(samples), samples.shape[1])
    return residual


def levelled(beat: Floats) -> Floats:
    beat = _laid(beat)
    level = np.empty_like(beat)
    _require_memory(_levelled(_at(beat), *beat.shape, _at(level)))
    return level


def products(beat: Floats, spans: Indices) -> Doubles:
    """Wave by wave, each a row of `spans`."""
    beat, summed = _laid(beat), np.empty((len(spans), len(beat), len(beat)))
    _products(_at(beat), *beat.shape, _at(spans), len(spans), _at(summed))
    return summed


def reversals(beat: Floats, constants: Doubles) -> tuple[float, Doubles, Doubles]:
    """Of all twelve leads: the silence of II, the scores of two limb reversals, the gains of fifteen swaps."""
    beat, likely = _laid(beat), np.empty(18)
    _require_memory(_reversals(_at(beat), beat.shape[1], _at(constants), _at(likely)))
    return float(likely[0]), likely[1:3], likely[3:]


def left_limbs(
    beat: Floats, first: int, widths: Indices, silent: int, counts: Indices, smallest: float,
    taps: Floats, biases: Floats, weights: Floats,
) -> float:  # fmt: skip
    """Of all twelve leads; every array as it lies."""
    beat = _laid(beat)
    return _number(
        _left_limbs(
            _at(beat), beat.shape[1], first, _at(widths), widths.size, silent, _at(counts), smallest,
            _at(taps), _at(biases), _at(weights), biases.size,
        )
    )  # fmt: skip


def slope_width(beat: Floats, first: int, last: int) -> float:
    beat = _laid(beat)
    return _number(_slope_width(_at(beat), *beat.shape, first, last))


def centre(beat: Floats, step: int, first: int, last: int) -> float:
    beat = _laid(beat)
    return _number(_centre(_at(beat), *beat.shape, step, first, last))


def delineate(
    beat: Floats, r: int, rr: float, rate_hz: float, faintest_p_mv: float, constants: Doubles
) -> list[list[int]]:
    """Onset and offset of P, QRS and T; -1 for a wave that cannot be told."""
    beat, waves = _laid(beat), np.empty((3, 2), np.int64)
    _require_memory(_delineate(_at(beat), beat.shape[1], r, rr, rate_hz, faintest_p_mv, _at(constants), _at(waves)))
    found: list[list[int]] = waves.tolist()
    return found
