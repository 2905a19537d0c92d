"""Folds keep patients whole and events spread; the leakage tests find what is planted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from model_training.data import leakage, splits
from model_training.data.cohort import Cohort, CohortError, Outcome, table_of
from model_training.data.flow import Flow
from model_training.data.signals import Files


def cohort_of(n_patients: int = 400, per_patient: int = 2, rate: float = 0.1, seed: int = 0) -> Cohort:
    generator = np.random.default_rng(seed)
    n = n_patients * per_patient
    patients = np.repeat([f"p{number:05d}" for number in generator.permutation(n_patients)], per_patient)
    event = np.repeat(generator.random(n_patients) < rate, per_patient).astype(int)
    columns = {
        "ecg_id": [f"e{number:06d}" for number in generator.permutation(n)],
        "patient_id": patients,
        "time_years": generator.uniform(0.1, 10, n),
        "event": event,
        "site": generator.choice(["a", "b"], n),
    }
    table = table_of(columns, n)
    return Cohort("made up", table, Files(Path("."), ()), Flow.of("made up", table))


def test_a_patient_has_one_fold() -> None:
    """Whatever the seed, all recordings of a patient stand in one fold, and events are spread within one a fold."""
    cohort = cohort_of()
    folds = splits.by_patient(cohort, 5, seed=3)
    assert not leakage.shared_patients(cohort, folds)
    events = [cohort.table.loc[folds == fold, "event"].sum() // 2 for fold in range(1, 6)]
    assert max(events) - min(events) <= 1
    sizes = np.bincount(folds)[1:]
    assert sizes.max() - sizes.min() <= 2


def test_seeds_reproduce() -> None:
    """The same seed deals the same folds, another seed others."""
    cohort = cohort_of()
    np.testing.assert_array_equal(splits.by_patient(cohort, 5, 1), splits.by_patient(cohort, 5, 1))
    assert (splits.by_patient(cohort, 5, 1) != splits.by_patient(cohort, 5, 2)).any()


def test_subsets_are_nested() -> None:
    """The 10 events of the small set are among the 40 of the large one, at the same event rate."""
    table = cohort_of(per_patient=1).table
    subsets = splits.nested_subsets(table, (10, 20, 10_000), seed=0)
    assert sorted(subsets) == [10, 20]
    assert set(subsets[10]) < set(subsets[20])
    assert (table.loc[subsets[10], "event"] == Outcome.EVENT).sum() == 10
    assert len(subsets[10]) == pytest.approx(len(subsets[20]) / 2, abs=2)


def test_an_honest_cohort_raises_no_alarm() -> None:
    """Random ids, rows and sites say nothing of the outcome."""
    cohort = cohort_of()
    assert leakage.find(cohort, splits.by_patient(cohort, 5, 0)) == []


def test_a_patient_on_both_sides_is_found() -> None:
    """One recording moved to another fold is enough."""
    cohort = cohort_of()
    folds = splits.by_patient(cohort, 5, 0)
    folds[0] = folds[0] % 5 + 1
    assert [leak.kind for leak in leakage.find(cohort, folds)] == ["patient in several folds"]


def test_a_duplicated_signal_is_found() -> None:
    """The same signal filed under two patients is found by its digest; twice under one patient is no leak."""
    table = pd.DataFrame({"patient_id": ["a", "a", "b", "c"], "signal_digest": ["x", "x", "y", "y"]})
    assert leakage.repeated_signals(table) == [leakage.Leak("same signal under several patients", "1 signals")]
    assert not leakage.repeated_signals(table.iloc[:3])


@pytest.mark.parametrize("column", ["ecg_id", "patient_id", "position in the table"])
def test_bookkeeping_that_tells_the_outcome_is_found(column: str) -> None:
    """Cases filed first, or numbered first, are a leak: their number alone would predict."""
    cohort = cohort_of(per_patient=1)
    order = cohort.table.sort_values("event", ascending=False).index
    table = cohort.table.copy()
    if column == "position in the table":
        table = table.loc[order].reset_index(drop=True)
    else:
        table.loc[order, column] = sorted(table[column])
    leaky = Cohort("leaky", table, cohort.signals, cohort.flow)
    assert any(column in leak.detail for leak in leakage.telling_bookkeeping(leaky))


def test_a_site_that_tells_the_outcome_is_found() -> None:
    """All cases from one hospital: a model would learn the hospital."""
    cohort = cohort_of(per_patient=1)
    table = cohort.table.assign(site=np.where(cohort.table["event"] == 1, "referral", "screening"))
    leaky = Cohort("leaky", table, cohort.signals, cohort.flow)
    assert any(leak.kind == "outcome rate differs by source" for leak in leakage.telling_bookkeeping(leaky))


def test_the_flow_adds_up() -> None:
    """Recordings and patients at the end are those at the start less every exclusion, and the diagram shows them."""
    cohort = cohort_of()
    young = cohort.subset(pd.Series(np.arange(len(cohort)) % 4 > 0), "made up reason")
    assert young.flow.remaining_recordings == len(young) == len(cohort) * 3 // 4
    assert young.flow.remaining_patients == young.table["patient_id"].nunique()
    assert "made up reason" in young.flow.to_text()
    assert f"{len(young)} recordings" in young.flow.to_mermaid()
    assert not cohort.flow.exclusions


def test_a_cohort_without_its_columns_is_refused() -> None:
    """Every adapter yields the same columns, under the same names."""
    cohort = cohort_of()
    with pytest.raises(CohortError, match="site"):
        Cohort("broken", cohort.table.drop(columns="site"), cohort.signals, cohort.flow)


def test_simulated_cohorts_say_so() -> None:
    """The label that figures and tables use carries the word."""
    cohort = cohort_of()
    simulated = Cohort("hospital", cohort.table, cohort.signals, cohort.flow, simulated=True)
    assert simulated.label == "hospital (SIMULATED)"
