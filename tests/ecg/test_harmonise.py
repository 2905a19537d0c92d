"""Recording -> TwelveLead: every way in which files name, order, scale, omit and pad leads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.errors import LeadsInconsistent, LeadsMissing, RateUnsupported, UnitsUnknown
from ecg.harmonise import limb_residual, to_twelve
from ecg.leads import INDEX, LEADS, LIMB
from ecg.recording import Recording, Source, Unit, Waveform
from tests.ecg.hearts import normal_mv, recording

HEART = normal_mv()


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(12)))
def test_leads_are_found_by_name(order: list[int]) -> None:
    """Whatever order a file keeps its leads in, the same names give the same twelve."""
    shuffled = recording(HEART[order], [LEADS[k].upper() for k in order])
    assert np.array_equal(to_twelve(shuffled).samples_mv, HEART)


@pytest.mark.parametrize(("unit", "per_mv"), [(Unit.VOLT, 1e-3), (Unit.MICROVOLT, 1e3), (Unit.NANOVOLT, 1e6)])
def test_units_become_millivolts(unit: Unit, per_mv: float) -> None:
    """Volts, microvolts and nanovolts give the same millivolts."""
    assert np.allclose(to_twelve(recording(HEART * np.float32(per_mv), unit=unit)).samples_mv, HEART, atol=1e-5)


def test_a_unit_that_is_not_there_is_not_guessed() -> None:
    """Bare ADC counts are refused, however plausible they look."""
    with pytest.raises(UnitsUnknown):
        to_twelve(recording(HEART, unit=Unit.UNKNOWN))


@pytest.mark.parametrize(
    ("factor", "declared", "plausible"),
    [(1e3, Unit.MILLIVOLT, "uV"), (1e-3, Unit.MICROVOLT, None), (1.0, Unit.MICROVOLT, "mV"), (1.0, Unit.VOLT, "mV")],
)
def test_an_amplitude_that_only_makes_sense_in_another_unit(
    factor: float, declared: Unit, plausible: str | None
) -> None:
    """No heart makes a volt or a microvolt: the refusal names the unit in which it would be ordinary."""
    if plausible is None:
        with pytest.raises(UnitsUnknown):
            to_twelve(recording(HEART * np.float32(factor), unit=declared))
        return
    with pytest.raises(UnitsUnknown) as refusal:
        to_twelve(recording(HEART * np.float32(factor), unit=declared))
    assert refusal.value.fields["plausible"] == plausible


@pytest.mark.parametrize("value", [1e9, -1e30, np.inf, -np.inf])
def test_what_no_unit_explains(value: float) -> None:
    """One sample of a megavolt, or an infinite one, is refused even where another is missing."""
    absurd = HEART.copy()
    absurd[3, 100], absurd[4, 7] = value, np.nan
    with pytest.raises(UnitsUnknown):
        to_twelve(recording(absurd))


@pytest.mark.parametrize("factor", [0.1, 0.2, 5.0])
def test_small_and_large_hearts_pass(factor: float) -> None:
    """A tenth of an ordinary voltage, as in effusion, or five times it, is no reason to doubt the unit."""
    assert np.array_equal(to_twelve(recording(HEART * np.float32(factor))).samples_mv, HEART * np.float32(factor))


@pytest.mark.parametrize("rate_hz", [0.0, -500.0, 49.9, 1e9, float("nan"), float("inf")])
def test_rates_out_of_range_are_refused(rate_hz: float) -> None:
    """No rate, or one that no ECG has."""
    with pytest.raises(RateUnsupported):
        to_twelve(recording(HEART, rate_hz=rate_hz))


@pytest.mark.parametrize("pair", [(a, b) for a in LIMB for b in LIMB if a < b])
def test_any_two_limb_leads_give_all_six(pair: tuple[str, str]) -> None:
    """Einthoven and Goldberger: two limb leads determine the other four, and the answer says which were derived."""
    kept = [name for name in LEADS if name not in LIMB or name in pair]
    found = to_twelve(recording(HEART[[INDEX[name] for name in kept]], kept))
    assert np.allclose(found.samples_mv, HEART, atol=2e-6)
    assert set(found.derived) == set(LIMB) - set(pair)


def test_what_cannot_be_derived_is_missing() -> None:
    """One limb lead is not enough, and no chest lead follows from others; the refusal names what is lost."""
    with pytest.raises(LeadsMissing, match="V3"):
        to_twelve(recording(np.delete(HEART, INDEX["V3"], axis=0), [name for name in LEADS if name != "V3"]))
    with pytest.raises(LeadsMissing) as refusal:
        to_twelve(recording(HEART[[1, 6, 7, 8, 9, 10, 11]], ["II", *LEADS[6:]]))
    assert refusal.value.fields["leads"] == ("I", "III", "aVR", "aVL", "aVF")


@pytest.mark.parametrize("label", ["-aVR", "−aVR", "- AVR", "aVR-neg", "(-)aVR"])
def test_minus_avr_is_turned_over(label: str) -> None:
    """The Cabrera order's -aVR is aVR upside down."""
    cabrera = HEART.copy()
    cabrera[INDEX["aVR"]] *= -1
    names = [label if name == "aVR" else name for name in LEADS]
    assert np.array_equal(to_twelve(recording(cabrera, names)).samples_mv, HEART)


