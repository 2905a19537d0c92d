"""Fine-tuning: the head finds a planted hazard, batches keep their events, risks are calibrated, an artefact leaves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from ecg.contract import OutputFacts
from ecg.leads import LEADS
from ecg.predictor import Predictor
from model_training import recipe as recipes
from model_training.commands import risk
from model_training.losses import Ties
from model_training.survival.curves import Outcomes
from model_training.train import arms, calibrate, card, cox_head, evaluate, finetune, ship
from model_training.train.cox_head import Target
from model_training.train.loop import FitOptions
from model_training.train.people import People, RiskSets
from model_training.train.place import Place
from model_training.train.run import Run

RECIPE = recipes.load("rhythm-100hz")
SMALL = {"lead_context": "content"}
N = 400


def planted_people(n: int = N, seed: int = 0) -> People:
    """Hearts of one beat a second whose size in V5 sets the hazard: exp(1.2 z)."""
    chance = np.random.default_rng(seed)
    size = chance.standard_normal(n)
    beat = np.exp(-0.5 * ((np.arange(1000) % 100 - 50) / 3) ** 2).astype(np.float32)
    tensors = (0.5 * beat + 0.02 * chance.standard_normal((n, 12, 1000))).astype(np.float16)
    tensors[:, LEADS.index("V5")] += ((0.5 + 0.25 * size)[:, None] * beat).astype(np.float16)
    failure = chance.exponential(12 * np.exp(-1.2 * size))
    censored = chance.uniform(3, 12, n)
    table = pd.DataFrame(
        {
            "ecg_id": [f"e{i}" for i in range(n)], "patient_id": [f"p{i}" for i in range(n)],
            "age_years": chance.uniform(40, 80, n), "sex": np.where(chance.random(n) < 0.5, "male", "female"),
            "codes": [{} for _ in range(n)], "fold": np.arange(n) % 10 + 1, "stratum": 0, "cohort_row": np.arange(n),
            "time_years": np.minimum(failure, censored), "event": (failure <= censored).astype(int),
            "signal_digest": [str(i) for i in range(n)], "measured_heart_rate_bpm": chance.normal(60, 5, n),
        }
    )  # fmt: skip
    outcomes = Outcomes.of(table["time_years"], table["event"])
    return People(table, tensors, np.ones((n, 12), np.float32), outcomes, ("planted",), True, RECIPE)


@pytest.fixture(scope="module")
def people() -> People:
    return planted_people()


def config(**changes: object) -> finetune.FinetuneConfig:
    fit = FitOptions(epochs=2, threads=1, show_progress=False, device="cpu")
    return finetune.FinetuneConfig(**{"stage": "head", "batch_size": 64, "switches": SMALL, "fit": fit} | changes)


def target(n: int = 500, seed: int = 0) -> tuple[np.ndarray, Target]:
    """Rounded times, so that many are tied, in two cohorts."""
    chance = np.random.default_rng(seed)
    x = chance.standard_normal((n, 5)).astype(np.float32)
    time = np.round(chance.exponential(np.exp(-x @ [0.5, -0.3, 0, 0.2, 0.1])), 1) + 0.1
    event = (chance.random(n) < 0.4).astype(int)
    return x, Target(Outcomes.of(time, event), np.arange(n) % 2, np.array([f"p{i // 2}" for i in range(n)], object))


def test_the_sorted_likelihood_is_the_loss_of_training() -> None:
    """Value and derivative agree with the stratified Breslow loss and its autograd, ties and all."""
    x, wanted = target()
    likelihood = cox_head._Likelihood.of(wanted)
    log_hazard = torch.from_numpy(x[:, 0].astype(np.float64) * 3).requires_grad_()
    time, event = torch.from_numpy(wanted.outcomes.time), torch.from_numpy(wanted.outcomes.happened)
    loss = cox_head.stratified_loss(log_hazard, time, event, torch.from_numpy(wanted.stratum), Ties.BRESLOW)
    loss.backward()
    value, slope = likelihood.at(log_hazard.detach().numpy())
    assert value == pytest.approx(float(loss.detach()), abs=1e-9)
    assert log_hazard.grad is not None
    assert np.allclose(slope, log_hazard.grad.numpy(), atol=1e-9)


def test_the_head_has_one_answer_and_fits_it() -> None:
    """At the optimum the penalised gradient vanishes; a start elsewhere ends at the same place."""
    x, wanted = target(2_000)
    one = cox_head._fit(x, wanted, 0.01, None)
    other = cox_head._fit(x, wanted, 0.01, np.ones(5))
    assert np.allclose(one.beta, other.beta, atol=1e-2)
    assert one.beta[0] > 0.4 > 0 > one.beta[1]


def test_strata_are_not_compared() -> None:
    """A cohort whose every time is longer changes nothing of the other's loss."""
    x, wanted = target()
    log_hazard = torch.from_numpy(x[:, 0].astype(np.float64))
    time, event, stratum = (
        torch.from_numpy(each) for each in (wanted.outcomes.time, wanted.outcomes.happened, wanted.stratum)
    )
    before = cox_head.stratified_loss(log_hazard, time, event, stratum)
    after = cox_head.stratified_loss(log_hazard, torch.where(stratum == 1, time + 100, time), event, stratum)
    assert float(before) == pytest.approx(float(after), abs=1e-12)


