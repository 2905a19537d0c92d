"""prepare(TwelveLead, steps) -> float32 tensor; ordered, versioned steps, each immutable once released.

Training and serving call exactly this, one record at a time. What the beats were found on is reused, never made twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg import beats as beat_room
from ecg import filters
from ecg.beats import Beats, Filtered
from ecg.contract import Number, Step
from ecg.errors import ContractInvalid, TooShort
from ecg.recording import Samples, Source, TwelveLead


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Samples, their rate, and where they lie on the recording.

    Sample t lies `start_ms + t * step_ms` after each anchor: the start of the recording, or the R peak of each normal
    beat, of which those near an end reach beyond it. A median beat that the file brings has no place on the recording.
    """

    samples_mv: Samples
    rate_hz: float
    start_ms: float = 0.0
    anchors_ms: tuple[float, ...] = (0.0,)

    @property
    def step_ms(self) -> float:
        return 1000 / self.rate_hz

    def recording_ms(self, sample: float) -> NDArray[np.float64]:
        """Every moment of the recording, in ms from its start, that this sample of the tensor stands for."""
        return np.asarray(self.anchors_ms) + self.start_ms + sample * self.step_ms


Parameters = Mapping[str, float]
Heard = Filtered | Beats
Act = Callable[[Prepared, Parameters, TwelveLead, Heard], Prepared]


@dataclass(frozen=True, slots=True)
class _Kind:
    parameters: tuple[str, ...]
    act: Act
    needs_beats: bool = False


def prepare(twelve: TwelveLead, steps: tuple[Step, ...], beats: Beats) -> Samples:
    """The tensor that the recipe makes of one recording: (12, samples), C-contiguous, float32."""
    # A copy: what it may share with the beats stays as it is, whatever the caller does to the tensor.
    return np.array(prepared(twelve, steps, beats).samples_mv, dtype=np.float32, order="C")


def prepared(twelve: TwelveLead, steps: tuple[Step, ...], heard: Heard) -> Prepared:
    """The same, with its place in time. A recipe that needs no beats can be followed before they are found."""
    known = validate(steps)
    if known[:2] == _BEATS_OWN:
        state, known = Prepared(heard.signal_mv, heard.sampling_rate_hz), known[2:]
    else:
        state = Prepared(filters.filled(twelve.samples_mv), twelve.sampling_rate_hz)
    for name, parameters in known:
        state = STEPS[name].act(state, parameters, twelve, heard)
    return state


def needs_beats(steps: tuple[Step, ...]) -> bool:
    return any(STEPS[name].needs_beats for name, _ in validate(steps))


def validate(steps: tuple[Step, ...]) -> list[tuple[str, dict[str, float]]]:
    """Each step's name and numbers; ContractInvalid when a step or a parameter is unknown, missing or no number."""
    # With their types, since True is no number here and yet equals 1.
    key = tuple((step.step, *((name, type(each), each) for name, each in step.parameters.items())) for step in steps)
    return [(name, dict(numbers)) for name, numbers in _validated(_Recipe(key, steps))]


@dataclass(frozen=True, slots=True)
class _Recipe:
    """Steps that can be looked up by what they say: each request brings the same ones."""

    key: tuple[tuple[object, ...], ...]
    steps: tuple[Step, ...] = field(compare=False)


@lru_cache(maxsize=64)
def _validated(recipe: _Recipe) -> tuple[tuple[str, dict[str, float]], ...]:
    return tuple((step.step, _numbers(step)) for step in recipe.steps)


def _numbers(step: Step) -> dict[str, float]:
    kind, given = STEPS.get(step.step), step.parameters
    if kind is None:
        raise ContractInvalid(f"unknown preprocessing step {step.step}; known: {', '.join(STEPS)}", step=step.step)
    if set(given) != set(kind.parameters):
        raise ContractInvalid(f"{step.step} takes {', '.join(kind.parameters)}; got {sorted(given)}", step=step.step)
    return {name: _number(step.step, name, given[name]) for name in kind.parameters}


def _number(step: str, name: str, value: Number) -> float:
    if isinstance(value, bool | str) or not value > 0:
        raise ContractInvalid(f"{step}: {name} must be a number above zero", step=step)
    return float(value)


_BEATS_OWN: Final = [
    ("resample.v1", {"rate_hz": beat_room.RATE_HZ}),
    ("bandpass.v1", {"low_hz": beat_room.LOW_HZ, "high_hz": beat_room.HIGH_HZ, "order": float(beat_room.ORDER)}),
]


def _resample(state: Prepared, to: Parameters, _twelve: TwelveLead, _heard: Heard) -> Prepared:
    resampled = filters.resample(state.samples_mv, state.rate_hz, to["rate_hz"])
    return replace(state, samples_mv=resampled, rate_hz=to["rate_hz"])


def _bandpass(state: Prepared, at: Parameters, _twelve: TwelveLead, _heard: Heard) -> Prepared:
    make = filters.Spectrum(state.samples_mv, state.rate_hz).bandpass
    return _filtered(state, lambda: make(at["low_hz"], at["high_hz"], round(at["order"])))


def _highpass(state: Prepared, at: Parameters, _twelve: TwelveLead, _heard: Heard) -> Prepared:
    make = filters.Spectrum(state.samples_mv, state.rate_hz).highpass
    return _filtered(state, lambda: make(at["low_hz"], round(at["order"])))


def _lowpass(state: Prepared, at: Parameters, _twelve: TwelveLead, _heard: Heard) -> Prepared:
    make = filters.Spectrum(state.samples_mv, state.rate_hz).lowpass
    return _filtered(state, lambda: make(at["high_hz"], round(at["order"])))


