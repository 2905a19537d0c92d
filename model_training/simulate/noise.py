"""What the skin, the room and the machine add: noise at the nine electrodes, then the device's band and steps.

Noise on potentials rather than on leads keeps the identities among the limb leads, as it does in a real tracing.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from model_training.simulate.chance import Chance, Floats

Samples = NDArray[np.float32]

# Columns RA, LA, LL, C1..C6; rows I, II, V1..V6 against Wilson's terminal (RA + LA + LL) / 3.
TO_LEADS: Final = np.zeros((8, 9), dtype=np.float32)
TO_LEADS[0, [0, 1]] = (-1, 1)
TO_LEADS[1, [0, 2]] = (-1, 1)
TO_LEADS[2:, :3] = -1 / 3
TO_LEADS[2:, 3:] = np.eye(6)

# 60 samples at 500 Hz, which make ten seconds a quick length for the transform
_MARGIN_S: Final = 0.12
_WANDER_HZ: Final = 0.5
_EMG_HZ: Final = (15.0, 200.0)


@dataclass(frozen=True, slots=True)
class Device:
    """A recorder: its band, its step, the mains of its country and how clean its recordings are."""

    name: str
    highpass_hz: float = 0.05
    lowpass_hz: float = 150.0
    step_uv: float = 1.0
    mains_hz: float = 50.0
    noise: float = 1.0


DEVICES: Final = MappingProxyType(
    {
        device.name: device
        for device in (
            Device("reference"),
            Device("cart", lowpass_hz=100.0, step_uv=5.0),
            Device("monitor", highpass_hz=0.5, lowpass_hz=40.0, step_uv=2.5),
            Device("overseas", step_uv=4.88, mains_hz=60.0),
            Device("noisy ward", step_uv=5.0, noise=2.5),
        )
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class _Levels:
    """Each recording's own amount of every disturbance, in mV unless the name says otherwise."""

    wander: Floats
    emg: Floats
    mains: Floats
    burst_at: Floats
    jump: Floats
    bad_electrode: NDArray[np.int64]

    def steady(self) -> tuple[Floats, Floats, Floats]:
        return self.wander, self.emg, self.mains


def electrodes(chance: Chance, samples: int, rate_hz: float, device: Device) -> Samples:
    """(n, 9, samples) mV on RA, LA, LL and C1..C6."""
    levels = _levels(chance, device)
    frequency = fft.rfftfreq(samples, 1 / rate_hz)
    spectra = _white(chance, 2 * frequency.size)
    # the lowest frequencies carry the wander, falling as 1/f; muscle is flat between 15 and 200 Hz
    slow = np.where((frequency > 0) & (frequency < _WANDER_HZ), 1 / np.maximum(frequency, 0.05), 0)
    fast = 1 / (1 + (_EMG_HZ[0] / np.maximum(frequency, 1e-9)) ** 4) / (1 + (frequency / _EMG_HZ[1]) ** 4)
    # each electrode has its own share of both; 0.65..1.35 around the recording's level
    wander, emg = (_unit(part, samples).astype(np.float32) for part in (slow, fast))
    wander_mv, emg_mv, mains_mv = (part[:, :, None].astype(np.float32) for part in levels.steady())
    lines = spectra * (emg * emg_mv + wander * wander_mv)
    hum = round(device.mains_hz * samples / rate_hz)
    if hum < frequency.size:
        turn = np.exp(2j * np.pi * chance.uniform("mains phase")).astype(np.complex64)
        lines[:, :, hum] += mains_mv[:, :, 0] * turn[:, None] * np.float32(samples / 2)
    out: Samples = fft.irfft(lines, samples, axis=-1)
    loud = np.flatnonzero(~np.isnan(levels.burst_at))
    burst = fft.irfft(spectra[loud, ::-1] * emg * emg_mv[loud], samples, axis=-1)
    out[loud] += burst * _bursts(levels.burst_at[loud], samples)[:, None, :]
    _contact(out, levels, chance, rate_hz)
    return out


