"""The contract: strict, complete, the same text for the same content; risk: monotone, bounded, as the contract says."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg import contract, risk
from ecg.contract import Contract, IntendedUse
from ecg.errors import ContractInvalid, InferenceFailed
from ecg.predictor import Predictor
from tests.conftest import ROOT

KNOWN: Contract = Predictor.load(ROOT / "tests" / "fixtures" / "models" / "hf-untrained-0.1.0.onnx").contract
TEXT: dict[str, Any] = json.loads(KNOWN.to_json())


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of every named field in the document."""
    if not isinstance(value, dict):
        return []
    found = []
    for name, inner in value.items():
        found += [(*path, name), *leaves(inner, (*path, name))]
    return found


FIELDS = [path for path in leaves(TEXT) if path[:2] != ("explanation", "faithfulness") and "parameters" not in path]


def without(path: tuple[Any, ...]) -> dict[str, Any]:
    document = json.loads(KNOWN.to_json())
    inner = document
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return document


class TestContract:
    def test_it_reads_back_equal(self) -> None:
        """Written and read, nothing has changed, and its digest neither."""
        again = contract.parse(KNOWN.to_json())
        assert again == KNOWN
        assert again.digest == KNOWN.digest

    @pytest.mark.parametrize("path", FIELDS, ids=".".join)
    def test_a_missing_field_is_named(self, path: tuple[str, ...]) -> None:
        """No field has a default: each one left out refuses the artefact and is named."""
        with pytest.raises(ContractInvalid, match=path[-1]):
            contract.parse(json.dumps(without(path)))

    @pytest.mark.parametrize("section", ["model", "input", "quality", "output", "explanation", "probe"])
    def test_an_unknown_field_is_named(self, section: str) -> None:
        """A field that this version does not know may mean something: it refuses the artefact."""
        document = json.loads(KNOWN.to_json())
        document[section]["surprise"] = 1
        with pytest.raises(ContractInvalid, match=f"{section}.surprise"):
            contract.parse(json.dumps(document))

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (("input", "leads"), ["II", "I", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]),
            (("input", "samples"), 0),
            (("output", "reference_log_hazard_percentiles"), [0.0] * 100),
            (("output", "reference_log_hazard_percentiles"), [float(-step) for step in range(101)]),
            (("output", "horizons"), []),
            (("model", "intended_use"), "decoration"),
            (("model", "version"), "1"),
            (("quality", "min_duration_s"), "7"),
            (("schema_version",), 2),
        ],
    )
    def test_a_wrong_value_is_refused(self, path: tuple[str, ...], value: Any) -> None:
        """Types, orders, counts and words are checked."""
        document = json.loads(KNOWN.to_json())
        inner = document
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value
        with pytest.raises(ContractInvalid):
            contract.parse(json.dumps(document))

    @pytest.mark.parametrize("text", [None, "", "null", "[]", "{", b"\xff\xfe"])
    def test_what_is_no_contract_is_refused(self, text: Any) -> None:
        """An artefact without one is no artefact."""
        with pytest.raises(ContractInvalid):
            contract.parse(text)

    def test_the_digest_follows_the_content_alone(self) -> None:
        """500 and 500.0 are one content; another limit is another."""
        document = json.loads(KNOWN.to_json())
        document["input"]["sampling_rate_hz"] = 500.0
        assert contract.parse(json.dumps(document)).digest == KNOWN.digest
        document["quality"]["min_duration_s"] = 6.5
        assert contract.parse(json.dumps(document)).digest != KNOWN.digest

    def test_the_recipe_digest_follows_what_makes_the_tensor(self) -> None:
        """Calibration does not move it, a filter does."""
        other = KNOWN.model_copy(
            update={"model": KNOWN.model.model_copy(update={"intended_use": IntendedUse.RESEARCH})}
        )
        assert other.recipe_digest == KNOWN.recipe_digest
        shorter = KNOWN.model_copy(update={"preprocessing": KNOWN.preprocessing[:-1]})
        assert shorter.recipe_digest != KNOWN.recipe_digest

    def test_it_is_frozen(self) -> None:
        """A loaded contract cannot be edited."""
        with pytest.raises(ValueError, match="frozen"):
            KNOWN.quality.min_duration_s = 1.0  # type: ignore[misc]

    def test_its_schema_is_a_schema(self) -> None:
        """JSON Schema forbids other fields, as parsing does."""
        assert contract.schema()["additionalProperties"] is False


class TestRisk:
    @given(st.floats(-50, 50), st.floats(-50, 50))
    def test_more_hazard_is_never_less_risk(self, one: float, other: float) -> None:
        """Score, percentile and every horizon rise together with the log-hazard."""
        low, high = (risk.estimate(KNOWN.output, each) for each in sorted((one, other)))
        assert low.percentile <= high.percentile
        assert low.score <= high.score
        for early, late in zip(low.horizons, high.horizons, strict=True):
            assert early.probability <= late.probability

    @given(st.floats(-1e6, 1e6))
    def test_everything_stays_in_bounds(self, log_hazard: float) -> None:
        """Probabilities lie in [0, 1] inside their interval and rise with the horizon; the score in [0, 100]."""
        found = risk.estimate(KNOWN.output, log_hazard)
        assert 0 <= found.score <= 100
        for each in found.horizons:
            assert 0 <= each.interval[0] <= each.probability <= each.interval[1] <= 1
        probabilities = [each.probability for each in found.horizons]
        assert probabilities == sorted(probabilities)

    def test_the_graph_and_the_core_agree_on_horizons(self) -> None:
        """The graph's own horizon risks are what the core computes from its log-hazard."""
        from ecg import probe

        predictor = Predictor.load(ROOT / "tests" / "fixtures" / "models" / "hf-untrained-0.1.0.onnx")
        inference = predictor.infer(probe.tensor(KNOWN.preprocessing), np.ones(12, dtype=bool))
        found = risk.estimate(KNOWN.output, inference.log_hazard)
        np.testing.assert_allclose([each.probability for each in found.horizons], inference.horizon_risk, rtol=2e-3)

    def test_risk_by_hand(self) -> None:
        """At the reference's baseline the risk is 1 - S0, and a doubled hazard squares the survival."""
        calibration = KNOWN.output.calibration
        at_baseline = risk.estimate(KNOWN.output, calibration.center)
        doubled = risk.estimate(KNOWN.output, calibration.center + np.log(2) / calibration.slope)
        for horizon, one, two in zip(KNOWN.output.horizons, at_baseline.horizons, doubled.horizons, strict=True):
            assert one.probability == pytest.approx(1 - horizon.baseline_survival, abs=2e-6)
            assert two.probability == pytest.approx(1 - horizon.baseline_survival**2, abs=1e-5)

    def test_percentiles_are_the_references(self) -> None:
        """The 90th reference value has percentile 90 and opens the high band."""
        reference = KNOWN.output.reference_log_hazard_percentiles
        assert risk.percentile_of(KNOWN.output, reference[90]) == pytest.approx(90)
        assert risk.percentile_of(KNOWN.output, reference[0] - 1) == 0
        assert risk.percentile_of(KNOWN.output, reference[-1] + 1) == 100

    @pytest.mark.parametrize("log_hazard", [float("nan"), float("inf"), float("-inf")])
    def test_no_number_no_risk(self, log_hazard: float) -> None:
        """A broken output is an error, not a risk of one."""
        with pytest.raises(InferenceFailed):
            risk.estimate(KNOWN.output, log_hazard)
