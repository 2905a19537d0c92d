"""Does the simulation look like the world? Trees that learnt on SIMULATED measurements read real PTB-XL recordings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from ecg import beats, harmonise
from ecg.errors import EcgError
from ecg.leads import LEADS
from ecg.recording import Recording, TwelveLead
from model_training.data import ptbxl
from model_training.data.cohort import SIMULATED
from model_training.simulate import people, render, reports
from model_training.simulate.chance import Floats

_SCALARS: Final = (
    "heart_rate_bpm", "p_ms", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms", "axis_deg", "p_axis_deg", "t_axis_deg",
    "sokolow_lyon_mv", "cornell_mv",
)  # fmt: skip
_VOLTAGES: Final = ("r_mv", "s_mv", "st_mv", "t_mv")
FEATURES: Final = (
    *_SCALARS,
    *(f"{lead}_{what}" for lead in LEADS for what in _VOLTAGES),
    "irregularity",
    "rr_spread",
    "ectopic_share",
)

# What the trees are asked for, and the findings made common enough to learn from.
CODES: Final = ("CLBBB", "CRBBB", "AFIB", "LVH")
ENRICHED: Final[Mapping[str, float]] = MappingProxyType(
    {
        "lbbb": 0.03, "rbbb": 0.05, "lafb": 0.05, "af": 0.04, "flutter": 0.01, "paced": 0.02, "pvc": 0.06,
        "old_inferior_mi": 0.06, "old_anterior_mi": 0.05, "acute_inferior_mi": 0.005, "acute_anterior_mi": 0.005,
        "lvh": 0.2,
    }
)  # fmt: skip
_PEOPLE: Final = 6000
_BLOCK: Final = 250
_TREES: Final = 200


@dataclass(frozen=True, slots=True)
class Found:
    """How well one statement is found in real recordings, against all others and against normal ones only."""

    code: str
    positives: int
    auroc_rest: float
    auroc_normal: float


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Measurements (n, features) and which statements were made about each recording."""

    features: Floats
    codes: list[set[str]]

    def has(self, code: str) -> NDArray[np.bool_]:
        return np.array([code in codes for codes in self.codes], dtype=bool)


def audit(made: Sample, real: Sample, codes: tuple[str, ...] = CODES) -> list[Found]:
    """Learn every statement on the SIMULATED sample, look for it in the real one."""
    normal = real.has("NORM")
    results = []
    for code in codes:
        trees = HistGradientBoostingClassifier(
            max_iter=_TREES,
            learning_rate=0.03,
            max_leaf_nodes=8,
            min_samples_leaf=60,
            max_features=0.3,
            random_state=0,
        ).fit(made.features, made.has(code))
        score, truth = trees.predict_proba(real.features)[:, 1], real.has(code)
        some = truth | normal
        rest, against_normal = roc_auc_score(truth, score), roc_auc_score(truth[some], score[some])
        results.append(Found(code, int(truth.sum()), float(rest), float(against_normal)))
    return results


def side_by_side(made: Sample, real: Sample, code: str, names: tuple[str, ...] = _SCALARS) -> pd.DataFrame:
    """10 %, 50 % and 90 % of each measurement among the recordings with this statement, made and real."""
    columns = {}
    for whose, sample in ((SIMULATED, made), ("PTB-XL", real)):
        table = pd.DataFrame(sample.features, columns=FEATURES)[sample.has(code)]
        for share in (0.1, 0.5, 0.9):
            columns[f"{whose} {share:.0%}"] = table[list(names)].quantile(share)
    return pd.DataFrame(columns)


def simulated(n: int = _PEOPLE, seed: int = 7) -> Sample:
    """An enriched SIMULATED sample, with the statements that its reports make in the clean arm."""
    traits = people.draw(n, seed, prevalence=ENRICHED)
    told = reports.describe(traits, seed)
    # a statement below even odds is a mention, not a diagnosis
    codes = [{code for code, sure in each.codes.items() if sure == 0 or sure >= 50} for each in told]
    return Sample(measured_all(_rendered(traits, seed)), codes)


def ptb_xl(root: Path, folds: tuple[int, ...] = (9,)) -> Sample:
    """Real recordings of these folds, with their statements whatever the likelihood."""
    cohort = ptbxl.load(root)
    chosen = cohort.subset(cohort.table["fold"].isin(folds), "other folds")
    recordings = (chosen.recording(position) for position in range(len(chosen)))
    return Sample(measured_all(recordings), [set(codes) for codes in chosen.table["codes"]])


def _rendered(traits: pd.DataFrame, seed: int) -> Iterator[TwelveLead]:
    for start in range(0, len(traits), _BLOCK):
        drawn = render.render(traits.iloc[start : start + _BLOCK], seed)
        yield from (drawn.twelve(position) for position in range(len(drawn.signal_mv)))


def measured(twelve: TwelveLead) -> list[float]:
    """One row of FEATURES as the service itself measures them; NaN where a wave cannot be told."""
    found = beats.find(twelve)
    m = beats.measure(found)
    row = [getattr(m, name) for name in _SCALARS]
    row += [getattr(m.voltages[lead], what) if m.voltages else None for lead in LEADS for what in _VOLTAGES]
    rr = found.rr_ms
    spread = float(rr.std() / rr.mean()) if rr.size >= 3 else None
    ectopic = float(np.mean([kind is beats.BeatKind.ECTOPIC for kind in found.kinds])) if found.kinds else None
    return [np.nan if value is None else float(value) for value in (*row, found.irregularity, spread, ectopic)]


def measured_all(recordings: Iterable[TwelveLead | Recording]) -> Floats:
    """(n, features); a recording that cannot be read at all is a row of NaN."""
    rows = []
    for recording in recordings:
        try:
            rows.append(measured(harmonise.to_twelve(recording) if isinstance(recording, Recording) else recording))
        except EcgError:
            rows.append([np.nan] * len(FEATURES))
    return np.array(rows, dtype=np.float64).reshape(-1, len(FEATURES))


def main(
    root: Annotated[Path, typer.Argument(help="PTB-XL's folder")],
    fold: Annotated[list[int], typer.Option(help="folds to test on")] = [9],  # noqa: B006
    n: Annotated[int, typer.Option(help="simulated people to learn from")] = _PEOPLE,
) -> None:
    """Print how well what was learnt on SIMULATED recordings is found in real ones."""
    made, real = simulated(n), ptb_xl(root, tuple(fold))
    for code in ("NORM", *CODES):
        typer.echo(f"\n{code}\n{side_by_side(made, real, code).round(2).to_string()}")
    typer.echo(f"\ntrained on {n} {SIMULATED} recordings, tested on PTB-XL fold {', '.join(map(str, fold))}")
    for found in audit(made, real):
        shown = f"AUROC {found.auroc_rest:.3f} against the rest, {found.auroc_normal:.3f} against NORM"
        typer.echo(f"{found.code:6} n={found.positives:<4} {shown}")


if __name__ == "__main__":
    typer.run(main)