def _notch(state: Prepared, at: Parameters, _twelve: TwelveLead, _heard: Heard) -> Prepared:
    make = filters.Spectrum(state.samples_mv, state.rate_hz).notch
    return _filtered(state, lambda: make(at["frequency_hz"], at["quality"]))


def _filtered(state: Prepared, make: Callable[[], Samples]) -> Prepared:
    try:
        return replace(state, samples_mv=make())
    except ValueError as error:
        raise ContractInvalid(f"preprocessing at {state.rate_hz:g} Hz: {error}") from error


def _median_beat(state: Prepared, span: Parameters, twelve: TwelveLead, beats: Heard) -> Prepared:
    if isinstance(beats, Filtered):
        raise TypeError("a median beat is made when the beats are known")
    if twelve.source is Source.MEDIAN_BEAT:
        raise TooShort("the file holds only a median beat; the model makes its own from a rhythm strip")
    r_samples = np.rint(beats.normal_r_samples * (state.rate_hz / beats.sampling_rate_hz)).astype(np.int64)
    before, after = (round(span[name] / state.step_ms) for name in ("before_ms", "after_ms"))
    own = state.samples_mv is beats.signal_mv and span == {
        "before_ms": beat_room.BEFORE_MS,
        "after_ms": beat_room.AFTER_MS,
    }
    beat = beats.median_mv if own else beat_room.median_beat(state.samples_mv, r_samples, before, after)
    if beat is None:
        raise TooShort("no heartbeat was found to take the median of")
    return Prepared(beat, state.rate_hz, -before * state.step_ms, tuple((r_samples * state.step_ms).tolist()))


def _file_median_beat(state: Prepared, span: Parameters, twelve: TwelveLead, beats: Heard) -> Prepared:
    """The device's own median beat where the file brings one, laid with its R where ours is; else our own."""
    theirs = twelve if twelve.source is Source.MEDIAN_BEAT else twelve.median_beat
    if theirs is None:
        return _median_beat(state, span, twelve, beats)
    leads = filters.resample(filters.filled(theirs.samples_mv), theirs.sampling_rate_hz, state.rate_hz)
    before, after = (round(span[name] / state.step_ms) for name in ("before_ms", "after_ms"))
    around = np.clip(beat_room.r_of_beat(leads, state.rate_hz) + np.arange(-before, after), 0, leads.shape[1] - 1)
    return Prepared(leads[:, around], state.rate_hz, -before * state.step_ms, ())


def _rhythm(state: Prepared, span: Parameters, twelve: TwelveLead, _heard: Heard) -> Prepared:
    """The middle of the recording, since its ends suffer most from filters and from electrodes settling."""
    wanted, n = round(span["seconds"] * state.rate_hz), state.samples_mv.shape[1]
    if n < wanted or twelve.source is Source.MEDIAN_BEAT:
        raise TooShort(f"{n / state.rate_hz:.2f} s of signal; the model needs {span['seconds']:g} s of rhythm")
    start = (n - wanted) // 2
    samples_mv = state.samples_mv[:, start : start + wanted]
    return replace(state, samples_mv=samples_mv, start_ms=state.start_ms + start * state.step_ms)


def _level(state: Prepared, by: Parameters, _twelve: TwelveLead, _heard: Heard) -> Prepared:
    """Zero where each lead rests: the middle of the narrowest band of voltage that holds this share of its samples.

    A filter leaves the mean at zero, so that a T wave that turns over lifts everything between the beats.
    """
    ordered = np.sort(state.samples_mv, axis=1)
    held = round(by["share"] * ordered.shape[1])
    if not 0 < held < ordered.shape[1]:
        raise ContractInvalid(f"level.v1: a share of {by['share']:g} holds no samples, or all", step="level.v1")
    narrowest = np.argmin(ordered[:, held:] - ordered[:, :-held], axis=1)[:, None]
    low, high = (np.take_along_axis(ordered, narrowest + edge, axis=1) for edge in (0, held))
    return replace(state, samples_mv=state.samples_mv - np.float32(0.5) * (low + high))


def _scale(state: Prepared, by: Parameters, _twelve: TwelveLead, _heard: Heard) -> Prepared:
    return replace(state, samples_mv=state.samples_mv * np.float32(1 / by["mv_per_unit"]))


def _clip(state: Prepared, to: Parameters, _twelve: TwelveLead, _heard: Heard) -> Prepared:
    limit = np.float32(to["limit_mv"])
    return replace(state, samples_mv=np.clip(state.samples_mv, -limit, limit))


STEPS: Final[dict[str, _Kind]] = {
    "resample.v1": _Kind(("rate_hz",), _resample),
    "bandpass.v1": _Kind(("low_hz", "high_hz", "order"), _bandpass),
    "highpass.v1": _Kind(("low_hz", "order"), _highpass),
    "lowpass.v1": _Kind(("high_hz", "order"), _lowpass),
    "notch.v1": _Kind(("frequency_hz", "quality"), _notch),
    "median_beat.v1": _Kind(("before_ms", "after_ms"), _median_beat, needs_beats=True),
    "file_median_beat.v1": _Kind(("before_ms", "after_ms"), _file_median_beat, needs_beats=True),
    "rhythm.v1": _Kind(("seconds",), _rhythm),
    "level.v1": _Kind(("share",), _level),
    "scale.v1": _Kind(("mv_per_unit",), _scale),
    "clip.v1": _Kind(("limit_mv",), _clip),
}
