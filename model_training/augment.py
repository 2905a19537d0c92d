"""What training does to a batch that serving never does: leads taken away, small changes of gain, time and noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ecg.leads import INDEX, LEADS, LIMB, PRECORDIAL

# The paper's six lead sets (after the 2021 PhysioNet challenge) and how often each is drawn when a mask is drawn.
LEAD_SETS: tuple[tuple[str, ...], ...] = (
    ("I", "II"),
    ("I", "II", "V2"),
    ("I", "II", "III", "V2"),
    LIMB,
    ("I", "II", *PRECORDIAL),
    LEADS,
)
LEAD_SET_WEIGHTS = (0.1, 0.1, 0.1, 0.1, 0.1, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """`lead_set` and `lead_drop` are probabilities; `same_for_batch` gives a Cox risk set one mask."""

    lead_set: float = 0.0
    lead_drop: float = 0.0
    same_for_batch: bool = False
    gain_sd: float = 0.0
    shift_samples: int = 0
    noise_mv: float = 0.0


def lead_masks(batch: int, chosen: Augmentation, generator: torch.Generator) -> Tensor:
    """(batch, 12), 1 = kept; at least one lead is always kept."""
    rows = 1 if chosen.same_for_batch else batch
    sets = torch.tensor([[float(lead in kept) for lead in LEADS] for kept in LEAD_SETS])
    picked = sets[torch.multinomial(torch.tensor(LEAD_SET_WEIGHTS), rows, replacement=True, generator=generator)]
    masked = torch.rand(rows, 1, generator=generator) < chosen.lead_set
    mask = torch.where(masked, picked, torch.ones_like(picked))
    dropped = mask * (torch.rand(rows, len(LEADS), generator=generator) >= chosen.lead_drop)
    emptied = dropped.sum(dim=1, keepdim=True) == 0
    return torch.where(emptied, mask, dropped).expand(batch, -1).contiguous()


def augmented(ecg: Tensor, chosen: Augmentation, generator: torch.Generator) -> Tensor:
    """A changed copy of `ecg` (batch, 12, samples) in mV. One gain for all leads, so that Einthoven's law holds on."""
    if chosen.gain_sd:
        ecg = ecg * torch.exp(chosen.gain_sd * torch.randn(len(ecg), 1, 1, generator=generator))
    if chosen.shift_samples:
        ecg = _shifted(ecg, chosen.shift_samples, generator)
    if chosen.noise_mv:
        ecg = ecg + chosen.noise_mv * _einthoven_noise(ecg, generator)
    return ecg


def _shifted(ecg: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Each record moved in time by its own number of samples; what is uncovered repeats the edge sample."""
    samples = ecg.shape[-1]
    by = torch.randint(-most, most + 1, (len(ecg), 1), generator=generator)
    source = (torch.arange(samples) - by).clamp(0, samples - 1)
    return ecg.gather(-1, source[:, None].expand(-1, ecg.shape[1], -1))


def _einthoven_noise(ecg: Tensor, generator: torch.Generator) -> Tensor:
    """White noise of SD 1 at each electrode pair that is measured; the four derived limb leads follow from I and II."""
    noise = torch.randn(ecg.shape, generator=generator)
    i, ii = noise[:, INDEX["I"]], noise[:, INDEX["II"]]
    for name, value in (("III", ii - i), ("aVR", -(i + ii) / 2), ("aVL", i - ii / 2), ("aVF", ii - i / 2)):
        noise[:, INDEX[name]] = value
    return noise
