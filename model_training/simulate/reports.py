"""Reports on simulated ECGs: what the noise-free tracing shows, in words and as SCP-ECG statements with likelihood.

Thresholds are the same for all ages and both sexes, so a report tells nothing that the ECG itself does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from model_training.simulate import kernels
from model_training.simulate.chance import Chance, Floats
from model_training.simulate.phrases import HEDGES, LABELS, NEGATIONS, WORDINGS, Language

Arm = Literal["clean", "noisy", "shuffled", "missing"]
ARMS: Final[tuple[Arm, ...]] = ("clean", "noisy", "shuffled", "missing")
LIKELIHOODS: Final = (15.0, 35.0, 50.0, 80.0, 100.0)

# The columns that a report may rest on: every one shows on the tracing.
VISIBLE: Final = (
    "condition", "lafb", "lpfb", "af", "flutter", "paced", "pre_excitation", "pvc", "pac", "old_inferior_mi",
    "old_anterior_mi", "acute_inferior_mi", "acute_anterior_mi", "pericarditis", "hyperkalaemia", "av_block",
    "low_voltage", "heart_rate_bpm", "pr_ms", "qrs_ms", "qtc_ms", "axis_deg", "sokolow_mv", "cornell_mv",
    "p_terminal_force_mv_ms", "st_depression_mv", "t_amp_mv", "t_azimuth_deg", "t_elevation_deg", "strain",
)  # fmt: skip

_OMITTED: Final = 0.20
# of each finding that is not there; about one report in fourteen has one
_INVENTED: Final = 0.0025
_MISSING: Final = 0.30
_NEGATED: Final = 0.25
_V6: Final = 7


@dataclass(frozen=True, slots=True)
class Report:
    """`codes` maps an SCP-ECG statement to its likelihood; 0 says present with unknown likelihood, as in PTB-XL."""

    text: str
    codes: dict[str, float]


def describe(
    traits: pd.DataFrame, seed: int, language: Literal["mixed", "en", "de"] = "mixed", arm: Arm = "clean"
) -> list[Report]:
    """One report a person. Arms: `noisy` omits, invents and hedges; `shuffled` gives each another's noisy report;
    `missing` leaves three in ten empty."""
    if arm not in ARMS:
        raise ValueError(f"no such arm: {arm}")
    chance = kernels.person(traits).within(seed, "report")
    margins = findings(traits[list(VISIBLE)])
    writer = _Writer.of(margins, chance, language, noisy=arm != "clean")
    written = [writer.report(row, traits) for row in range(len(traits))]
    if arm == "shuffled":
        order = np.random.default_rng(seed).permutation(len(written))
        written = [written[position] for position in order]
    if arm == "missing":
        kept = chance.uniform("kept") >= _MISSING
        written = [report if keep else Report("", {}) for report, keep in zip(written, kept, strict=True)]
    return written


def lvh_points(traits: pd.DataFrame) -> Floats:
    """Voltage and strain weighed together, as point scores do; hypertrophy from 1.45."""
    voltage = traits["sokolow_mv"] / 3.5 + 0.4 * traits["cornell_mv"] / 2.4
    return np.asarray(voltage + 0.5 * traits["strain"], dtype=np.float64)


def findings(traits: pd.DataFrame) -> dict[str, Floats]:
    """Each finding's margin: present where positive, and the surer the farther from zero."""
    t = {name: traits[name].to_numpy() for name in VISIBLE}
    wide = (t["condition"] != "normal") | t["paced"] | t["pre_excitation"]
    odd = t["af"] | t["flutter"] | t["paced"] | (t["av_block"] == "complete")
    t_in_v6 = kernels.t_vector(traits) @ kernels.LEAD_VECTORS[_V6]
    measured = {
        "bradycardia": _where(~odd, (55 - t["heart_rate_bpm"]) / 3),
        "tachycardia": _where(~odd, (t["heart_rate_bpm"] - 100) / 3),
        "long_pr": _where(~odd & (t["av_block"] == ""), (t["pr_ms"] - 200) / 8),
        "wide_qrs": _where(~wide, (t["qrs_ms"] - 110) / 4),
        "left_axis": (-30 - t["axis_deg"]) / 6,
        "right_axis": (t["axis_deg"] - 95) / 6,
        "lvh": _where(~wide, (lvh_points(traits) - 1.45) / 0.12),
        "left_atrium": _where(~odd, (t["p_terminal_force_mv_ms"] - 5) / 0.7),
        "st_depression": (t["st_depression_mv"] - 0.05) / 0.01,
        "t_inversion": _where(~wide, (-0.05 - t_in_v6) / 0.03),
        "flat_t": _where(~wide, 2 - np.abs(t_in_v6 - 0.02) / 0.03),
        "long_qt": (t["qtc_ms"] - 455) / 8,
    }
    certain = {
        name: _where(t[name], 4.0)
        for name in ("lafb", "lpfb", "af", "flutter", "paced", "pre_excitation", "pvc", "pac", "old_inferior_mi",
                     "old_anterior_mi", "acute_inferior_mi", "acute_anterior_mi", "pericarditis", "hyperkalaemia",
                     "low_voltage")
    } | {name: _where(t["condition"] == name, 4.0) for name in ("lbbb", "rbbb")}  # fmt: skip
    certain |= {name: _where(t["av_block"] == name, 4.0) for name in ("mobitz", "complete")}
    margins = {**measured, **certain}
    abnormal = np.any([margin > 0 for name, margin in margins.items() if name != "bradycardia"], axis=0)
    sinus = ~odd & (margins["bradycardia"] <= 0) & (margins["tachycardia"] <= 0)
    return {"sinus": _where(sinus, 4.0), **margins, "normal": _where(~abnormal, 4.0)}


