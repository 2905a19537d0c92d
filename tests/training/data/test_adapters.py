"""Each adapter on a miniature of the real layout: every known trap is planted, and none is fallen into."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecg import harmonise
from ecg.leads import LEADS
from model_training.data import challenge, code15, echonext, manifest, mimic, ptbxl, ukb
from model_training.data.cohort import DEATH, HEART_FAILURE, Cohort, CohortError, Outcome
from tests.training.data import layouts


def row(cohort: Cohort, ecg_id: str) -> pd.Series:
    return cohort.table.set_index("ecg_id").loc[ecg_id]


def millivolts(cohort: Cohort, ecg_id: str) -> np.ndarray:
    position = int(cohort.table.index[cohort.table["ecg_id"] == ecg_id][0])
    return harmonise.to_twelve(cohort.recording(position)).samples_mv


class TestPtbxl:
    @pytest.fixture
    def cohort(self, tmp_path: Path) -> Cohort:
        layouts.ptbxl(tmp_path)
        return ptbxl.load(tmp_path)

    def test_takes_500_hz_where_it_is_there_and_100_hz_otherwise(self, cohort: Cohort) -> None:
        """The best rate on disk is read; a record without files is counted, not forgotten."""
        rates = [cohort.recording(position).rhythm.sampling_rate_hz for position in range(len(cohort))]
        assert rates == [500, 100]
        assert [each.reason for each in cohort.flow.exclusions] == ["no signal file on disk"]

    def test_keeps_likelihood_zero(self, cohort: Cohort) -> None:
        """Likelihood 0 means unknown: the code stays, with its zero."""
        assert row(cohort, "1")["codes"] == {"NORM": 100.0, "SR": 0.0}

    def test_age_300_means_over_89_and_sex_0_is_male(self, cohort: Cohort) -> None:
        """The data set's own codes for age and sex are read as its documentation says."""
        assert row(cohort, "2")["age_years"] == 90
        assert (row(cohort, "1")["sex"], row(cohort, "2")["sex"]) == ("female", "male")

    def test_has_no_outcome(self, cohort: Cohort) -> None:
        """PTB-XL follows nobody: no endpoint, no event."""
        assert cohort.endpoint is None
        assert set(cohort.table["event"]) == {Outcome.UNKNOWN}

    def test_superclasses_count_a_code_whatever_its_likelihood(self, tmp_path: Path) -> None:
        """As in the public benchmark, so that figures compare."""
        layouts.ptbxl(tmp_path)
        cohort = ptbxl.load(tmp_path)
        labels = ptbxl.superclass_labels(cohort, ptbxl.statements(tmp_path))
        assert labels.tolist() == [[1, 0, 0, 0, 0], [0, 0, 0, 1, 0]]

    def test_scp_codes_are_never_executed(self) -> None:
        """A code column is data: an expression in it is refused."""
        with pytest.raises(ValueError, match="malformed"):
            ptbxl.parse_codes("__import__('os').getcwd()")

    def test_the_real_subset_reads_whole(self, ptbxl_dir: Path) -> None:
        """Where PTB-XL lies beside the project, every row has its signal and folds keep patients apart."""
        cohort = ptbxl.load(ptbxl_dir)
        assert len(cohort) > 3_000
        assert not cohort.flow.exclusions
        assert cohort.table.groupby("patient_id")["fold"].nunique().max() == 1


