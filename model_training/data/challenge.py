"""The PhysioNet Challenge family (CPSC, Georgia, Chapman, …): WFDB with SNOMED codes, no patient ids, no outcome."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pandas as pd

from model_training.data.cohort import Cohort, CohortError, table_of
from model_training.data.flow import Flow
from model_training.data.signals import Files

_COMMENT: Final = re.compile(r"^#\s*(Age|Sex|Dx)\s*:\s*(.*)$", re.IGNORECASE | re.MULTILINE)


def load(root: Path) -> Cohort:
    """Every .hea below the folder; the first folder of its path is the site. Splits can be by recording only."""
    headers = sorted(root.rglob("*.hea"))
    if not headers:
        raise CohortError("no .hea file below the folder")
    table = pd.DataFrame([_row(root, header) for header in headers])
    table["patient_id"] = table["ecg_id"]
    flow = Flow.of("PhysioNet Challenge", table)
    table = flow.keep(table, table["readable"], "header without a record line")
    table = flow.keep(table, table["has_signal"], "no signal file on disk")
    columns = {name: table[name].to_numpy() for name in ("ecg_id", "patient_id", "age_years", "sex", "codes", "site")}
    signals = Files(root, tuple(table["path"]))
    return Cohort("PhysioNet Challenge", table_of(columns, len(table)), signals, flow, patients_known=False)


def _row(root: Path, header: Path) -> dict[str, object]:
    text = header.read_text(encoding="latin-1")
    facts = {name.lower(): value.strip() for name, value in _COMMENT.findall(text)}
    relative = header.relative_to(root)
    age = pd.to_numeric(facts.get("age", ""), errors="coerce")
    return {
        "ecg_id": str(relative.with_suffix("")),
        "path": str(relative),
        "site": relative.parts[0] if len(relative.parts) > 1 else "",
        "age_years": float(age) if 0 <= age <= 120 else float("nan"),
        "sex": {"m": "male", "f": "female"}.get(facts.get("sex", "")[:1].lower()),
        "codes": {code.strip(): 100.0 for code in facts.get("dx", "").split(",") if code.strip().isdigit()},
        "readable": bool(re.match(r"^\S+\s+\d+", text)),
        "has_signal": any(header.with_suffix(suffix).is_file() for suffix in (".mat", ".dat")),
    }
