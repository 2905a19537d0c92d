"""prepare(TwelveLead, steps) -> float32 tensor; ordered, versioned, immutable steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ecg import beats as beat_room
from ecg import filters
from ecg.beats import Beats
from ecg.contract import Number, Step
from ecg.errors import ContractInvalid, TooShort
from ecg.recording import Samples, TwelveLead


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A recording on its way to a tensor: samples, their rate, and when the first one was recorded."""

    samples_mv: Samples
    rate_hz: float
    start_ms: float
    is_beat: bool = False


Act = Callable[[State, TwelveLead, Beats, Mapping[str, float]], State]


@dataclass(frozen=True, slots=True)
class _Kind:
    parameters: tuple[str, ...]
    act: Act


def prepare(twelve: TwelveLead, steps: tuple[Step, ...], beats: Beats) -> Samples:
    """The tensor that the recipe makes of one recording: (12, samples), C-contiguous, float32."""
    return np.ascontiguousarray(run(twelve, steps, beats).samples_mv, dtype=np.float32)


def run(twelve: TwelveLead, steps: tuple[Step, ...], beats: Beats) -> State:
    """The recipe's last state, which also says where its samples lie in time."""
    state = State(filters.filled(twelve.samples_mv), twelve.sampling_rate_hz, 0.0)
    done = 0
    if len(steps) >= 2 and _is_beats_own(steps[0], steps[1]):
        state, done = State(beats.signal_mv, beats.sampling_rate_hz, 0.0), 2
    for step in steps[done:]:
        kind = _kind(step)
        state = kind.act(state, twelve, beats, _numbers(step, kind))
    return state


def validate(steps: tuple[Step, ...]) -> None:
    """ContractInvalid when a step or one of its parameters is unknown or missing."""
    for step in steps:
        _numbers(step, _kind(step))


def _kind(step: Step) -> _Kind:
    if step.step not in STEPS:
        raise ContractInvalid(f"unknown preprocessing step {step.step}; known: {', '.join(STEPS)}", step=step.step)
    return STEPS[step.step]


def _numbers(step: Step, kind: _Kind) -> dict[str, float]:
    given: Mapping[str, Number] = step.parameters
    if set(given) != set(kind.parameters):
        raise ContractInvalid(f"{step.step} takes {list(kind.parameters)}, got {sorted(given)}", step=step.step)
    wrong = [name for name, value in given.items() if isinstance(value, bool | str)]
    if wrong:
        raise ContractInvalid(f"{step.step}: {', '.join(wrong)} must be a number", step=step.step)
    return {name: float(value) for name, value in given.items()}


def _is_beats_own(first: Step, second: Step) -> bool:
    """Whether a recipe begins with what the beats were found on."""
    own = {"low_hz": beat_room.LOW_HZ, "high_hz": beat_room.HIGH_HZ, "order": beat_room.ORDER}
    return (
        first.step == "resample.v1" and first.parameters == {"rate_hz": beat_room.RATE_HZ}
        and second.step == "bandpass.v1" and second.parameters == own
    )  # fmt: skip


def _resample(state: State, _twelve: TwelveLead, _beats: Beats, at: Mapping[str, float]) -> State:
    return replace(
        state, samples_mv=filters.resample(state.samples_mv, state.rate_hz, at["rate_hz"]), rate_hz=at["rate_hz"]
    )


def _bandpass(state: State, _twelve: TwelveLead, _beats: Beats, at: Mapping[str, float]) -> State:
    filtered = filters.bandpass(state.samples_mv, state.rate_hz, at["low_hz"], at["high_hz"], round(at["order"]))
    return replace(state, samples_mv=filtered)


def _median_beat(state: State, _twelve: TwelveLead, beats: Beats, at: Mapping[str, float]) -> State:
    if state.samples_mv is beats.signal_mv and beats.median_mv is not None:
        return State(beats.median_mv, beats.sampling_rate_hz, -beat_room.BEFORE_MS, is_beat=True)
    beat = beat_room.median_beat(state.samples_mv, beats.normal_r_samples)
    if beat is None:
        raise TooShort("no heart beat was found to take a median of")
    return State(beat, state.rate_hz, -at["before_ms"], is_beat=True)


def _rhythm(state: State, _twelve: TwelveLead, _beats: Beats, at: Mapping[str, float]) -> State:
    wanted, n = round(at["seconds"] * state.rate_hz), state.samples_mv.shape[1]
    if n < wanted:
        raise TooShort(f"{n / state.rate_hz:.2f} s of signal; the model needs {at['seconds']:g} s")
    start = (n - wanted) // 2
    cut = state.samples_mv[:, start : start + wanted]
    return replace(state, samples_mv=cut, start_ms=state.start_ms + start * 1000 / state.rate_hz)


def _scale(state: State, _twelve: TwelveLead, _beats: Beats, at: Mapping[str, float]) -> State:
    return replace(state, samples_mv=state.samples_mv * np.float32(1 / at["mv_per_unit"]))


def _clip(state: State, _twelve: TwelveLead, _beats: Beats, at: Mapping[str, float]) -> State:
    return replace(state, samples_mv=np.clip(state.samples_mv, -at["limit_mv"], at["limit_mv"]))


STEPS: Final[dict[str, _Kind]] = {
    "resample.v1": _Kind(("rate_hz",), _resample),
    "bandpass.v1": _Kind(("low_hz", "high_hz", "order"), _bandpass),
    "median_beat.v1": _Kind(("before_ms", "after_ms"), _median_beat),
    "rhythm.v1": _Kind(("seconds",), _rhythm),
    "scale.v1": _Kind(("mv_per_unit",), _scale),
    "clip.v1": _Kind(("limit_mv",), _clip),
}
