"""Every way the core can fail. Imports nothing; knows no HTTP code; carries no patient data.

EcgError                     `code`, `message` fit for a caller, typed `fields`
├─ UploadError               the bytes are at fault
│  ├─ TooLarge               over a ceiling
│  ├─ UnknownFormat          no reader recognises them
│  ├─ Malformed              recognised, but broken; says where
│  └─ Unsafe                 a bomb, an entity, a path trick
├─ RecordingError            a readable file that this service may not judge
│  ├─ LeadsMissing           a lead is neither there nor derivable
│  ├─ LeadsInconsistent      the limb leads contradict each other
│  ├─ UnitsUnknown           amplitude cannot be told, or only makes sense in another unit
│  ├─ RateUnsupported        sampling rate unknown or out of range
│  ├─ TooShort               less signal than the model needs
│  ├─ QualityRejected        the quality gate said no; carries the report
│  └─ OutsidePopulation      the file itself says that the model must not judge this person
└─ ModelError                the artefact is at fault
   ├─ ContractInvalid        the contract is absent, incomplete or has unknown fields
   ├─ ContractMismatch       the graph does not do what the contract says
   ├─ ProbeMismatch          the known ECG no longer gives its known answer
   ├─ ModelUnknown           no model of that name is loaded
   └─ InferenceFailed        the runtime failed on a prepared tensor
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from ecg.quality import QualityReport


class EcgError(Exception):
    """The root: whatever the core refuses, it refuses with one of these."""

    code: ClassVar[str] = "ecg_error"

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields


class UploadError(EcgError):
    code = "upload_error"


class TooLarge(UploadError):
    code = "too_large"


class UnknownFormat(UploadError):
    code = "unknown_format"


class Malformed(UploadError):
    """`where` names the place in the file: a line, an element, a byte offset."""

    code = "malformed"

    def __init__(self, message: str, *, where: str, **fields: Any) -> None:
        super().__init__(f"{message} (at {where})", where=where, **fields)


class Unsafe(UploadError):
    code = "unsafe"


class RecordingError(EcgError):
    code = "recording_error"


class LeadsMissing(RecordingError):
    code = "leads_missing"


class LeadsInconsistent(RecordingError):
    code = "leads_inconsistent"


class UnitsUnknown(RecordingError):
    code = "units_unknown"


class RateUnsupported(RecordingError):
    code = "rate_unsupported"


class TooShort(RecordingError):
    code = "too_short"


class QualityRejected(RecordingError):
    code = "quality_rejected"

    def __init__(self, message: str, *, report: QualityReport) -> None:
        super().__init__(message)
        self.report = report


class OutsidePopulation(RecordingError):
    code = "outside_population"


class ModelError(EcgError):
    code = "model_error"


class ContractInvalid(ModelError):
    code = "contract_invalid"


class ContractMismatch(ModelError):
    code = "contract_mismatch"


class ProbeMismatch(ModelError):
    code = "probe_mismatch"


class ModelUnknown(ModelError):
    code = "model_unknown"


class InferenceFailed(ModelError):
    code = "inference_failed"