def recorded(eight_mv: Samples, rate_hz: float, device: Device) -> Samples:
    """Through the device's band (zero phase, first order below, second order above) and onto its steps."""
    samples = eight_mv.shape[-1]
    margin = min(samples - 1, max(1, round(_MARGIN_S * rate_hz)))
    # mirrored at both ends, since the transform takes the end for the neighbour of the start
    held = np.pad(eight_mv, ((0, 0), (0, 0), (margin, margin)), mode="reflect")
    frequency = fft.rfftfreq(held.shape[-1], 1 / rate_hz)
    # a device that lets everything below through is coupled directly, and keeps the level too
    low = frequency**2 / (frequency**2 + device.highpass_hz**2) if device.highpass_hz else np.ones_like(frequency)
    high = 1 / (1 + (frequency / device.lowpass_hz) ** 4)
    spectrum = fft.rfft(held, axis=-1) * (low * high).astype(np.float32)
    banded = fft.irfft(spectrum, held.shape[-1], axis=-1)[..., margin : margin + samples]
    step_mv = np.float32(device.step_uv / 1000)
    out: Samples = np.round(banded / step_mv) * step_mv
    return out


def _levels(chance: Chance, device: Device) -> _Levels:
    own = 0.65 + 0.7 * chance.uniform("electrode level", 9)
    wander = np.exp(np.log(0.025) + 0.9 * chance.normal("wander"))
    emg = np.minimum(np.exp(np.log(0.009) + 0.9 * chance.normal("emg")), 0.08)
    mains = np.where(chance.uniform("has mains") < 0.3, 0.008 * np.abs(chance.normal("mains")), 0.0005)
    bad = np.where(chance.uniform("bad contact") < 0.03, (chance.uniform("bad electrode") * 9).astype(np.int64), -1)
    return _Levels(
        wander=device.noise * wander[:, None] * own,
        emg=device.noise * emg[:, None] * own,
        mains=device.noise * mains[:, None] * (0.3 + 0.7 * chance.uniform("mains level", 9)),
        burst_at=np.where(chance.uniform("has burst") < 0.08, chance.uniform("burst at"), np.nan),
        jump=device.noise * 0.25 * chance.normal("jump"),
        bad_electrode=bad,
    )


def _white(chance: Chance, numbers: int) -> NDArray[np.complex64]:
    """Complex white noise for nine electrodes; one fast generator a recording, seeded by its key."""
    out = np.empty((len(chance.keys), 9, numbers), dtype=np.float32)
    for row, key in enumerate(chance.keys):
        np.random.Generator(np.random.SFC64(int(key))).standard_normal(dtype=np.float32, out=out[row])
    return out.view(np.complex64)


def _unit(shape: Floats, samples: int) -> Floats:
    """Scaled so that complex unit noise times the shape has unit variance in time: var = 4 sum shape^2 / samples^2."""
    return np.asarray(shape * samples / (2 * np.sqrt((shape**2).sum())))


def _bursts(at: Floats, samples: int) -> Samples:
    """More muscle noise for about a second."""
    place = np.linspace(0, 1, samples, dtype=np.float32)
    return np.asarray(2.5 * np.exp(-0.5 * ((place - at[:, None]) / 0.05) ** 2), dtype=np.float32)


def _contact(out: Samples, levels: _Levels, chance: Chance, rate_hz: float) -> None:
    """An electrode that moves: a step that dies away over half a second."""
    rows = np.flatnonzero(levels.bad_electrode >= 0)
    at = (chance.uniform("jump at")[rows] * out.shape[-1]).astype(np.int64)
    since = (np.arange(out.shape[-1])[None] - at[:, None]) / rate_hz
    shape = np.where(since >= 0, np.exp(-np.maximum(since, 0) / 0.5), 0) * levels.jump[rows, None]
    out[rows, levels.bad_electrode[rows]] += shape.astype(np.float32)
