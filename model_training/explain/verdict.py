"""The thresholds, set before any figure was seen, and what each kind of map may be called by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ecg.contract import MapKind
from model_training.explain import pairs
from model_training.explain.examine import KINDS, Findings, OfKind
from model_training.explain.pairs import Object

MASS_OVER_CHANCE: Final = 3.0
POINTING: Final = 0.7
RANDOMISED_BELOW: Final = 0.2
_NAMES: Final = {
    "lbbb": "left bundle branch block", "st_depression": "ST depression", "strain": "strain",
    "inferior_mi": "inferior infarction", "anterior_mi": "anterior infarction", "qtc": "long QT",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Criterion:
    """`passed` is None where it could not be tested, which is no pass. `key` is its name in the contract."""

    key: str
    title: str
    wanted: str
    value: float | None
    passed: bool | None


@dataclass(frozen=True, slots=True)
class Verdict:
    kind: MapKind
    criteria: tuple[Criterion, ...]

    @property
    def passed(self) -> bool:
        return all(each.passed for each in self.criteria)

    @property
    def met(self) -> int:
        return sum(bool(each.passed) for each in self.criteria)

    @property
    def failed(self) -> list[str]:
        return [each.title for each in self.criteria if each.passed is False]

    @property
    def untested(self) -> list[str]:
        return [each.title for each in self.criteria if each.passed is None]

    @property
    def statement(self) -> str:
        """What may be said of this kind, in a sentence for people."""
        if self.passed:
            return (
                f"Met all {len(self.criteria)} tests set beforehand: on simulated changes it points at what changed, "
                "and the cells it marks move the risk more than others. It explains the model, not the patient."
            )
        name = "Attention weights" if self.kind is MapKind.ATTENTION else "Weighted shares of the risk"
        told = f"{name}, not an explanation: met {self.met} of {len(self.criteria)} tests set beforehand"
        if self.failed:
            told += f"; failed: {', '.join(self.failed)}"
        if self.untested:
            told += f"; not tested: {', '.join(self.untested)}"
        return told + "."


def judge(found: Findings) -> dict[MapKind, Verdict]:
    return {kind: Verdict(kind, tuple(_criteria(found, kind.value, found.kinds[kind]))) for kind in KINDS}


def judge_rivals(found: Findings) -> dict[str, tuple[Criterion, ...]]:
    """Maps that no artefact serves yet, by the same tests: whether any map of this network would meet them."""
    return {name: tuple(_criteria(found, name, of)) for name, of in found.rivals.items()}


def recommended(verdicts: dict[MapKind, Verdict]) -> MapKind:
    """The kind that meets most; between equals the shares of the risk, since they add up to the answer."""
    return max((MapKind.RISK, MapKind.ATTENTION), key=lambda kind: (verdicts[kind].passed, verdicts[kind].met))


def _criteria(found: Findings, name: str, of: OfKind) -> list[Criterion]:
    gained, above, last = gained_on_judged(found, name), of.above_energy, list(of.cascade.values())[-1:]
    deleted = [curve.over_random for curves in found.curves.values() for curve in curves if curve.name == name]
    worst = min(deleted, key=lambda each: each.low, default=None)
    return [
        _criterion("mass_over_chance", "weight on the changed cells", f">= {MASS_OVER_CHANCE:g} x chance", gained,
                   gained is not None and gained >= MASS_OVER_CHANCE),
        _criterion("mass_above_energy", "more weight there than an energy map", "> 0, interval outside",
                   above.value if above else None, above is not None and above.low > 0),
        *(_pointing(found, name, change) for change in pairs.POINTED),
        _criterion("deletion_over_random_sd", "its top cells move the risk more than random ones",
                   "> 0, interval outside", worst.value if worst else None, worst is not None and worst.low > 0),
        _criterion("randomised_rank_correlation", "gone when the weights are random",
                   f"below {RANDOMISED_BELOW:g} either way", last[0] if last else None,
                   bool(last) and abs(last[0]) < RANDOMISED_BELOW),
    ]  # fmt: skip


def _pointing(found: Findings, name: str, change: str) -> Criterion:
    score = found.of(name, Object.DIFFERENCE, change)
    value = score.pointing if score else None
    return _criterion(
        f"pointing_{change}", f"points at {_NAMES[change]}", f">= {POINTING:g}", value, (value or 0) >= POINTING
    )


def _criterion(key: str, title: str, wanted: str, value: float | None, passed: bool) -> Criterion:
    return Criterion(key, title, wanted, value, None if value is None else bool(passed))


def gained_on_judged(found: Findings, name: str, object_: Object = Object.DIFFERENCE) -> float | None:
    """Mass over chance, mean over the judged changes to which the model reacts."""
    scores = [found.of(name, object_, change) for change in pairs.JUDGED]
    gained = [each.gained for each in scores if each]
    return float(np.mean(gained)) if gained else None


def for_contract(found: Findings) -> dict[str, dict[str, float | str | bool]]:
    """What goes into the contract's explanation.faithfulness, by kind."""
    return {kind.value: _told(found, verdict) for kind, verdict in judge(found).items()}


def _told(found: Findings, verdict: Verdict) -> dict[str, float | str | bool]:
    told: dict[str, float | str | bool] = {
        "tested": True, "passed": verdict.passed, "statement": verdict.statement, "tests_met": float(verdict.met),
        "tests": float(len(verdict.criteria)),
    }  # fmt: skip
    told |= {each.key: round(each.value, 3) for each in verdict.criteria if each.value is not None}
    of = found.kinds[verdict.kind]
    if of.textbook:
        told["textbook_statements_met"] = float(sum(each.passes for each in of.textbook))
        told["textbook_statements"] = float(len(of.textbook))
    if of.polarity is not None:
        told["direction_right_share"] = round(of.polarity, 3)
    return told
