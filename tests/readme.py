"""python -m tests.readme: write the README's example answer and its table of what was measured, from what is real."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from ecg.predictor import Predictor
from service.app import create_app
from service.settings import Settings
from tests.conftest import ROOT

README = ROOT / "README.md"
_BLOCK = re.compile(r"(<!-- answer:begin[^>]*-->\n)(.*?)(<!-- answer:end -->)", re.DOTALL)
_MEASURED = re.compile(r"(<!-- measured:begin[^>]*-->\n)(.*?)(<!-- measured:end -->)", re.DOTALL)
VOLATILE = ("id", "created")


def answer() -> dict[str, Any]:
    """What the two commands of the README give, from an application of its own."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(audit_url=f"sqlite:///{Path(folder) / 'audit.db'}")  # type: ignore[arg-type]
        with TestClient(create_app(settings)) as client:
            sample = client.get("/samples/muse_xml").content
            given = client.post("/predict?explain=false", files={"file": ("ecg.xml", sample)})
            given.raise_for_status()
            found: dict[str, Any] = given.json()
            return found


def shortened(found: dict[str, Any]) -> dict[str, Any]:
    """Twelve lead qualities would fill the page: one stands for all."""
    short = dict(found)
    short["quality"] = found["quality"] | {"leads": {"I": found["quality"]["leads"]["I"], "…": "eleven more"}}
    return short


def shown() -> dict[str, Any]:
    """The answer as the README tells it."""
    match = _BLOCK.search(README.read_text())
    assert match is not None
    text = match[2].strip().removeprefix("```json").removesuffix("```")
    found: dict[str, Any] = json.loads(text)
    return found


def measured() -> str:
    """Every figure of the table comes from a contract, or from a file that a command left."""
    lines = ["| what | measured | where |", "|---|---|---|"]
    for path in sorted((ROOT / "models").glob("*.onnx")):
        lines += _of_model(path)
    lines += [*_of_superclasses(), _of_service()]
    return "\n".join(lines)


def _of_model(path: Path) -> list[str]:
    contract, card = Predictor.load(path).contract, f"[card](models/{path.stem}.md)"
    name, lines = f"`{contract.model.name}`", []
    recovers = "what it recovers of the attainable concordance"
    for evidence in contract.evidence:
        metrics = {each.name: each for each in evidence.metrics}
        recovery = metrics.get("recovery_of_attainable_concordance")
        if recovery is not None:
            lines.append(f"| {name}: {recovers}, {evidence.cohort} | {_told(recovery.model_dump())} | {card} |")
    of_map = contract.explanation.faithfulness[contract.explanation.default.value]
    page = f"[tests](docs/results/faithfulness-{path.stem}.md)"
    met = f"{of_map['tests_met']:.0f} of {of_map['tests']:.0f}" if of_map.get("tested") else "not tested"
    lines.append(
        f"| {name}: tests of faithfulness that its map of the risk meets (SIMULATED and real) | {met} | {page} |"
    )
    return lines


def _told(estimate: dict[str, float]) -> str:
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"


def _of_superclasses() -> list[str]:
    rows = json.loads((ROOT / "docs/results/superclasses.json").read_text())["rows"]
    where = "[table](docs/results/superclasses.md)"
    told = {
        "linear_probe": "a linear probe of the encoder",
        "fine_tuned": "the encoder fine-tuned",
        "fine_tuned_beside_trees": "fine-tuned, averaged with trees on measurements of the same recording",
    }
    return [
        f"| PTB-XL's five superclasses, real fold {row['fold']}, macro AUROC: {told[row['way']]} |"
        f" {_told(row['macro_auroc'])} | {where} |"
        for row in rows
        if row["arm"] == "best"
    ]


def _of_service() -> str:
    found = json.loads((ROOT / "docs/benchmarks/service.json").read_text())
    lone, busy = (
        next(line for line in found["lines"] if line["candidate"] == "this service" and line["clients"] == clients)
        for clients in (1, 64)
    )
    times = busy["cpu_ms"] / sum(found["floor_ms"].values())
    return (
        f"| an answer with maps (WFDB): median for a lone client; CPU when busy | {lone['p50_ms']:.1f} ms;"
        f" {busy['cpu_ms']:.1f} ms, {times:.1f} times the bare minimum | [benchmarks](docs/benchmarks.md) |"
    )


def measured_told() -> str:
    """The table as the README has it."""
    match = _MEASURED.search(README.read_text())
    assert match is not None
    return match[2].strip()


def main() -> None:
    text = json.dumps(shortened(answer()), indent=2, ensure_ascii=False)
    text = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda match: "[" + re.sub(r"\s+", " ", match[1]) + "]", text)
    text = re.sub(r"\{\s+([^\[\]{}]{0,110}?)\s+\}", lambda match: "{" + re.sub(r"\s+", " ", match[1]) + "}", text)
    page = _BLOCK.sub(lambda match: f"{match[1]}```json\n{text}\n```\n{match[3]}", README.read_text())
    README.write_text(_MEASURED.sub(lambda match: f"{match[1]}{measured()}\n{match[3]}", page))


if __name__ == "__main__":
    main()
