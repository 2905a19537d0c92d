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
from ecg.assess import Assessment, Ready, judge, make_ready
from ecg.contract import Contract
from ecg.errors import EcgError, QualityRejected
from ecg.leads import LEADS
from ecg.predictor import Predictor
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
Step = TypeVar("Step")
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

    Some recordings are made ready, then the network judges one after the other, so that it stays in the processor's
    caches. Judged together they would differ from the service's answers in the last digit.
    """
    predictor = predictor_of(job.model, job.sha256)
    for first in range(0, len(chosen), _AT_ONCE):
        begun = [_begun(record, predictor) for record in chosen[first : first + _AT_ONCE]]
        yield from (_ended(row, ready, predictor, job) for row, ready in begun)


def _begun(record: Record, predictor: Predictor) -> tuple[Row, Ready | None]:
    row: Row = {"record": record.name, "code": OK}

    def made_ready() -> Ready:
        files = files_of(record)
        row["input_sha256"] = _digest(files)
        return make_ready(formats.read_files(files), predictor.contract)

    return _guarded(row, made_ready)


def _ended(row: Row, ready: Ready | None, predictor: Predictor, job: Job) -> Row:
    if ready is None:
        return row
    row, assessment = _guarded(row, lambda: judge(ready, predictor, job.explain))
    return row if assessment is None else row | _answer(assessment)


def _guarded(row: Row, step: Callable[[], Step]) -> tuple[Row, Step | None]:
    """What a step gives, or the row that says why there is nothing."""
    try:
        return row, step()
    except EcgError as refusal:
        quality = refusal.report if isinstance(refusal, QualityRejected) else None
        return row | {"code": refusal.code, "detail": refusal.message} | _quality(quality), None
    except OSError as error:
        return row | {"code": UNREADABLE, "detail": type(error).__name__}, None
    except Exception as error:  # a defect costs one row, is logged by its type, and fails the run at its end
        _log.error("row_failed", record=row["record"], error=type(error).__name__)
        return row | {"code": DEFECT, "detail": type(error).__name__}, None


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