@pytest.mark.parametrize("label", ["aVR", "Lead-aVR", "ECG_aVR", "MDC_ECG_LEAD_AVR", " avr "])
def test_other_dashes_turn_nothing_over(label: str) -> None:
    """A dash that only separates is no minus."""
    names = [label if name == "aVR" else name for name in LEADS]
    assert np.array_equal(to_twelve(recording(HEART, names)).samples_mv, HEART)


def test_a_lead_given_twice() -> None:
    """The same samples twice are one lead; different samples under one name contradict each other."""
    assert np.array_equal(to_twelve(recording(np.vstack([HEART, HEART[1:2]]), [*LEADS, "II"])).samples_mv, HEART)
    with pytest.raises(LeadsInconsistent, match="II"):
        to_twelve(recording(np.vstack([HEART, HEART[2:3]]), [*LEADS, "II"]))


def test_leads_beyond_the_twelve_are_noted() -> None:
    """V7 or V3R do no harm, and are mentioned without repeating what the file called them."""
    found = to_twelve(recording(np.vstack([HEART, HEART[:2]]), [*LEADS, "V7", "John Doe"]))
    assert np.array_equal(found.samples_mv, HEART)
    assert found.notes
    assert "John" not in " ".join(found.notes)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_padding_is_cut_off(value: float) -> None:
    """Stretches at the ends in which every lead is zero or missing are padding; the heart between them is untouched."""
    padded = np.hstack([np.full((12, 700), value), HEART, np.full((12, 400), value)]).astype(np.float32)
    found = to_twelve(recording(padded))
    assert np.array_equal(found.samples_mv, HEART)
    assert "2.20 s of padding" in found.notes[0]


def test_a_held_last_value_is_not_padding() -> None:
    """Genuine 10-s records hold their last value for about 100 ms: they stay 10 s long."""
    held = HEART.copy()
    held[:, -52:] = held[:, -52:-51]
    held[:, :6] = 0
    assert to_twelve(recording(held)).samples_mv.shape == HEART.shape


def test_one_flat_lead_is_not_padding() -> None:
    """A lead that is flat throughout is for the gate to see; so is a recording in which nothing moves."""
    flat = HEART.copy()
    flat[7] = 0
    assert to_twelve(recording(flat)).samples_mv.shape == HEART.shape
    assert to_twelve(recording(np.zeros_like(HEART))).samples_mv.shape == HEART.shape


def test_median_beats_are_harmonised_too() -> None:
    """Beside a rhythm strip the device's median beat rides along; alone it is what there is, and says so."""
    beat = Waveform(LEADS, HEART[:, :600] * 1000, 500.0, Unit.MICROVOLT)
    both = to_twelve(Recording("test", Waveform(LEADS, HEART, 500.0, Unit.MILLIVOLT), beat))
    alone = to_twelve(Recording("test", None, beat))
    assert (both.source, alone.source) == (Source.RHYTHM, Source.MEDIAN_BEAT)
    assert both.median_beat is not None
    assert np.allclose(both.median_beat.samples_mv, HEART[:, :600], atol=1e-5)
    assert np.array_equal(alone.samples_mv, both.median_beat.samples_mv)


def test_limb_residual_tells_rounding_from_contradiction() -> None:
    """Rounding to a microvolt and an offset on each lead stay under 1 %; any two limb leads swapped exceed 15 %."""
    offsets = np.linspace(-0.3, 0.3, 12, dtype=np.float32)[:, None]
    assert limb_residual(np.round(HEART, 3)) < 0.01
    assert limb_residual(HEART + offsets) < 1e-4
    for first in range(6):
        for second in range(first):
            order = list(range(12))
            order[first], order[second] = second, first
            assert limb_residual(HEART[order]) > 0.15, (LEADS[first], LEADS[second])
    assert limb_residual(np.zeros((12, 10), dtype=np.float32)) == 0.0


def test_limb_residual_looks_past_missing_samples() -> None:
    """A moment that one limb lead misses says nothing; the others are still compared."""
    holed = HEART.copy()
    holed[0, :50] = np.nan
    assert limb_residual(holed) < 1e-4
    assert limb_residual(holed[[1, 0, *range(2, 12)]]) > 0.15