def test_every_batch_has_its_share_of_events(people: People) -> None:
    """To within one; controls are drawn anew each epoch, and the same epoch gives the same batches."""
    rows = people.rows_in(range(1, 8))
    sets = RiskSets(people, rows, 32, seed=0, controls_per_event=2)
    here = Place(torch.device("cpu"))
    batches = list(sets.of_epoch(0, here))
    shares = [int(batch.event.sum()) for batch in batches]
    assert max(shares) - min(shares) <= 1
    again, other = list(sets.of_epoch(0, here)), list(sets.of_epoch(1, here))
    assert torch.equal(batches[0].ecg, again[0].ecg)
    assert not torch.equal(batches[0].ecg, other[0].ecg)


def test_labelled_events_are_counted(people: People) -> None:
    """The wanted number of events, the same event rate, and nested: fewer labels are some of the more."""
    few, more = (set(finetune.chosen_rows(config(labelled_events=each), people).tolist()) for each in (20, 60))
    assert people.outcomes.happened[sorted(few)].sum() == 20
    assert few < more
    rate = people.outcomes.happened[people.rows_in(range(1, 8))].mean()
    assert people.outcomes.happened[sorted(more)].mean() == pytest.approx(rate, abs=0.03)


@pytest.fixture(scope="module")
def finished(people: People, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run through everything: head, all weights, calibration."""
    chosen = config(stage="all", controls_per_event=0)
    run = Run.open(tmp_path_factory.mktemp("run"), arms.toml_of(chosen.model_dump(mode="json")), board=False)
    done = finetune.finetune(chosen, people, run)
    risk.calibrated(done, chosen, people, run, 0)
    return run.folder


def test_a_planted_hazard_is_found_and_never_made_worse(people: People, finished: Path) -> None:
    """Held-out concordance is clear; what was kept is at least as good on the validation fold as the head alone."""
    facts = json.loads((finished / "summary.json").read_text())
    assert facts["validation_c"] >= facts["head_alone_c"]
    model, about = finetune.load_model(finished / finetune.MODEL)
    rows = people.rows_in((9, 10))
    assert finetune.concordance(people, rows, finetune.log_hazards(model, people, rows)) > 0.65
    assert about["recipe_digest"] == RECIPE.digest


def test_risks_are_calibrated_on_people_of_the_reference(people: People, finished: Path) -> None:
    """Horizons that the follow-up supports; the mean risk is near what happened."""
    facts = OutputFacts.model_validate_json((finished / risk.OUTPUT).read_text())
    assert [each.years for each in facts.horizons] == [1.0, 2.0, 5.0, 10.0][: len(facts.horizons)]
    model, _ = finetune.load_model(finished / finetune.MODEL)
    rows = people.rows_in(range(1, 9))
    raw = finetune.log_hazards(model, people, rows)
    predicted = evaluate.risks(facts, facts.calibration.slope * (raw - facts.calibration.center), 5.0)
    observed = calibrate.breslow(people.outcomes[rows], np.zeros(len(rows)))(5.0)
    assert predicted.mean() == pytest.approx(1 - np.exp(-observed), abs=0.05)
    assert facts.log_hazard_se > 0


def test_the_artefact_answers_as_the_model(people: People, finished: Path, tmp_path: Path) -> None:
    """Evaluated, exported, loaded by the core: the same log-hazards; the card says what is simulated and unknown."""
    found = risk.evaluated(finished, people, [tmp_path], [9, 10])
    naming = ship.Naming("hf-planted", "0.0.1", "planted people", "python -m model_training export", ("planted",))
    path = risk.exported(finished, naming, tmp_path / "models")
    predictor = Predictor.load(path)
    rows = people.rows_in((10,))[:5]
    model, _ = finetune.load_model(finished / finetune.MODEL)
    batch = people.batch(rows)
    answers = predictor.infer_batch(batch.ecg.numpy(), batch.lead_mask.numpy().astype(bool))
    assert np.allclose([each.log_hazard for each in answers], finetune.log_hazards(model, people, rows), atol=1e-4)
    assert predictor.contract.model.simulated_outcomes
    text = path.with_suffix(".md").read_text()
    assert "SIMULATED" in text
    assert card.NOT_REPORTED in text
    assert evaluate.told(found[0]["harrell_c"]) in text
    assert "SIMULATED" in (finished / "evaluation.html").read_text()
    assert path.name in (path.parent / "SHA256SUMS").read_text()


def test_nothing_learned_from_is_judged_on(people: People, finished: Path, tmp_path: Path) -> None:
    """A training fold among the test folds is refused."""
    with pytest.raises(finetune.FinetuneError, match="learned from"):
        risk.evaluated(finished, people, [tmp_path], [7, 10])
