"""Twelve-lead recordings of simulated people: the dipole of every beat, through the chest, to the device. SIMULATED."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg.recording import TwelveLead
from model_training.simulate import kernels, noise, rhythm
from model_training.simulate.chance import Chance, Floats
from model_training.simulate.kernels import Kernels
from model_training.simulate.noise import DEVICES, Device
from model_training.simulate.rhythm import Origin, Rhythm
from model_training.simulate.traits import twelve

Samples = NDArray[np.float32]

_BLOCK: Final = 64
_PAD_S: Final = 1.6
_QRS_WINDOW_S: Final = (-0.06, 0.26)
_T_WINDOW_S: Final = (0.0, 0.80)
_P_WINDOW_S: Final = (-0.05, 0.22)
_BREATHING: Final = 0.03
_T_WIDTH_PER_END: Final = 2.9
_SPIKE_S: Final = 0.001
_SPIKE_MV: Final = 1.2


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """(n, 12, samples) in mV as a device gives it, and as the heart alone would; with the beats behind both."""

    signal_mv: Samples
    clean_mv: Samples
    beats: Rhythm
    rate_hz: float

    def twelve(self, position: int) -> TwelveLead:
        return TwelveLead(self.signal_mv[position], self.rate_hz)


def render(
    traits: pd.DataFrame,
    seed: int,
    noise: bool = True,
    duration_s: float = 10,
    rate_hz: float = 500,
    device: Device = DEVICES["reference"],
) -> Rendered:
    """One recording of each person; a person's does not depend on who else is rendered."""
    chance = kernels.person(traits).within(seed, "recording")
    beats = rhythm.of(traits, chance.within(seed, "rhythm"), duration_s)
    samples = round(duration_s * rate_hz)
    clean = np.empty((len(traits), 12, samples), dtype=np.float32)
    signal = np.empty_like(clean) if noise else clean
    for start in range(0, len(traits), _BLOCK):
        some = slice(start, min(start + _BLOCK, len(traits)))
        part, own = traits.iloc[some], Chance(chance.keys[some])
        field = kernels.lead_field(part).astype(np.float32)
        eight = field @ dipole(part, own, beats.rows(some), samples, rate_hz)
        clean[some] = twelve(eight)
        if noise:
            signal[some] = twelve(_through(eight, own, rate_hz, device))
    return Rendered(signal, clean, beats, rate_hz)


def _through(eight_mv: Samples, chance: Chance, rate_hz: float, device: Device) -> Samples:
    skin = noise.electrodes(chance, eight_mv.shape[-1], rate_hz, device)
    return noise.recorded(eight_mv + noise.TO_LEADS @ skin, rate_hz, device)


def dipole(traits: pd.DataFrame, chance: Chance, beats: Rhythm, samples: int, rate_hz: float) -> Samples:
    """(n, 3, samples) in mV: every wave of every beat, added beat by beat over all people at once."""
    canvas = _Canvas(len(traits), samples, rate_hz)
    ectopic = beats.origin == Origin.PVC
    own = (beats.origin != Origin.NONE) & ~ectopic
    canvas.add_bells(kernels.qrs(traits), beats.qrs_s, own, _QRS_WINDOW_S)
    shape, t_mv = kernels.pvc(traits)
    canvas.add_bells(shape, beats.qrs_s, ectopic, _QRS_WINDOW_S)
    canvas.add_bells(kernels.p_wave(traits), beats.p_s, ~np.isnan(beats.p_s), _P_WINDOW_S)
    _add_repolarisation(canvas, traits, beats, own)
    _add_ectopic_t(canvas, t_mv, beats, ectopic)
    _add_spikes(canvas, traits, beats, own)
    return canvas.inner() + _atrial_waves(traits, chance, samples, rate_hz)


