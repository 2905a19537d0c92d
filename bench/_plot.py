"""The candidates' throughput and cost as one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

KIND: Final = "WFDB"
_WIDTH_IN, _ROW_IN = 9.0, 0.42
_COLOURS: Final = {1: "#b8c4d6", 8: "#6f8fbd", 64: "#1f4e8c"}


def service(found: dict[str, Any], path: Path) -> None:
    """Bars of requests a second, and of CPU a request with the floor as a line; one group a candidate."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "bench", "font.size": 9})
    from matplotlib import pyplot

    lines = [each for each in found["lines"] if each["kind"] == KIND]
    names = list(dict.fromkeys(each["candidate"] for each in lines))
    rows, height = range(len(names)), 0.26
    figure, (left, right) = pyplot.subplots(1, 2, sharey=True, figsize=(_WIDTH_IN, 1.2 + 2 * _ROW_IN * len(names)))
    for place, (clients, colour) in enumerate(_COLOURS.items()):
        by_name = {each["candidate"]: each for each in lines if each["clients"] == clients}
        at = [row + (place - 1) * height for row in rows]
        for axes, what in ((left, "per_second"), (right, "cpu_ms")):
            values = [by_name[name][what] for name in names]
            bars = axes.barh(at, values, height, color=colour, label=f"{clients} client{'s' * (clients > 1)}")
            axes.bar_label(bars, [f"{value:.3g}" for value in values], padding=2, fontsize=7)
    left.set_yticks(list(rows), names)
    left.invert_yaxis()
    left.set_title("requests/s", loc="left")
    right.set_title("CPU ms a request (log scale)", loc="left")
    right.set_xscale("log")
    right.axvline(sum(found["floor_ms"].values()), color="#b03a2e", linewidth=1, label="floor")
    right.legend(frameon=False, fontsize=7, loc="lower right")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.12)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
