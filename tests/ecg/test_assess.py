"""From bytes to an answer: the predictor, the maps, the probe and the trip as a whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg import assess, contract, explain, formats, harmonise, probe
from ecg.contract import Contract, MapKind
from ecg.errors import (
    ContractInvalid,
    ContractMismatch,
    InferenceFailed,
    OutsidePopulation,
    ProbeMismatch,
    QualityRejected,
    TooShort,
)
from ecg.leads import LEADS
from ecg.predictor import Predictor
from ecg.recording import Recording, Unit, Waveform
from tests import makers
from tests.conftest import ROOT

MODEL = ROOT / "tests" / "fixtures" / "models" / "hf-untrained-0.1.0.onnx"
KNOWN = probe.known_ecg().samples_mv
ALL = np.ones(12, dtype=bool)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load(MODEL)


@pytest.fixture(scope="module")
def attentions(predictor: Predictor) -> dict[MapKind, explain.Attention]:
    return {kind: assess.assess(recording(), predictor, kind=kind).attention for kind in MapKind}


def recording(samples_mv: np.ndarray = KNOWN, rate_hz: float = 500.0, **facts: object) -> Recording:
    return Recording("test", Waveform(LEADS, samples_mv, rate_hz, Unit.MILLIVOLT), **facts)


def changed(known: Contract, **parts: object) -> Contract:
    return known.model_copy(update=parts)


class TestPredictor:
    def test_one_alone_is_one_in_a_batch(self, predictor: Predictor) -> None:
        """After rounding, a recording's answer does not depend on its neighbours."""
        tensor = probe.tensor(predictor.contract.preprocessing)
        others = np.stack([tensor * factor for factor in (1.0, 0.5, 1.7)])
        together = predictor.infer_batch(others, np.tile(ALL, (3, 1)))
        for row, one in enumerate(together):
            alone = predictor.infer(others[row], ALL)
            assert round(alone.log_hazard, 4) == pytest.approx(round(one.log_hazard, 4), abs=1.01e-4)
            np.testing.assert_allclose(alone.maps.temporal_relevance, one.maps.temporal_relevance, atol=1e-5)

    def test_maps_have_their_shapes_and_sums(self, predictor: Predictor) -> None:
        """Lead weights and matrix rows sum to 1; a masked lead weighs nothing."""
        tensor, mask = probe.tensor(predictor.contract.preprocessing), ALL.copy()
        mask[7] = False
        maps = predictor.infer(tensor, mask).maps
        assert maps.lead_attention.sum() == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose(maps.cross_lead[mask].sum(axis=1), 1, atol=1e-5)
        assert maps.lead_attention[7] == 0
        np.testing.assert_allclose(maps.cross_lead[mask][:, 7], 0, atol=1e-7)
        assert not maps.temporal_relevance[7].any()

    @pytest.mark.parametrize("shape", [(12, 599), (11, 600), (12, 600, 1)])
    def test_a_wrong_shape_is_refused(self, predictor: Predictor, shape: tuple[int, ...]) -> None:
        """Before the runtime sees it."""
        with pytest.raises(InferenceFailed):
            predictor.infer(np.zeros(shape, dtype=np.float32), ALL)

    def test_what_is_no_number_is_refused(self, predictor: Predictor) -> None:
        """A NaN in the tensor is not answered with a NaN."""
        tensor = probe.tensor(predictor.contract.preprocessing)
        tensor[3, 100] = np.nan
        with pytest.raises(InferenceFailed):
            predictor.infer(tensor, ALL)

    @pytest.mark.parametrize("data", [b"", b"not a graph", b"\x08\x07" * 100])
    def test_what_is_no_artefact_is_refused(self, data: bytes) -> None:
        """Broken bytes are an invalid artefact, not a crash."""
        with pytest.raises(ContractInvalid):
            Predictor(data)

    @pytest.mark.torch
    @pytest.mark.parametrize(
        ("field", "value", "complaint"),
        [("samples", 608, "ecg has shape"), ("horizons", 1, "horizon_risk has shape"), ("tokens", 31, "temporal")],
    )
    def test_a_graph_that_breaks_its_promise_is_refused(self, field: str, value: int, complaint: str) -> None:
        """Shapes of the graph are compared with the contract; the message names the tensor."""
        onnx = pytest.importorskip("onnx")
        from model_training.export import read_contract

        known = read_contract(MODEL.read_bytes())
        parts = {
            "samples": {"input": known.input.model_copy(update={"samples": value})},
            "horizons": {"output": known.output.model_copy(update={"horizons": known.output.horizons[:value]})},
            "tokens": {"explanation": known.explanation.model_copy(update={"tokens": value})},
        }[field]
        proto = onnx.load_from_string(MODEL.read_bytes())
        onnx.helper.set_model_props(proto, {contract.METADATA_KEY: changed(known, **parts).to_json()})
        with pytest.raises(ContractMismatch, match=complaint):
            Predictor(proto.SerializeToString())


