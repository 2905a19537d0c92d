"""One recording -> one row: the answer's numbers, or the code of its refusal. The same row on every engine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar

import pyarrow as pa
import structlog

from ecg import formats
from ecg.assess import Assessment, Ready, infer, judge, make_ready
from ecg.contract import Contract
from ecg.errors import EcgError, QualityRejected
from ecg.leads import LEADS
from ecg.predictor import Inference, Predictor
from ecg.quality import QualityReport
from service import memory
from service.scoring.inputs import Record, files_of

_log = structlog.get_logger("service.scoring")
OK: Final = "ok"
UNREADABLE: Final = "unreadable"
DEFECT: Final = "internal_error"
# So many recordings, made ready, take some ten megabytes.
_AT_ONCE: Final = 16
Row = dict[str, Any]
Given = TypeVar("Given")
Made = TypeVar("Made")
_MEASURED: Final = ("heart_rate_bpm", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms", "axis_deg")


@dataclass(frozen=True, slots=True)
class Job:
    """What every row of one output shares."""

    model: Path
    sha256: str
    explain: bool


@lru_cache(maxsize=1)
def predictor_of(model: Path, sha256: str) -> Predictor:
    """Once a process; the file must still be the one that the job began with."""
    memory.keep_freed()
    found = Predictor.load(model)
    if found.sha256 != sha256:
        raise RuntimeError(f"{model.name} changed while its cohort is being scored")
    return found


def schema(contract: Contract, *, explain: bool) -> pa.Schema:
    horizons = [(_horizon(each.years), pa.float64()) for each in contract.output.horizons]
    maps = [("lead_attention", pa.list_(pa.float32(), len(LEADS)))] if explain else []
    return pa.schema(
        [
            ("record", pa.string()),
            ("code", pa.string()),
            ("detail", pa.string()),
            ("input_sha256", pa.string()),
            ("format", pa.string()),
            ("duration_s", pa.float64()),
            ("quality", pa.string()),
            ("quality_issues", pa.list_(pa.string())),
            ("log_hazard", pa.float64()),
            ("percentile", pa.float64()),
            ("score", pa.float64()),
            ("band", pa.string()),
            *horizons,
            *((name, pa.float64()) for name in _MEASURED),
            *maps,
        ],
        metadata={
            "model": f"{contract.model.name}-{contract.model.version}",
            "intended_use": contract.model.intended_use.value,
            "outcomes": "SIMULATED" if contract.model.simulated_outcomes else "observed",
        },
    )


def _horizon(years: float) -> str:
    return f"risk_{years:g}y"


def rows_of(chosen: Sequence[Record], job: Job) -> Iterator[Row]:
    """Never raises for what one recording does: the cohort goes on.

    Some recordings take each part of the trip together, so that what the part needs is in the processor's caches.
    The network sees one at a time all the same: judged together they would differ from the service's answers in the
    last digit.
    """
    predictor = predictor_of(job.model, job.sha256)

    def ready(row: Row, record: Record) -> Ready:
        files = files_of(record)
        row["input_sha256"] = _digest(files)
        return make_ready(formats.read_files(files), predictor.contract)

    def inferred(_row: Row, ready: Ready) -> tuple[Ready, Inference]:
        return ready, infer(ready, predictor, job.explain)

    def ended(row: Row, both: tuple[Ready, Inference]) -> None:
        row |= _answer(judge(*both, predictor.contract))

    for first in range(0, len(chosen), _AT_ONCE):
        some = [(_begun(record), record) for record in chosen[first : first + _AT_ONCE]]
        yield from (row for row, _ in _each(_each(_each(some, ready), inferred), ended))


def _begun(record: Record) -> Row:
    return {"record": record.name, "code": OK}


def _each(
    under_way: Sequence[tuple[Row, Given | None]], part: Callable[[Row, Given], Made]
) -> list[tuple[Row, Made | None]]:
    """What a part of the trip makes of each; nothing of one whose row tells already why it ended before."""
    return [(row, None if given is None else _guarded(row, given, part)) for row, given in under_way]


def _guarded(row: Row, given: Given, part: Callable[[Row, Given], Made]) -> Made | None:
    try:
        return part(row, given)
    except EcgError as refusal:
        quality = refusal.report if isinstance(refusal, QualityRejected) else None
        row |= {"code": refusal.code, "detail": refusal.message} | _quality(quality)
    except OSError as error:
        row |= {"code": UNREADABLE, "detail": type(error).__name__}
    except Exception as error:  # a defect costs one row, is logged by its type, and fails the run at its end
        _log.error("row_failed", record=row["record"], error=type(error).__name__)
        row |= {"code": DEFECT, "detail": type(error).__name__}
    return None


def _answer(assessment: Assessment) -> dict[str, Any]:
    risk, attention = assessment.risk, assessment.attention
    found: dict[str, Any] = {
        "format": assessment.recording_format,
        "duration_s": round(assessment.twelve.duration_s, 3),
        "log_hazard": risk.log_hazard,
        "percentile": risk.percentile,
        "score": risk.score,
        "band": risk.band.value,
        **{_horizon(each.years): each.probability for each in risk.horizons},
        **{name: getattr(assessment.measurements, name) for name in _MEASURED},
        **_quality(assessment.quality),
    }
    if attention is not None:
        found["lead_attention"] = attention.lead_weights.tolist()
    return found


def _quality(report: QualityReport | None) -> dict[str, Any]:
    if report is None:
        return {}
    issues = [f"{each.code.value}:{each.lead}" if each.lead else each.code.value for each in report.issues]
    return {"quality": report.verdict.value, "quality_issues": issues}


def _digest(files: dict[str, bytes]) -> str:
    """Of one file its SHA-256; of several that of their digests in the order of their names."""
    digests = [hashlib.sha256(files[name]) for name in sorted(files)]
    if len(digests) == 1:
        return digests[0].hexdigest()
    return hashlib.sha256(b"".join(each.digest() for each in digests)).hexdigest()