class TestMimic:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        layouts.mimic(tmp_path)
        return tmp_path

    def test_leads_are_mapped_by_name(self, root: Path) -> None:
        """aVF stands before aVL on disk; by name each arrives in its own place."""
        stored = layouts.signal_uv(101, 5000) / 1000
        np.testing.assert_allclose(millivolts(mimic.load(root), "101"), stored, atol=1e-3)
        assert LEADS.index("aVL") < LEADS.index("aVF")

    def test_reports_are_joined_by_study(self, root: Path) -> None:
        """The measurement file has another row order; each report still lands at its own ECG."""
        cohort = mimic.load(root)
        assert all(cohort.table["report"] == [f"finding of {study}" for study in cohort.table["ecg_id"]])

    def test_heart_failure_of_the_same_admission_is_prevalent(self, root: Path) -> None:
        """A code given at discharge says that the disease was there: the ECG inside that stay is no incident case."""
        cohort = mimic.load(root, root / "hosp")
        assert "2" not in set(cohort.table["patient_id"])
        assert any("this or an earlier admission" in each.reason for each in cohort.flow.exclusions)

    def test_outcomes(self, root: Path) -> None:
        """Event at the first later HF admission, death before it, or the end of the tracked year; one ECG a patient."""
        cohort = mimic.load(root, root / "hosp")
        outcome = cohort.table.set_index("patient_id")[["time_years", "event"]]
        assert outcome["event"].to_dict() == {"1": 1, "3": 2, "4": 0}
        assert outcome.loc["1", "time_years"] == pytest.approx(2.0, abs=0.01)
        assert outcome.loc["3", "time_years"] == pytest.approx(184.5 / 365.25, abs=0.01)
        assert outcome.loc["4", "time_years"] == pytest.approx(1.0, abs=0.01)
        assert cohort.endpoint == HEART_FAILURE

    def test_icd_versions_are_not_confused(self) -> None:
        """4280 is heart failure in ICD-9 alone, I50 in ICD-10 alone; a dot makes no difference."""
        codes = pd.Series(["4280", "4280", "I50.23", "I5023", "I110", "I10", "40291", "40290"])
        versions = pd.Series([9, 10, 10, 9, 10, 10, 9, 9])
        assert mimic.is_heart_failure(codes, versions).tolist() == [True, False, True, False, True, False, True, False]

    def test_age_at_the_ecg(self, root: Path) -> None:
        """Anchor age plus the years since the anchor year."""
        cohort = mimic.load(root, root / "hosp")
        assert cohort.table.set_index("patient_id").loc["3", "age_years"] == 82


class TestCode15:
    def test_traces_are_joined_by_exam(self, tmp_path: Path) -> None:
        """Row order differs between table and traces, and zero padding is no signal."""
        layouts.code15(tmp_path)
        cohort = code15.load(tmp_path)
        expected = layouts.signal_uv(501, 2800) / 1000
        found = cohort.recording(0).rhythm
        np.testing.assert_allclose(found.samples[:, 648:3448], expected, atol=1e-3)
        assert found.sampling_rate_hz == 400

    def test_follow_up_belongs_to_first_exams(self, tmp_path: Path) -> None:
        """A later exam has no follow-up and says so, instead of counting as a survivor."""
        layouts.code15(tmp_path)
        table = code15.load(tmp_path).table.set_index("ecg_id")
        assert table["event"].to_dict() == {"501": 1, "502": -1, "503": 0}

    def test_death_is_labelled_a_proxy(self, tmp_path: Path) -> None:
        """All-cause death is not heart failure, and the cohort says so."""
        layouts.code15(tmp_path)
        assert code15.load(tmp_path).endpoint == DEATH
        assert DEATH.proxy

    def test_sami_trop_is_matched_by_row(self, tmp_path: Path) -> None:
        """Without exam ids the row is the key, and a count that differs is refused."""
        layouts.sami_trop(tmp_path / "good")
        cohort = code15.load_sami_trop(tmp_path / "good")
        np.testing.assert_allclose(cohort.recording(1).rhythm.samples, layouts.signal_uv(1, 4096) / 1000, atol=1e-3)
        assert len(cohort) == 2
        layouts.sami_trop(tmp_path / "short", traces=2)
        with pytest.raises(CohortError, match="2 traces for 3 exams"):
            code15.load_sami_trop(tmp_path / "short")


class TestEchoNext:
    @pytest.fixture
    def cohort(self, tmp_path: Path) -> Cohort:
        layouts.echonext(tmp_path)
        return echonext.load(tmp_path)

    def test_rows_follow_the_split(self, cohort: Cohort) -> None:
        """Row k of a split's array is the k-th metadata row of that split."""
        np.testing.assert_allclose(cohort.recording(0).rhythm.samples, layouts.signal_uv(1, 2500) / 500, rtol=1e-6)
        np.testing.assert_allclose(cohort.recording(2).rhythm.samples, layouts.signal_uv(3, 2500) / 500, rtol=1e-6)

    def test_not_measured_is_not_negative(self, cohort: Cohort) -> None:
        """A zero flag without a measurement is unknown."""
        assert cohort.table["lvef_lte_45_flag"].tolist()[0] == 1
        assert np.isnan(cohort.table["lvef_lte_45_flag"].tolist()[1])

    def test_its_unit_is_unknown(self, cohort: Cohort) -> None:
        """z-scores are not millivolts: the core refuses them as they are."""
        assert not cohort.units_known
        assert cohort.recording(0).rhythm.unit == "unknown"