class TestProbe:
    def test_the_shipped_artefacts_are_sound(self) -> None:
        """Every model in the folder gives its known answer."""
        paths = sorted((ROOT / "models").glob("*.onnx"))
        assert paths
        for path in paths:
            probe.verify(Predictor.load(path))

    def test_the_known_ecg_obeys_einthoven(self) -> None:
        """It is a heart's, not a picture's."""
        assert harmonise.limb_residual(KNOWN) < 1e-6

    def test_a_changed_recipe_is_found(self, predictor: Predictor) -> None:
        """Another filter moves the tensor, and the probe says so before a patient is judged by it."""
        wrong = [step.model_copy() for step in predictor.contract.preprocessing]
        wrong[1] = wrong[1].model_copy(update={"parameters": {"low_hz": 0.5, "high_hz": 40.0, "order": 2}})
        broken = Predictor.load(MODEL)
        broken.contract = changed(broken.contract, preprocessing=tuple(wrong))
        with pytest.raises(ProbeMismatch, match="preprocessing is not what it was"):
            probe.verify(broken)

    def test_changed_weights_are_found(self, predictor: Predictor) -> None:
        """Another answer to the known ECG is a mismatch."""
        broken = Predictor.load(MODEL)
        stamped = broken.contract.probe
        broken.contract = changed(
            broken.contract, probe=stamped.model_copy(update={"log_hazard": stamped.log_hazard + 0.01})
        )
        with pytest.raises(ProbeMismatch, match="log-hazard"):
            probe.verify(broken)

    @pytest.mark.parametrize("text", ["", "!!!", "eJwDAAAAAAE="])
    def test_a_broken_stamp_is_an_invalid_contract(self, text: str) -> None:
        """An unreadable or short tensor is the contract's fault."""
        broken = Predictor.load(MODEL)
        broken.contract = changed(broken.contract, probe=broken.contract.probe.model_copy(update={"tensor": text}))
        with pytest.raises(ContractInvalid):
            probe.verify(broken)


class TestExplanation:
    @pytest.mark.parametrize("kind", list(MapKind))
    def test_numbers_keep_their_promises(self, attentions: dict[MapKind, explain.Attention], kind: MapKind) -> None:
        """Weights sum to exactly 1 as written, rows of the matrix too, activation lies in 0..1 and reaches 1."""
        attention = attentions[kind]
        assert sum(attention.by_lead.values()) == pytest.approx(1, abs=1e-9)
        np.testing.assert_allclose(attention.cross_lead.sum(axis=1), 1, atol=1e-9)
        assert attention.activation.min() >= 0
        assert attention.activation.max() == 1
        assert attention.faithfulness["kind"] == kind.value

    def test_the_two_kinds_differ(self, attentions: dict[MapKind, explain.Attention]) -> None:
        """Where the network looked is not what moved the risk."""
        assert not np.allclose(attentions[MapKind.ATTENTION].activation, attentions[MapKind.RISK].activation)

    def test_a_beats_map_lies_on_every_beat(self, predictor: Predictor) -> None:
        """Mapped onto the recording, the activation around each R peak is that of the beat."""
        found = assess.assess(recording(), predictor)
        attention, step_ms = found.attention, 2.0
        drawn = attention.on_recording(10.0, step_ms)
        assert drawn.shape == (12, 5_000)
        r_ms = found.beats.r_samples[3] * 2.0
        at = r_ms - attention.step_ms / 2
        token = int((at - r_ms - attention.start_ms) / attention.step_ms)
        np.testing.assert_allclose(drawn[:, int(at / step_ms)], attention.activation[:, token])

    def test_a_masked_lead_is_silent(self, predictor: Predictor) -> None:
        """A flat precordial lead is left out: weight 0, no activation, a warning, and the answer is limited."""
        samples = KNOWN.copy()
        samples[LEADS.index("V3")] = 0
        found = assess.assess(recording(samples), predictor)
        assert found.quality.verdict.value == "limited"
        assert found.attention.by_lead["V3"] == 0
        assert not found.attention.activation[LEADS.index("V3")].any()
        assert any("V3" in warning for warning in found.warnings)


