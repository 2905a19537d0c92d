"""Whose ECGs the maps are tested on: simulated people whose true hazard is known, and real ones by diagnosis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np

from ecg import harmonise
from ecg.beats import Beats
from ecg.contract import Contract
from ecg.errors import EcgError
from ecg.recording import TwelveLead
from model_training.data import ptbxl
from model_training.data.cohort import Cohort
from model_training.explain.subject import Array, Subject, subject
from model_training.simulate import hazard, people, render

# What a textbook sentence is about is rare; a sample of everybody would hardly hold it.
ENRICHED: Final[Mapping[str, float]] = MappingProxyType(
    {"lbbb": 0.06, "rbbb": 0.06, "af": 0.06, "old_inferior_mi": 0.08, "old_anterior_mi": 0.08, "pvc": 0.08, "lvh": 0.1}
)
FOLD: Final = 9
TEACHING_FOLDS: Final = (1, 2, 3, 4, 5, 6, 7, 8)


@dataclass(frozen=True, slots=True, eq=False)
class Simulated:
    """`truth`: each person's true log-hazard, as far as an ECG shows it. SIMULATED."""

    subjects: list[Subject]
    truth: Array


def simulated(contract: Contract, n: int, seed: int) -> Simulated:
    """Those of `n` people whom the gate lets through."""
    recordings, truth = simulated_recordings(n, seed)
    kept = [(each, i) for i, twelve in enumerate(recordings) if (each := _judged(f"simulated-{i}", twelve, contract))]
    return Simulated([each for each, _ in kept], truth[[i for _, i in kept]])


def simulated_recordings(n: int, seed: int) -> tuple[list[TwelveLead], Array]:
    traits = people.draw(n, seed, prevalence=ENRICHED)
    drawn = render.render(traits, seed)
    truth = hazard.shipped().log_hazard(hazard.facts(traits), visible=True)
    return [drawn.twelve(i) for i in range(n)], truth


def open_ptbxl(folder: Path) -> Cohort:
    return ptbxl.load(folder)


def positions(cohort: Cohort, folds: Iterable[int], codes: Iterable[str] | None = None) -> list[int]:
    """Recordings of these folds, with any of the codes."""
    wanted = None if codes is None else set(codes)
    table = cohort.table
    return [
        int(i)
        for i in np.flatnonzero(table["fold"].isin(list(folds)))
        if wanted is None or wanted & set(table["codes"][i])
    ]


def real(cohort: Cohort, where: Iterable[int], contract: Contract, most: int) -> list[Subject]:
    """The first `most` of a shuffled list that the gate lets through."""
    shuffled = np.random.default_rng(FOLD).permutation(list(where)).tolist()
    found: list[Subject] = []
    for i in shuffled:
        if len(found) == most:
            break
        twelve = recording(cohort, i)
        each = _judged(f"{cohort.name}-{cohort.table['ecg_id'][i]}", twelve, contract) if twelve else None
        found += [each] if each else []
    return found


def recording(cohort: Cohort, position: int) -> TwelveLead | None:
    try:
        return harmonise.to_twelve(cohort.recording(position))
    except EcgError:
        return None


def beats_of(subjects: Iterable[Subject]) -> list[Beats]:
    return [each.beats for each in subjects]


def _judged(name: str, twelve: TwelveLead, contract: Contract) -> Subject | None:
    try:
        return subject(name, twelve, contract)
    except EcgError:
        return None