class TestUkb:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        layouts.ukb(tmp_path, b"<CardiologyXML/>")
        return tmp_path

    def load(self, root: Path, population: ukb.Population = ukb.Population.ALL) -> pd.DataFrame:
        cohort = ukb.load(root / "ecg", root / "participants.csv", date(2022, 10, 31), population)
        return cohort.table.set_index("patient_id")

    def test_one_ecg_a_participant_and_no_prevalent_case(self, root: Path) -> None:
        """The first visit counts; heart failure before it, a missing visit or participant leaves the cohort."""
        assert sorted(self.load(root).index) == ["1", "3", "4", "5"]

    def test_outcomes_and_placeholders(self, root: Path) -> None:
        """A placeholder is no date; death competes; loss to follow-up censors; others run to the censoring date."""
        table = self.load(root)
        assert table["event"].to_dict() == {"1": 1, "3": 0, "4": 2, "5": 0}
        assert table.loc["1", "time_years"] == pytest.approx(2.0, abs=0.01)
        assert table.loc["3", "time_years"] == pytest.approx(6.83, abs=0.01)
        assert table.loc["5", "time_years"] == pytest.approx(1.0, abs=0.01)

    def test_short_follow_up_is_no_reason_to_leave(self, root: Path) -> None:
        """Nobody is dropped for being followed less than two years, with or without an event."""
        assert self.load(root)["time_years"].min() < 2

    def test_populations(self, root: Path) -> None:
        """Hypertension and infarction must be known by the visit; a placeholder date does not count."""
        assert sorted(self.load(root, ukb.Population.HYPERTENSION).index) == ["1", "3"]
        assert sorted(self.load(root, ukb.Population.POST_INFARCTION).index) == ["1"]


class TestChallenge:
    def test_headers_tell_age_sex_and_codes(self, tmp_path: Path) -> None:
        """Facts come from header comments; an impossible age is unknown; what has no signal is counted."""
        layouts.challenge(tmp_path)
        cohort = challenge.load(tmp_path)
        table = cohort.table.set_index("site")
        assert table.loc["georgia", "codes"] == {"426783006": 100.0, "164889003": 100.0}
        assert (table.loc["georgia", "age_years"], table.loc["georgia", "sex"]) == (61, "female")
        assert np.isnan(table.loc["cpsc", "age_years"])
        assert {each.reason for each in cohort.flow.exclusions} == {
            "header without a record line",
            "no signal file on disk",
        }
        assert not cohort.patients_known


class TestManifest:
    def write(self, root: Path, text: str) -> Path:
        layouts.write_wfdb(root / "ecg", "a", 500, layouts.signal_uv(1, 5000))
        layouts.write_wfdb(root / "ecg", "b", 500, layouts.signal_uv(2, 5000))
        (root / "cohort.csv").write_text(text)
        return root / "cohort.csv"

    def test_a_hospitals_own_csv(self, tmp_path: Path) -> None:
        """Two columns suffice; an outcome is time and event; missing files are counted."""
        path = self.write(
            tmp_path,
            "path,patient_id,time_years,event,sex\necg/a,p1,2.5,1,female\necg/b.hea,p2,3,0,\necg/c,p3,1,0,male\n",
        )
        cohort = manifest.load(path)
        assert cohort.table["event"].tolist() == [1, 0]
        assert cohort.endpoint == HEART_FAILURE
        assert cohort.flow.exclusions[0].reason == "no such file"
        np.testing.assert_allclose(millivolts(cohort, "ecg/a"), layouts.signal_uv(1, 5000) / 1000, atol=1e-3)

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("file,patient_id\necg/a,p1\n", "missing: ..path"),
            ("path,patient_id,tim_years\necg/a,p1,2\n", "not understood: ..tim_years"),
            ("path,patient_id,event\necg/a,p1,1\n", "needs both columns"),
            ("path,patient_id,time_years,event\necg/a,p1,2,yes\n", "0, 1, 2 or blank"),
            ("path,patient_id,time_years,event\necg/a,p1,,1\n", "must be a number"),
            ("path,patient_id,time_years,event\necg/a,p1,2 y,1\n", "no number"),
        ],
    )
    def test_a_mistake_is_named(self, tmp_path: Path, text: str, complaint: str) -> None:
        """Nothing is guessed: a wrong header or value is refused in words that say which."""
        with pytest.raises(CohortError, match=complaint):
            manifest.load(self.write(tmp_path, text))