class TestTrip:
    def test_the_same_bytes_give_the_same_answer(self, predictor: Predictor) -> None:
        """Twice, bit for bit."""
        data = makers.of("muse_xml").make(KNOWN.astype(float), 500)
        first, second = (assess.assess_bytes(data, predictor) for _ in range(2))
        assert first.risk == second.risk
        np.testing.assert_array_equal(first.attention.activation, second.attention.activation)

    def test_the_format_does_not_matter(self, predictor: Predictor) -> None:
        """The same heart in different files has nearly the same risk; what differs is quantisation."""
        scores = {}
        for reader in formats.available():
            maker = makers.of(reader.NAME)
            scores[reader.NAME] = assess.assess_bytes(
                maker.make(KNOWN.astype(float), 500), predictor, filename=maker.FILENAME
            ).risk.percentile
        assert max(scores.values()) - min(scores.values()) < 5, scores

    def test_a_name_changes_nothing(self, predictor: Predictor) -> None:
        """Two files that differ in the patient's name alone have one answer."""
        one, other = (
            assess.assess_bytes(makers.of("muse_xml").make(KNOWN.astype(float), 500, family_name=name), predictor)
            for name in ("Meier", "Zwiebelfisch")
        )
        assert one.risk == other.risk
        assert "Zwiebelfisch" not in repr(other)

    def test_stages_are_timed(self, predictor: Predictor) -> None:
        """Each step of the trip has its time."""
        watch = assess.Stopwatch()
        assess.assess_bytes(makers.of("wfdb").make(KNOWN.astype(float), 500), predictor, stopwatch=watch)
        assert {"read", "harmonise", "beats", "quality", "prepare", "infer", "explain"} <= set(watch.seconds)

    def test_a_stage_has_its_moments(self) -> None:
        """Told twice, a stage's seconds are added; it is timed when it fails, too."""
        watch = assess.Stopwatch()
        with watch.stage("read"):
            pass
        with pytest.raises(KeyError), watch.stage("read"):
            raise KeyError
        (_, first, second), (name, third, fourth) = watch.stages
        assert name == "read"
        assert first <= second <= third <= fourth
        assert watch.seconds == {"read": pytest.approx(second - first + fourth - third)}

    def test_without_explanation_there_is_none(self, predictor: Predictor) -> None:
        """And the risk is the same."""
        found = assess.assess(recording(), predictor, explain=False)
        assert found.attention is None
        assert found.risk == assess.assess(recording(), predictor).risk

    @pytest.mark.parametrize("facts", [{"age_years": 9.0}, {"paced": True}])
    def test_who_the_model_is_not_for(self, predictor: Predictor, facts: dict[str, object]) -> None:
        """A child's or a paced heart's file is refused before anything is computed."""
        with pytest.raises(OutsidePopulation):
            assess.assess(recording(**facts), predictor)

    def test_noise_is_refused(self, predictor: Predictor) -> None:
        """And the report goes with the refusal."""
        noise = np.random.default_rng(0).normal(0, 0.3, (12, 5_000))
        with pytest.raises(QualityRejected) as refusal:
            assess.assess(recording(noise), predictor)
        assert refusal.value.report.issues

    def test_a_demonstration_model_says_so(self, predictor: Predictor) -> None:
        """Every answer of a model that is not for clinical use."""
        warnings = assess.assess(recording(age_years=60.0), predictor).warnings
        assert any("demonstration" in each for each in warnings)
        assert any("SIMULATED" in each for each in warnings)

    def test_what_lies_far_from_training_is_said(self, predictor: Predictor) -> None:
        """An embedding beyond the limit warns; one at the mean does not."""
        inference = predictor.infer(probe.tensor(predictor.contract.preprocessing), ALL)
        size = inference.embedding.size
        axes = tuple(tuple(float(i == j) for j in range(size)) for i in range(2))
        at_home = contract.OutOfDistribution(
            mean=tuple(map(float, inference.embedding)), axes=axes, scales=(1.0, 1.0), limit=3.0
        )
        assert assess.distance(at_home, inference) == pytest.approx(0, abs=1e-6)
        moved = dataclasses.replace(inference, embedding=inference.embedding + 5)
        assert assess.distance(at_home, moved) == pytest.approx(5, abs=1e-5)

    @settings(max_examples=15, deadline=None)
    @given(st.floats(0.5, 2.0), st.sampled_from([250.0, 400.0, 1000.0]))
    def test_rate_and_gain_are_not_lost(self, gain: float, rate_hz: float) -> None:
        """A recording at another rate gives nearly the same tensor; voltage reaches the network as it is."""
        predictor = Predictor.load(MODEL)
        from ecg import beats, filters, preprocess

        samples = (filters.resample(KNOWN, 500.0, rate_hz) * gain).astype(np.float32)
        twelve = harmonise.to_twelve(recording(samples, rate_hz))
        tensor = preprocess.prepare(twelve, predictor.contract.preprocessing, beats.find(twelve))
        expected = probe.tensor(predictor.contract.preprocessing) * gain
        assert np.abs(np.ptp(tensor, axis=1) - np.ptp(expected, axis=1)).max() < 0.08 * gain


