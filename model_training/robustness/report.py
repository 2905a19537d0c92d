"""How far the answer moves, as JSON and Markdown with one figure."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from model_training.explain.writing import finite, paragraphs, table
from model_training.robustness.changes import CHANGES
from model_training.robustness.measure import Cohort, Effect, coverage_curve
from model_training.survival.bootstrap import Estimate

_INK: Final = ("#1f5f8b", "#c2571a")
_SVG: Final[dict[Any, Any]] = {"svg.fonttype": "none", "svg.hashsalt": "robustness", "font.size": 8.0}


def write(model: str, sha256: str, cohorts: Sequence[Cohort], found: Sequence[Effect], out: Path) -> list[Path]:
    """OUT/robustness-<model>.json, .md and .svg."""
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"robustness-{model}.{kind}" for kind in ("json", "md", "svg")]
    paths[0].write_text(json.dumps(as_json(model, sha256, found), indent=1) + "\n", encoding="utf-8")
    paths[1].write_text(paragraphs(markdown(model, sha256, cohorts, found)), encoding="utf-8")
    paths[2].write_text(figure(found), encoding="utf-8")
    return paths


def as_json(model: str, sha256: str, found: Sequence[Effect]) -> dict[str, Any]:
    plain = [{k: v for k, v in asdict(each).items() if k not in ("doubts", "moves")} for each in found]
    curves = {name: [part.tolist() for part in coverage_curve(some)] for name, some in _by_cohort(found).items()}
    told: dict[str, Any] = finite({"model": model, "sha256": sha256, "effects": plain, "risk_coverage": curves})
    return told


def _by_cohort(found: Sequence[Effect]) -> dict[str, list[Effect]]:
    names = dict.fromkeys(each.cohort for each in found)
    return {name: [each for each in found if each.cohort == name] for name in names}


def markdown(model: str, sha256: str, cohorts: Sequence[Cohort], found: Sequence[Effect]) -> Iterator[str]:
    people = ", ".join(f"{len(each.people)} of {each.name}" for each in cohorts)
    yield f"# How far the answer of {model} moves"
    yield ""
    yield f"Recordings that the gate calls good ({people}) are changed in one way at a time and go"
    yield "through the whole served trip again. *refused* and *flagged* are the gate's shares of all. The rest is"
    yield "told of those that are answered: mean movement of the percentile with a 95 % interval over people, the"
    yield "movement that one in ten exceeds, the share that lands in another risk band, and the share that does so"
    yield "without a word from the gate. C is concordance with the true log-hazard of simulated people, beside that of"
    yield "the same people intact. Figures are given where five or more are answered, C"
    yield "where twenty are. Masked leads are left out at the model's door, where the gate has no say."
    yield ""
    yield f"![Movement of the percentile by change, and risk against coverage](robustness-{model}.svg)"
    yield ""
    for name, some in _by_cohort(found).items():
        yield f"## {name}"
        yield ""
        yield from table(
            ("", "change", "refused", "flagged", "moves by, percentiles", "one in ten over", "if none were refused",
             "other band", "silently", "C"),
            (_row(each) for each in some),
        )  # fmt: skip
    yield "## When the most doubtful are left out"
    yield ""
    yield "All changed recordings together, ordered by the gate's verdict and by how alike their beats are."
    yield ""
    yield from _coverage(found)
    yield f"Made by `python -m model_training robustness` on the artefact with SHA-256 `{sha256}`."


def _row(one: Effect) -> Sequence[str]:
    c = "" if one.c is None or one.c_intact is None else f"{one.c:.3f} (intact {one.c_intact:.3f})"
    return (
        one.family, one.change, f"{one.refused:.0%}", f"{one.flagged:.0%}", _estimate(one.moved_percentile),
        _plain(one.worst_tenth, ".1f"), _plain(one.moved_anyway, ".1f"),
        _plain(one.crossed, ".0%"), _plain(one.silent, ".0%"), c,
    )  # fmt: skip


def _coverage(found: Sequence[Effect]) -> Iterator[str]:
    curves = {name: coverage_curve(some, points=10) for name, some in _by_cohort(found).items()}
    at = next(iter(curves.values()))[0]
    yield from table(
        ("mean movement at coverage", *(f"{share:.0%}" for share in at)),
        ((name, *(f"{value:.2f}" for value in moves)) for name, (_, moves) in curves.items()),
    )


def figure(found: Sequence[Effect]) -> str:
    """Left: each change's mean movement with its interval. Right: risk against coverage."""
    with plt.rc_context(_SVG):
        drawing, (left, right) = plt.subplots(1, 2, figsize=(9.5, 8.5), width_ratios=(3, 2), layout="constrained")
        _movements(left, found)
        for ink, (name, some) in zip(_INK, _by_cohort(found).items(), strict=False):
            right.plot(*coverage_curve(some), color=ink, label=name)
        right.set(xlabel="share answered", ylabel="mean movement, percentiles", title="most doubtful left out first")
        right.set_xlim(0, 1)
        right.set_ylim(bottom=0)
        right.legend(frameon=False)
        text = io.StringIO()
        drawing.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(drawing)
    return text.getvalue()


def _movements(axes: Axes, found: Sequence[Effect]) -> None:
    rows = {change.name: place for place, change in enumerate(reversed(CHANGES))}
    for shift, ink, (name, some) in zip((0.15, -0.15), _INK, _by_cohort(found).items(), strict=False):
        known = [(each, each.moved_percentile) for each in some if each.moved_percentile and each.change in rows]
        at = [rows[each.change] + shift for each, _ in known]
        middle = np.array([one.value for _, one in known])
        around = np.abs(np.array([[one.low, one.high] for _, one in known]).reshape(-1, 2).T - middle)
        axes.errorbar(middle, at, xerr=around, fmt="o", ms=3, lw=1, color=ink, label=name)
    refused = {each.change for each in found} - {each.change for each in found if each.moved_percentile}
    for place in sorted(rows[name] for name in refused):
        axes.text(0.01, place, "nearly all refused", va="center", color="0.45", transform=axes.get_yaxis_transform())
    told = [f"{change.family}: {change.name}" for change in reversed(CHANGES)]
    axes.set_yticks(range(len(told)), told)
    axes.set(xlabel="mean movement of those answered, percentiles", ylim=(-0.7, len(told) - 0.3))
    axes.set_xlim(left=0)
    axes.grid(axis="x", lw=0.4, alpha=0.5)


def _plain(value: float | None, how: str) -> str:
    return "" if value is None else f"{value:{how}}"


def _estimate(one: Estimate | None) -> str:
    return "" if one is None else f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})"
