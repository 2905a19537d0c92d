"""One vector a recording, from its statements or its report; sentence vectors are kept on disk by text and encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from model_training.data.cohort import Cohort
from model_training.data.ptbxl import Statement
from model_training.text.encoders import TextEncoder, Vectors
from model_training.text.statements import Weighted, structured


class EmbeddingCache:
    """Sentence vectors in one .npz an encoder; what is already there is never encoded again."""

    def __init__(self, encoder: TextEncoder, folder: Path) -> None:
        self._encoder = encoder
        self._path = folder / f"{encoder.digest[:16]}.npz"
        self._known: dict[str, Vectors] = {}
        if self._path.is_file():
            with np.load(self._path) as stored:
                self._known = {name: stored[name] for name in stored.files}

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """(n, d), in the order asked for."""
        keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        if new:
            self._known |= dict(zip(new, self._encoder.encode(list(new.values())), strict=True))
            self._store()
        return np.stack([self._known[key] for key in keys])

    def _store(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial.npz")
        np.savez(partial, **self._known)  # type: ignore[arg-type]
        partial.replace(self._path)


def of_statements(cohort: Cohort, meanings: dict[str, Statement], cache: EmbeddingCache) -> Vectors:
    """The likelihood-weighted mean of a recording's statement vectors; zeros where it has none that is known."""
    weighted = [structured(codes, meanings) for codes in cohort.table["codes"]]
    texts = sorted({each.text for sentences in weighted for each in sentences})
    # Centred on the vocabulary, not on the cohort: sentence vectors of one domain point nearly the same way.
    by_text = dict(zip(texts, centred(cache.vectors(texts)), strict=True))
    return np.stack([_mean(sentences, by_text) for sentences in weighted])


def of_reports(reports: Iterable[str], cache: EmbeddingCache) -> Vectors:
    """One vector a report, centred over the reports; an empty report gives zeros."""
    texts = [" ".join(report.split()) for report in reports]
    there = np.array([bool(text) for text in texts])
    vectors = cache.vectors(texts)
    vectors[there] = centred(vectors[there])
    vectors[~there] = 0
    return vectors


def centred(vectors: Vectors) -> Vectors:
    """Less their mean, scaled to length one."""
    moved = vectors - vectors.mean(axis=0)
    return np.asarray(moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-12), dtype=np.float32)


def _mean(sentences: tuple[Weighted, ...], by_text: dict[str, Vectors]) -> Vectors:
    size = next(iter(by_text.values())).shape[0]
    total = np.zeros(size, dtype=np.float32)
    for each in sentences:
        total += np.float32(each.weight) * by_text[each.text]
    return total