def _where(possible: NDArray[np.bool_], margin: Floats | float) -> Floats:
    return np.where(possible.astype(bool), margin, -4.0).astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Writer:
    """Everything drawn beforehand for all people; rows are then put into words one by one."""

    names: tuple[str, ...]
    stated: NDArray[np.bool_]
    present: NDArray[np.bool_]
    likelihood: Floats
    languages: list[Language]
    choice: Floats
    order: Floats
    style: Floats
    negated: NDArray[np.bool_]

    @classmethod
    def of(cls, margins: dict[str, Floats], chance: Chance, language: str, *, noisy: bool) -> _Writer:
        names = tuple(margins)
        margin = np.stack([margins[name] for name in names], axis=1)
        present, k = margin > 0, len(names)
        stated = present.copy()
        if noisy:
            stated &= chance.uniform("omitted", k) >= _OMITTED
            rhythm = np.array([WORDINGS[name].rhythm or name == "normal" for name in names])
            stated |= (chance.uniform("invented", k) < _INVENTED) & ~rhythm
            # a tracing is not called normal next to a finding
            others = stated & ~rhythm
            stated[:, names.index("normal")] &= ~others.any(axis=1)
        sure = expit(1.2 * margin + (0.8 * chance.normal("sureness", k) if noisy else 0.0))
        likelihood = np.array(LIKELIHOODS)[np.clip((sure * 5.05).astype(int), 0, 4)]
        english = chance.uniform("language") < {"mixed": 0.5, "en": 1.0, "de": 0.0}[language]
        return cls(
            names, stated, present, likelihood, [Language.ENGLISH if each else Language.GERMAN for each in english],
            chance.uniform("choice", k), chance.uniform("order", k), chance.uniform("style", 4),
            chance.uniform("negated", k) < _NEGATED,
        )  # fmt: skip

    def report(self, row: int, traits: pd.DataFrame) -> Report:
        language = self.languages[row]
        chosen = [k for k in np.argsort(self.order[row]) if self.stated[row, k]]
        # rhythm is named first, as readers do
        chosen.sort(key=lambda k: not WORDINGS[self.names[k]].rhythm)
        parts = [self._phrase(row, int(k), language) for k in chosen]
        parts += [
            text for name, text in NEGATIONS[language].items()
            if self.negated[row, (k := self.names.index(name))] and not self.present[row, k] and not self.stated[row, k]
        ]  # fmt: skip
        if self.style[row, 0] < 0.3:
            values = traits["heart_rate_bpm"].iat[row], traits["pr_ms"].iat[row], traits["qrs_ms"].iat[row]
            shown = zip(LABELS[language], values, strict=True)
            parts += [label.format(round(value)) for label, value in shown if not self._unmeasurable(row, label)]
        return Report(self._joined(row, parts, language), self._codes(row, chosen))

    def _unmeasurable(self, row: int, label: str) -> bool:
        without_p = [self.names.index(name) for name in ("af", "flutter", "paced", "complete")]
        return label.startswith(("PR", "PQ")) and bool(self.present[row, without_p].any())

    def _phrase(self, row: int, k: int, language: Language) -> str:
        options = WORDINGS[self.names[k]].phrases(language)
        phrase = options[int(self.choice[row, k] * len(options))]
        if self.likelihood[row, k] > 50 or WORDINGS[self.names[k]].rhythm:
            return phrase
        hedges = HEDGES[language]
        return f"{hedges[int(self.order[row, k] * len(hedges))]} {phrase}"

    def _joined(self, row: int, parts: list[str], language: Language) -> str:
        """A list with a finding a line, or running prose."""
        if self.style[row, 1] < 0.4:
            return "\n".join(part[0].upper() + part[1:] for part in parts)
        separator = ". " if self.style[row, 2] < 0.5 else ", "
        text = separator.join(part[0].upper() + part[1:] if separator == ". " else part for part in parts)
        return f"{text[:1].upper()}{text[1:]}." if text else ""

    def _codes(self, row: int, chosen: list[np.intp]) -> dict[str, float]:
        codes: dict[str, float] = {}
        for k in chosen:
            wording = WORDINGS[self.names[k]]
            for code in wording.codes:
                codes[code] = 0.0 if wording.rhythm else float(self.likelihood[row, k])
        return codes
