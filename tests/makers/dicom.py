"""DICOM 12-lead ECG objects written by pydicom, which the reader does not use."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from ecg.leads import LEADS

FILENAME = "record.dcm"
STEP_MV = 0.00122

SCP_CODES = dict(zip(LEADS, ("1", "2", "61", "62", "63", "64", "3", "4", "5", "6", "7", "8"), strict=True))
TWELVE_LEAD_ECG = "1.2.840.10008.5.1.4.1.1.9.1.1"


def make(samples_mv: NDArray[np.float64], rate_hz: float) -> bytes:
    counts = np.round(samples_mv / STEP_MV).astype("<i2")
    beat = counts[:, : max(counts.shape[1] // 8, 1)]
    groups = [group(beat, rate_hz, label="MEDIAN BEAT", originality="DERIVED"), group(counts, rate_hz, label="RHYTHM")]
    return build(groups)


def build(groups: Sequence[Dataset], syntax: str = ExplicitVRLittleEndian) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = TWELVE_LEAD_ECG
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["one"])
    meta.TransferSyntaxUID = syntax
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID = TWELVE_LEAD_ECG
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Doe^Jane", "SECRET-ID", "19500102"
    dataset.PatientAge, dataset.PatientSex = "054Y", "F"
    dataset.AcquisitionDateTime = "20040506070809.000000"
    dataset.Manufacturer, dataset.ManufacturerModelName = "Maker", "ECG-9"
    dataset.WaveformSequence = list(groups)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def group(
    counts: NDArray[np.integer],
    rate_hz: float,
    *,
    label: str = "",
    originality: str = "ORIGINAL",
    names: Sequence[str] = LEADS,
    scheme: str = "SCPECG",
    sensitivity: float | None = STEP_MV * 1000,
    unit: str | None = "uV",
    correction: float = 1.0,
    baseline: float = 0.0,
    interpretation: str = "SS",
) -> Dataset:
    made = Dataset()
    made.WaveformOriginality = originality
    made.NumberOfWaveformChannels, made.NumberOfWaveformSamples = counts.shape
    made.SamplingFrequency = f"{rate_hz:g}"
    if label:
        made.MultiplexGroupLabel = label
    made.ChannelDefinitionSequence = [
        channel(name, scheme, sensitivity, unit, correction, baseline, counts.dtype.itemsize * 8) for name in names
    ]
    made.WaveformBitsAllocated = counts.dtype.itemsize * 8
    made.WaveformSampleInterpretation = interpretation
    data = counts.T.tobytes()
    made.add_new("WaveformData", "OB" if counts.dtype.itemsize == 1 else "OW", data + b"\0" * (len(data) % 2))
    return made


def channel(
    name: str, scheme: str, sensitivity: float | None, unit: str | None, correction: float, baseline: float, bits: int
) -> Dataset:
    made = Dataset()
    value = {"SCPECG": f"5.6.3-9-{SCP_CODES.get(name, '0')}", "MDC": f"2:{SCP_CODES.get(name, '0')}"}.get(scheme, "X")
    made.ChannelSourceSequence = [code(value, scheme, f"Lead {name} (Einthoven)" if scheme == "text" else "a lead")]
    if sensitivity is not None:
        made.ChannelSensitivity = f"{sensitivity:.10g}"
        made.ChannelSensitivityCorrectionFactor = f"{correction:g}"
        made.ChannelBaseline = f"{baseline:g}"
    if unit is not None:
        made.ChannelSensitivityUnitsSequence = [code(unit, "UCUM", "unit")]
    made.ChannelSampleSkew = "0"
    made.WaveformBitsStored = bits
    return made


def code(value: str, scheme: str, meaning: str) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, scheme, meaning
    return made
