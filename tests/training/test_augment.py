"""What training does to a batch, and what it must leave alone."""

from __future__ import annotations

import pytest
import torch

from ecg.leads import INDEX
from model_training.augment import LEAD_SETS, Augmentation, augmented, lead_masks
from model_training.nets.config import DropoutKind
from model_training.nets.layers import dropout

pytestmark = pytest.mark.torch


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def einthoven_residual(ecg: torch.Tensor) -> float:
    lead = {name: ecg[:, row] for name, row in INDEX.items()}
    laws = (
        lead["III"] - (lead["II"] - lead["I"]),
        lead["aVR"] + (lead["I"] + lead["II"]) / 2,
        lead["aVL"] - (lead["I"] - lead["II"] / 2),
        lead["aVF"] - (lead["II"] - lead["I"] / 2),
    )
    return max(float(law.abs().max()) for law in laws)


def test_lead_sets_are_drawn_at_their_rate() -> None:
    """Law: with probability 1/2 a set is drawn, half of those are all leads, so a quarter of records lose leads."""
    masks = lead_masks(20_000, Augmentation(lead_set=0.5), chance())
    assert (masks.sum(dim=1) < 12).float().mean() == pytest.approx(0.25, abs=0.01)
    assert {int(total) for total in masks.sum(dim=1)} == {len(kept) for kept in LEAD_SETS}


def test_one_mask_for_the_batch_or_one_for_each() -> None:
    """Law: `same_for_batch` gives every record one mask; otherwise masks differ."""
    same = lead_masks(64, Augmentation(lead_set=1, lead_drop=0.5, same_for_batch=True), chance(3))
    each = lead_masks(64, Augmentation(lead_set=1, lead_drop=0.5), chance(3))
    assert (same == same[0]).all()
    assert not (each == each[0]).all()


def test_some_lead_is_always_kept() -> None:
    """Law: even when every lead is to be dropped, one remains."""
    assert lead_masks(100, Augmentation(lead_drop=1.0), chance()).sum(dim=1).min() >= 1


def test_augmentation_keeps_einthovens_law_and_the_input() -> None:
    """Law: gain, shift and noise leave the limb leads consistent; the batch handed in is not written to."""
    ecg = torch.randn(16, 12, 300, generator=chance())
    ecg[:, INDEX["III"]] = ecg[:, INDEX["II"]] - ecg[:, INDEX["I"]]
    ecg[:, INDEX["aVR"]] = -(ecg[:, INDEX["I"]] + ecg[:, INDEX["II"]]) / 2
    ecg[:, INDEX["aVL"]] = ecg[:, INDEX["I"]] - ecg[:, INDEX["II"]] / 2
    ecg[:, INDEX["aVF"]] = ecg[:, INDEX["II"]] - ecg[:, INDEX["I"]] / 2
    before = ecg.clone()
    changed = augmented(ecg, Augmentation(gain_sd=0.2, shift_samples=20, noise_mv=0.05), chance())
    assert einthoven_residual(changed) < 1e-5
    assert torch.equal(ecg, before)
    assert not torch.equal(changed, before)
    assert torch.equal(augmented(ecg, Augmentation(), chance()), before)


def test_a_shift_moves_all_leads_of_a_record_together() -> None:
    """Law: a shifted record is the record moved by one number of samples, its edge repeated."""
    ecg = torch.arange(100.0).expand(8, 12, 100).contiguous()
    moved = augmented(ecg, Augmentation(shift_samples=10), chance(1))
    assert torch.equal(moved, moved[:, :1].expand_as(moved))
    by = (ecg - moved)[:, 0, 50]
    assert len(set(by.tolist())) > 1
    assert by.abs().max() <= 10


def test_batchwise_dropout_is_one_mask_for_all_and_plain_is_not() -> None:
    """Law: every record of a training batch loses the same features, the mean is kept, evaluation loses nothing."""
    torch.manual_seed(0)
    ones = torch.ones(256, 400)
    batchwise, plain = dropout(DropoutKind.BATCHWISE, 0.25), dropout(DropoutKind.PLAIN, 0.25)
    out = batchwise(ones)
    assert (out == out[0]).all()
    assert not (plain(ones) == plain(ones)[0]).all()
    assert torch.stack([batchwise(ones)[0] for _ in range(200)]).mean() == pytest.approx(1, abs=0.02)
    assert torch.equal(batchwise.eval()(ones), ones)