def test_sums_list_every_artefact() -> None:
    """models/SHA256SUMS names each file with its own digest, and each has a card."""
    import hashlib

    lines = dict(line.split()[::-1] for line in (ROOT / "models" / "SHA256SUMS").read_text().splitlines())
    artefacts: list[Path] = sorted((ROOT / "models").glob("*.onnx"))
    assert set(lines) == {path.name for path in artefacts}
    for path in artefacts:
        assert lines[path.name] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert path.with_suffix(".md").is_file()


@pytest.fixture(scope="module")
def rhythm() -> Predictor:
    """A shipped model: its recipe needs no beats."""
    return Predictor.load(ROOT / "models" / "hf-general-1.0.0.onnx")


@pytest.fixture(scope="module")
def aside() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


class _Late(Executor):
    """Begins a job when its result is asked for."""

    def submit(self, job: Callable[..., Any], /, *given: Any, **named: Any) -> Any:
        return SimpleNamespace(result=lambda: job(*given, **named))


class TestSideBySide:
    """The trip shared by two threads is the trip of one."""

    @pytest.mark.parametrize("silent", [(), ("V3",), ("V2", "V5")])
    @pytest.mark.parametrize("kind", list(MapKind))
    def test_the_answer_is_the_same(
        self, rhythm: Predictor, aside: Executor, silent: tuple[str, ...], kind: MapKind
    ) -> None:
        """Bit for bit, also where leads turn out to be of no use."""
        samples = KNOWN.copy()
        samples[[LEADS.index(name) for name in silent]] = 0
        one, two = (assess.assess(recording(samples), rhythm, kind=kind, aside=each) for each in (None, aside))
        assert one.risk == two.risk
        assert one.quality == two.quality
        assert one.measurements == two.measurements
        assert one.warnings == two.warnings
        for name in ("lead_weights", "cross_lead", "activation"):
            np.testing.assert_array_equal(getattr(one.attention, name), getattr(two.attention, name))

    def test_the_network_does_not_wait(self, rhythm: Predictor) -> None:
        """However late the other thread begins: only what needs both waits for it."""
        watch = assess.Stopwatch()
        assess.assess(recording(), rhythm, stopwatch=watch, aside=_Late())
        names = [each.name for each in watch.stages]
        assert names == ["harmonise", "beats", "prepare", "infer", "beats", "quality", "measure", "explain"]

    def test_a_lead_that_breaks_the_network_is_left_out(
        self, rhythm: Predictor, aside: Executor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What fails with every lead is asked again without those that the gate leaves out."""
        samples, real = KNOWN.copy(), rhythm.infer
        samples[LEADS.index("V3")] = 0
        expected = assess.assess(recording(samples), rhythm).risk

        def fragile(tensor: Any, mask: Any, **named: Any) -> Any:
            if mask.all():
                raise InferenceFailed("no number")
            return real(tensor, mask, **named)

        monkeypatch.setattr(rhythm, "infer", fragile)
        assert assess.assess(recording(samples), rhythm, aside=aside).risk == expected
        with pytest.raises(InferenceFailed):
            assess.assess(recording(), rhythm, aside=aside)

    def test_a_recipe_of_beats_waits_for_them(self, predictor: Predictor, aside: Executor) -> None:
        """A median beat cannot be made before its beats are known."""
        assert assess.assess(recording(), predictor, aside=aside).risk == assess.assess(recording(), predictor).risk

    def test_noise_is_refused(self, rhythm: Predictor, aside: Executor) -> None:
        """Though the network has been asked about it already."""
        noise = np.random.default_rng(0).normal(0, 0.3, (12, 5_000))
        with pytest.raises(QualityRejected):
            assess.assess(recording(noise), rhythm, aside=aside)

    @pytest.mark.parametrize(("seconds", "refusal"), [(4, QualityRejected), (9.9, TooShort)])
    def test_the_first_refusal_counts(
        self, rhythm: Predictor, aside: Executor, seconds: float, refusal: type[Exception]
    ) -> None:
        """Too short for the gate, or for the model alone: what one thread after the other would have said."""
        short = KNOWN[:, : round(seconds * 500)]
        for each in (None, aside):
            with pytest.raises(refusal):
                assess.assess(recording(short), rhythm, aside=each)
