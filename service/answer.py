"""One judged recording and everything that an answer tells about it beside the judgement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ecg.assess import Assessment, assess
from ecg.formats import read, read_files
from ecg.recording import Recording
from service.audit.entry import now
from service.ids import new_id
from service.registry import Model
from service.uploads import Options, Upload


@dataclass(frozen=True, slots=True)
class Answered:
    id: str
    created: str
    model: Model
    sha256: str
    options: Options
    assessment: Assessment

    @property
    def facts(self) -> dict[str, Any]:
        """What of it goes into the audit row."""
        risk = self.assessment.risk
        return {
            "answer_id": self.id,
            "recording_format": self.assessment.format,
            "score": risk.score,
            "log_hazard": risk.log_hazard,
            "band": risk.band.value,
        }


def judge(upload: Upload, sha256: str, options: Options, model: Model) -> Answered:
    """Runs in the worker thread."""
    recording = recording_of(upload)
    assessment = assess(recording, model.predictor, explain=options.explain)
    return Answered(new_id(), now(), model, sha256, options, assessment)


def recording_of(upload: Upload) -> Recording:
    if len(upload.files) > 1:
        return read_files(upload.files)
    [(name, data)] = upload.files.items()
    return read(data, name)