class _Canvas:
    """The dipole of all people over time, with margins so that beats at the edges need no care."""

    def __init__(self, people: int, samples: int, rate_hz: float) -> None:
        self.rate_hz, self.samples, self.pad = rate_hz, samples, round(_PAD_S * rate_hz)
        self.dipole_mv = np.zeros((people, samples + 2 * self.pad, 3), dtype=np.float32)

    def inner(self) -> Samples:
        return np.ascontiguousarray(np.swapaxes(self.dipole_mv[:, self.pad : self.pad + self.samples], 1, 2))

    def times(self, at_s: Floats, window_s: tuple[float, float]) -> tuple[NDArray[np.int64], Samples]:
        """For each beat its first sample on the canvas and (beats, window) seconds from its onset."""
        first = np.ceil((at_s + window_s[0]) * self.rate_hz).astype(np.int64)
        steps = np.arange(round((window_s[1] - window_s[0]) * self.rate_hz))
        since = (first[:, None] + steps) / self.rate_hz - at_s[:, None]
        return first + self.pad, since.astype(np.float32)

    def add_bells(self, bells: Kernels, at_s: Floats, wanted: NDArray[np.bool_], window_s: tuple[float, float]) -> None:
        people, number = self.visible(at_s, wanted, window_s)
        first, since = self.times(at_s[people, number], window_s)
        from_centre = since[:, None, :] - bells.centre_s[people][:, :, None].astype(np.float32)
        narrowness = np.float32(1) / bells.rise_s[people][:, :, None].astype(np.float32)
        from_centre *= narrowness
        height = np.exp(np.float32(-0.5) * from_centre * from_centre)
        waves = np.swapaxes(height, 1, 2) @ bells.vector_mv[people].astype(np.float32)
        self.add(people, number, first, waves, at_s[people, number])

    def visible(
        self, at_s: Floats, wanted: NDArray[np.bool_], window_s: tuple[float, float]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Beats whose window touches the recording."""
        with np.errstate(invalid="ignore"):
            near = (at_s + window_s[1] > 0) & (at_s + window_s[0] < self.samples / self.rate_hz)
        people, number = np.nonzero(wanted & near)
        return people, number

    def add(
        self,
        people: NDArray[np.intp],
        number: NDArray[np.intp],
        first: NDArray[np.int64],
        waves_mv: Samples,
        at_s: Floats,
    ) -> None:
        """Windows of one person may overlap, those of the same beat number belong to different people."""
        breath = 1 + _BREATHING * np.sin(2 * np.pi * 0.25 * at_s)
        waves_mv = waves_mv * breath[:, None, None].astype(np.float32)
        steps = np.arange(waves_mv.shape[1])
        for k in np.unique(number):
            chosen = np.flatnonzero(number == k)
            self.dipole_mv[people[chosen, None], first[chosen, None] + steps] += waves_mv[chosen]


def _sigmoid(x: Samples) -> Samples:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)), dtype=np.float32)


def _add_repolarisation(canvas: _Canvas, traits: pd.DataFrame, beats: Rhythm, own: NDArray[np.bool_]) -> None:
    """T: a bell that rises slower than it falls. ST: held from the end of QRS until T takes over."""
    people, number = canvas.visible(beats.qrs_s, own, _T_WINDOW_S)
    first, since = canvas.times(beats.qrs_s[people, number], _T_WINDOW_S)
    peak_s, width_s = _t_timing(traits, beats, people, number)
    end_s = kernels.j_point_s(traits)[people, None].astype(np.float32)
    gate = _sigmoid((since - end_s) / np.float32(0.006))
    rise = kernels.t_rise(traits)[people, None].astype(np.float32)
    scaled = (since - peak_s) / np.where(since < peak_s, rise * width_s, width_s)
    bell = gate * np.exp(np.float32(-0.5) * scaled * scaled)
    held = _sigmoid((since - end_s - np.float32(0.012)) / np.float32(0.010))
    held *= _sigmoid((peak_s - np.float32(1.2) * width_s - since) / np.float32(0.02))
    t, st = (f(traits)[people, None].astype(np.float32) for f in (kernels.t_vector, kernels.st_vector))
    canvas.add(people, number, first, bell[:, :, None] * t + held[:, :, None] * st, beats.qrs_s[people, number])


def _t_timing(
    traits: pd.DataFrame, beats: Rhythm, people: NDArray[np.intp], number: NDArray[np.intp]
) -> tuple[Samples, Samples]:
    """Peak and width of T from QT, which follows the interval before the beat a little."""
    mean_s = 60 / traits["heart_rate_bpm"].to_numpy(np.float64)[people]
    follows = np.clip(beats.before_s[people, number] / mean_s, 0.5, 1.6) ** 0.15
    qt_s = traits["qt_ms"].to_numpy()[people] / 1000 * follows
    peak_s = kernels.t_peak_s(qt_s)
    narrow = np.where(traits["hyperkalaemia"].to_numpy(bool)[people], 0.7, 1.0)
    width_s = (qt_s - peak_s) / _T_WIDTH_PER_END * narrow
    return peak_s[:, None].astype(np.float32), width_s[:, None].astype(np.float32)


def _add_ectopic_t(canvas: _Canvas, t_mv: Floats, beats: Rhythm, ectopic: NDArray[np.bool_]) -> None:
    people, number = canvas.visible(beats.qrs_s, ectopic, _T_WINDOW_S)
    first, since = canvas.times(beats.qrs_s[people, number], _T_WINDOW_S)
    bell = np.exp(-0.5 * ((since - np.float32(kernels.PVC_S + 0.19)) / np.float32(0.06)) ** 2)
    waves = bell[:, :, None] * t_mv[people, None].astype(np.float32)
    canvas.add(people, number, first, waves, beats.qrs_s[people, number])


def _add_spikes(canvas: _Canvas, traits: pd.DataFrame, beats: Rhythm, own: NDArray[np.bool_]) -> None:
    """The pacemaker's pulse, a millisecond long, just before the complex."""
    n = len(traits)
    vector = kernels.direction(np.full((n, 1), -20.0), np.full((n, 1), 50.0)) * _SPIKE_MV
    narrow = np.full((n, 1), _SPIKE_S)
    paced = own & traits["paced"].to_numpy(bool)[:, None]
    canvas.add_bells(Kernels(np.full((n, 1), -0.004), narrow, narrow, vector), beats.qrs_s, paced, (-0.02, 0.02))


def _atrial_waves(traits: pd.DataFrame, chance: Chance, samples: int, rate_hz: float) -> Samples:
    """Fibrillation: a wave of 5 to 8 Hz that wanders. Flutter: a saw, negative in the inferior leads."""
    out = np.zeros((len(traits), 3, samples), dtype=np.float32)
    time_s = np.arange(samples) / rate_hz
    af, flutter = (np.flatnonzero(traits[name]) for name in ("af", "flutter"))
    if af.size:
        own = Chance(chance.keys[af])
        pace_hz = 5 + 3 * own.uniform("f pace")[:, None] + 0.4 * np.sin(2 * np.pi * 0.3 * time_s)
        turn = 2 * np.pi * (np.cumsum(pace_hz, axis=1) / rate_hz + own.uniform("f phase")[:, None])
        size = 0.05 * np.exp(0.35 * own.normal("f size")) * traits["p_amp"].to_numpy()[af]
        wave = size[:, None] * (np.sin(turn) + 0.35 * np.sin(2 * turn + 1) + 0.25 * np.sin(0.37 * turn))
        out[af] = _along(wave, 70.0, 40.0)
    if flutter.size:
        own = Chance(chance.keys[flutter])
        cycle_s, _ = rhythm.flutter_cycle(traits.iloc[flutter])
        turn = 2 * np.pi * (time_s / cycle_s[:, None] + own.uniform("f phase")[:, None])
        saw = np.sin(turn) + 0.5 * np.sin(2 * turn) + 0.25 * np.sin(3 * turn)
        out[flutter] = _along(0.08 * traits["p_amp"].to_numpy()[flutter, None] * saw, 110.0, -60.0)
    return out


def _along(wave_mv: Floats, azimuth_deg: float, elevation_deg: float) -> Samples:
    towards = kernels.direction(np.array(azimuth_deg), np.array(elevation_deg))
    return np.asarray(wave_mv[:, None, :] * towards[None, :, None], dtype=np.float32)
