"""Real ECGs: do the maps of a finding lie where a reader would look for it? The table was written first."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ecg import beats as beat_room
from ecg.beats import Beats
from ecg.contract import Contract
from ecg.delineate import Waves, delineate
from ecg.leads import INDEX
from model_training.explain import measures
from model_training.explain.subject import Array, Subject, on_tokens
from model_training.survival.bootstrap import Estimate, Rows

TABLE: Final = Path(__file__).with_name("textbook.toml")
FEWEST: Final = 5
NORMAL: Final = "NORM"
Maps = Callable[[Sequence[Subject]], Array]


@dataclass(frozen=True, slots=True)
class Statement:
    name: str
    codes: tuple[str, ...]
    leads: tuple[str, ...]
    waves: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """`density`: the map's share at the named place over the share of all cells that the place takes.

    `over_normal`: how much denser than the maps of normal ECGs at the same place.
    """

    statement: str
    n: int
    density: Estimate
    over_normal: Estimate

    @property
    def passes(self) -> bool:
        return self.density.low > 1 and self.over_normal.low > 0


def statements() -> tuple[Statement, ...]:
    found = tomllib.loads(TABLE.read_text(encoding="utf-8"))["statement"]
    return tuple(
        Statement(
            name=each["name"],
            codes=tuple(each["codes"]),
            leads=tuple(each["leads"]),
            waves=tuple(each["waves"]),
            why=each["why"],
        )
        for each in found
    )


def place(of: Subject, statement: Statement, contract: Contract) -> Array | None:
    """(12, tokens): the share of each cell that the textbook names; None where the waves cannot be told."""
    field = named(of.beats, statement)
    if field is None:
        return None
    covered = on_tokens(field, of.beats.sampling_rate_hz, of.place, contract.explanation) * of.lead_mask[:, None]
    return covered if covered.max() > 0 else None


def named(beats: Beats, statement: Statement) -> Array | None:
    """(12, samples at 500 Hz): 1 on the named waves of every normal beat in the named leads."""
    rate = beats.heart_rate_bpm
    if beats.median_mv is None or not rate:
        return None
    rr, r = 60 * beats.sampling_rate_hz / rate, round(beat_room.BEFORE_MS * beats.sampling_rate_hz / 1000)
    spans = _spans(delineate(beats.median_mv, r, rr, beats.sampling_rate_hz), rr)
    field = np.zeros(beats.signal_mv.shape)
    rows = [INDEX[lead] for lead in statement.leads]
    for begin, end in (spans[wave] for wave in statement.waves if wave in spans):
        for peak in beats.normal_r_samples.tolist():
            field[rows, max(0, round(peak - r + begin)) : max(0, round(peak - r + end))] = 1
    return field if field.any() else None


def _spans(waves: Waves, rr: float) -> dict[str, tuple[float, float]]:
    """In samples of the median beat. Without a T wave it is taken to end where it does in most hearts."""
    if waves.qrs is None:
        return {}
    t_onset, t_end = (
        (waves.t.onset, waves.t.offset) if waves.t else (waves.qrs.offset + 40, waves.qrs.onset + 0.45 * rr)
    )
    spans: dict[str, tuple[float, float]] = {
        "qrs": (waves.qrs.onset, waves.qrs.offset),
        "st": (waves.qrs.offset, max(t_onset, waves.qrs.offset + 1)),
        "t": (t_onset, t_end),
        # the stretch before this beat, from the end of the T wave of the last
        "baseline": (min(t_end - rr, waves.qrs.onset - 10), waves.qrs.onset),
    }
    return spans | ({"p": (waves.p.onset, waves.p.offset)} if waves.p else {})


def agreement(
    drawn: Maps, cases: Sequence[Subject], normals: Sequence[Subject], statement: Statement, contract: Contract
) -> Agreement | None:
    """None where fewer than five recordings can be judged on either side."""
    ill, well = (_densities(drawn, each, statement, contract) for each in (cases, normals))
    if len(ill) < FEWEST or len(well) < FEWEST:
        return None
    # one line of people, cases first: a draw takes from both in their proportion
    values, case = np.concatenate([ill, well]), np.arange(len(ill) + len(well)) < len(ill)

    def over(rows: Rows) -> float:
        chosen = case[rows]
        return float(values[rows][chosen].mean() - values[rows][~chosen].mean()) if 0 < chosen.sum() < len(rows) else 0

    return Agreement(
        statement.name,
        len(ill),
        measures.mean_interval(ill),
        measures.of_people(over, np.arange(len(values))),
    )


def _densities(drawn: Maps, subjects: Sequence[Subject], statement: Statement, contract: Contract) -> Array:
    placed = [(each, place(each, statement, contract)) for each in subjects]
    known = [(each, where) for each, where in placed if where is not None]
    if not known:
        return np.zeros(0)
    found = drawn([each for each, _ in known])
    return np.array(
        [
            measures.mass(one, where) / measures.chance(where, each.lead_mask)
            for one, (each, where) in zip(found, known, strict=True)
        ]
    )
