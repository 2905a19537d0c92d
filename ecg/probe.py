"""A known ECG and its known answer: stamped at export, verified at start-up.

The ECG is written as a formula, so that it lies in no file: eleven beats of a heart dipole seen by twelve leads.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from typing import Final

import numpy as np

from ecg import beats as beat_room
from ecg.contract import Contract, ProbeFacts, Step
from ecg.errors import ContractInvalid, ProbeMismatch
from ecg.leads import INDEPENDENT, LEADS, derive_limb_leads
from ecg.predictor import EVERY_LEAD, Predictor
from ecg.preprocess import prepare
from ecg.recording import Samples, TwelveLead

RATE_HZ: Final = 500.0
TENSOR_TOLERANCE_MV: Final = 1e-3
LOG_HAZARD_TOLERANCE: Final = 1e-3
_SECONDS: Final = 10.0
_RR_S: Final = 0.9
# Each wave: time from R in s, width in s, and its voltage in mV at I, II, V1 .. V6.
_WAVES: Final = (
    (-0.16, 0.025, (0.08, 0.12, 0.05, 0.06, 0.07, 0.08, 0.07, 0.06)),
    (-0.022, 0.009, (-0.06, -0.05, 0.15, 0.20, 0.10, -0.05, -0.08, -0.08)),
    (0.0, 0.012, (0.65, 0.95, -0.55, -0.60, 0.25, 1.20, 1.35, 1.05)),
    (0.028, 0.012, (-0.10, -0.12, -0.35, -0.75, -0.60, -0.30, -0.12, -0.06)),
    (0.28, 0.050, (0.20, 0.30, -0.05, 0.40, 0.45, 0.42, 0.35, 0.25)),
)


def known_ecg() -> TwelveLead:
    """Ten seconds at 67 beats a minute, the limb leads exact."""
    times = np.arange(0, _SECONDS, 1 / RATE_HZ)
    beats = np.arange(0.5, _SECONDS, _RR_S)
    since = times[None, :] - beats[:, None]
    by_lead = np.zeros((len(INDEPENDENT), times.size))
    for at_s, width_s, voltages_mv in _WAVES:
        shape = np.exp(-0.5 * ((since - at_s) / width_s) ** 2).sum(axis=0)
        by_lead += np.array(voltages_mv)[:, None] * shape
    # Breathing, so that no stretch is as still as padding would be.
    by_lead += 0.03 * np.sin(2 * np.pi * 0.25 * times + np.arange(len(INDEPENDENT))[:, None])
    leads = dict(zip(INDEPENDENT, by_lead.astype(np.float32), strict=True))
    leads |= derive_limb_leads(leads["I"], leads["II"])
    return TwelveLead(np.stack([leads[name] for name in LEADS]), RATE_HZ)


def tensor(steps: tuple[Step, ...]) -> Samples:
    """The known ECG, prepared by these steps."""
    ecg = known_ecg()
    return prepare(ecg, steps, beat_room.find(ecg))


def facts(steps: tuple[Step, ...], log_hazard_of: Callable[[Samples], float]) -> ProbeFacts:
    """What an exporter stamps: the prepared tensor and what its graph makes of it."""
    known = tensor(steps)
    packed = base64.b64encode(zlib.compress(known.astype("<f4").tobytes(), 9)).decode()
    return ProbeFacts(
        tensor=packed,
        log_hazard=float(log_hazard_of(known)),
        tensor_tolerance_mv=TENSOR_TOLERANCE_MV,
        log_hazard_tolerance=LOG_HAZARD_TOLERANCE,
    )


def verify(predictor: Predictor) -> None:
    """The known ECG still gives the tensor and the log-hazard that were stamped; ProbeMismatch if not."""
    contract = predictor.contract
    stamped, now = _stamped(contract), tensor(contract.preprocessing)
    if now.shape != stamped.shape:
        raise ProbeMismatch(f"the known ECG is prepared to shape {now.shape}, stamped was {stamped.shape}")
    moved_mv = float(np.abs(now - stamped).max())
    if not moved_mv <= contract.probe.tensor_tolerance_mv:
        raise ProbeMismatch(f"the known ECG's tensor moved by {moved_mv:.3g}: preprocessing is not what it was")
    found = predictor.infer(now, EVERY_LEAD).log_hazard
    if not abs(found - contract.probe.log_hazard) <= contract.probe.log_hazard_tolerance:
        raise ProbeMismatch(f"the known ECG's log-hazard is {found:.4f}, stamped was {contract.probe.log_hazard:.4f}")


def _stamped(contract: Contract) -> Samples:
    shape = (len(LEADS), contract.input.samples)
    needed = 4 * shape[0] * shape[1]
    try:
        unpacker = zlib.decompressobj()
        packed = unpacker.decompress(base64.b64decode(contract.probe.tensor, validate=True), needed + 1)
    except (ValueError, zlib.error) as error:
        raise ContractInvalid("the probe's tensor cannot be unpacked") from error
    if len(packed) != needed:
        raise ContractInvalid(f"the probe's tensor is not of shape {shape}")
    return np.frombuffer(packed, dtype="<f4").reshape(shape)
