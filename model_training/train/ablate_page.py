"""The experiment table as people read it: a page, its numbers and the data-efficiency figure. SIMULATED is in each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write(found: dict[str, Any], out: Path, name: str) -> list[Path]:
    out.mkdir(parents=True, exist_ok=True)
    numbers, page, figure = out / f"ablation-{name}.json", out / f"ablation-{name}.md", out / f"ablation-{name}.svg"
    numbers.write_text(json.dumps(found, indent=1) + "\n")
    page.write_text("\n".join(_page(found, figure.name)))
    _draw(found, figure)
    return [numbers, page, figure]


def _page(found: dict[str, Any], figure: str) -> list[str]:
    rivals = sorted({key for line in found["lines"] for key in line if key.startswith("ahead of ")})
    lines = [
        f"# Arms and labelled events: {found['label']}",
        "",
        f"Made by `python -m model_training ablate`. C is averaged over what might have happened to {found['n_test']}",
        f"held-out people whose hazards are known: heart failure by {found['horizon_years']:g} years, incidence",
        f"{found['incidence']:.2%}.",
        "An arm's lead is paired on the same people, 95 %.",
        "",
        "Attainable: " + "; ".join(f"{name} {c:.3f}" for name, c in found["bounds"].items()) + ".",
        "",
        f"![C by labelled events]({figure})",
        "",
        f"![Attention in low and in high risk]({figure.replace('ablation-', 'attention-')})",
        "",
        "| events | arm | seeds | C (SD over seeds) | recovery | " + " | ".join(rivals) + " |",
        "|---|---|---|---|---|" + "---|" * len(rivals),
    ]
    for line in sorted(found["lines"], key=lambda each: (each["events"], -each["c"])):
        cells = [_told(line.get(rival)) for rival in rivals]
        lines.append(
            f"| {line['events']} | {line['arm']} | {line['seeds']} | {line['c']:.4f} ({line['c_sd']:.4f}) |"
            f" {line['recovery']:.3f} | {' | '.join(cells)} |"
        )
    return [*lines, ""]


def _told(estimate: dict[str, float] | None) -> str:
    return "" if estimate is None else f"{estimate['value']:+.4f} ({estimate['low']:+.4f} to {estimate['high']:+.4f})"


def _draw(found: dict[str, Any], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "ecg"
    drawn, axis = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
    best_last = sorted(found["lines"], key=lambda line: (line["events"], line["c"]), reverse=True)
    for colour, arm in enumerate(dict.fromkeys(line["arm"] for line in best_last)):
        points = sorted((line["events"], line["c"]) for line in found["lines"] if line["arm"] == arm)
        axis.plot(*zip(*points, strict=True), marker="o", markersize=3, label=arm, color=f"C{colour % 10}",
                  linestyle="-" if colour < 10 else ":")  # fmt: skip
    own = found["bounds"]["ECG, its own part of the hazard"]
    axis.axhline(own, color="0.5", linestyle="--", linewidth=1)
    axis.annotate("attainable from the ECG", (axis.get_xlim()[1], own), ha="right", va="bottom", fontsize=8)
    axis.set(xscale="log", xlabel="labelled events", ylabel="C against the truth", title=found["label"])
    asked = sorted({line["events"] for line in found["lines"]})
    axis.set_xticks(asked, map(str, asked))
    axis.minorticks_off()
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=7, ncols=2)
    drawn.savefig(path, metadata={"Date": None})
    plt.close(drawn)
