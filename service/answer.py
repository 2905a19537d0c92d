"""One judged recording and everything that an answer tells about it beside the judgement."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from ecg.assess import Assessment, Stopwatch, assess
from ecg.formats import read, read_files
from ecg.recording import Recording
from service.audit.entry import now
from service.ids import new_id
from service.refusals import ClientClosed
from service.registry import Model
from service.thread import Abandoned
from service.uploads import Options, Upload

# Asked for when it is needed: just begun, a job finds those who brought it still on their way to sleep.
Spare = Callable[[], Executor | None]


@dataclass(frozen=True, slots=True)
class Answered:
    id: str
    created: str
    model: Model
    sha256: str
    options: Options
    assessment: Assessment
    stopwatch: Stopwatch

    @property
    def facts(self) -> dict[str, Any]:
        """What of it goes into the audit row."""
        risk = self.assessment.risk
        return {
            "answer_id": self.id,
            "recording_format": self.assessment.recording_format,
            "score": risk.score,
            "log_hazard": risk.log_hazard,
            "band": risk.band.value,
        }


@dataclass(slots=True)
class Watch(Stopwatch):
    """Times the stages, and stops between two of them when nobody waits for the answer any more."""

    abandoned: Abandoned = field(kw_only=True)

    def require_wanted(self, name: str) -> None:
        if self.abandoned():
            raise ClientClosed(f"given up before the stage {name}")


def judge(
    upload: Upload, sha256: str, options: Options, model: Model, abandoned: Abandoned, spare: Spare = lambda: None
) -> Answered:
    """Runs in the worker thread."""
    watch = Watch(abandoned=abandoned)
    with watch.stage("read"):
        recording = recording_of(upload)
    assessment = assess(
        recording, model.predictor, explain=options.explain, kind=options.map, stopwatch=watch, aside=spare()
    )
    # Without `abandoned`, which holds the job that will hold this: a circle stays until the collector comes by.
    return Answered(new_id(), now(), model, sha256, options, assessment, Stopwatch(watch.stages))


def recording_of(upload: Upload) -> Recording:
    if len(upload.files) > 1:
        return read_files(upload.files)
    [(name, data)] = upload.files.items()
    return read(data, name)
