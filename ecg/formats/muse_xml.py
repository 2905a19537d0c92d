"""GE MUSE RestingECG XML: base64 samples by lead, usually eight leads, a rhythm and a median waveform."""

from __future__ import annotations

import base64
import binascii
import math
import re
from typing import Final
from xml.etree.ElementTree import Element

import numpy as np

from ecg.errors import Malformed
from ecg.guards import parse_xml, require_samples, xml_head
from ecg.recording import Recording, Samples, Sex, Unit, Waveform, stacked

NAME: Final = "muse_xml"
TITLE: Final = "GE MUSE XML (RestingECG)"

_ROOT: Final = re.compile(r"<(?:!DOCTYPE )?RestingECG[\s>\[]")
_UNITS: Final = {"MICROVOLTS": Unit.MICROVOLT, "MILLIVOLTS": Unit.MILLIVOLT, "NANOVOLTS": Unit.NANOVOLT}
_SAMPLE_TYPES: Final = {1: "i1", 2: "<i2", 4: "<i4"}
_YEARS_PER: Final = {"YEARS": 1.0, "MONTHS": 1 / 12, "WEEKS": 1 / 52.18, "DAYS": 1 / 365.25, "HOURS": 1 / 8766}
_SEXES: Final[dict[str, Sex]] = {"MALE": "male", "FEMALE": "female"}


def sniff(head: bytes, filename: str) -> bool:
    return _ROOT.search(xml_head(head)) is not None


def parse(data: bytes) -> Recording:
    root = parse_xml(data)
    if root.tag != "RestingECG":
        raise Malformed("the root element is not RestingECG", where="the root element")
    by_type = {_text(each, "WaveformType").lower(): each for each in root.findall("Waveform")}
    rhythm, median = by_type.get("rhythm"), by_type.get("median")
    return Recording(
        format=NAME,
        rhythm=_waveform(rhythm) if rhythm is not None else None,
        median_beat=_waveform(median) if median is not None else None,
        age_years=_age_years(root),
        sex=_SEXES.get(_text(root, "PatientDemographics/Gender").upper()),
        device=_text(root, "TestDemographics/AcquisitionDevice") or None,
    )


def _waveform(element: Element) -> Waveform:
    rate_hz = _number(element, "SampleBase") * 10 ** _number(element, "SampleExponent", "0")
    found = [_lead(each) for each in element.findall("LeadData")]
    if not found:
        raise Malformed("no LeadData", where="Waveform")
    units = {unit for _, _, unit in found}
    if len(units) != 1:
        raise Malformed("leads in different units", where="LeadAmplitudeUnits")
    return Waveform(tuple(name for name, _, _ in found), stacked([mv for _, mv, _ in found]), rate_hz, units.pop())


def _lead(element: Element) -> tuple[str, Samples, Unit]:
    name = _text(element, "LeadID")
    where = f"lead {name[:8]}"
    size = int(_number(element, "LeadSampleSize", "2"))
    if size not in _SAMPLE_TYPES:
        raise Malformed(f"samples of {size} bytes", where=where)
    try:
        packed = base64.b64decode(_text(element, "WaveFormData"))
    except binascii.Error as error:
        raise Malformed("undecodable base64", where=where) from error
    declared = int(_number(element, "LeadSampleCountTotal", str(len(packed) // size)))
    require_samples(1, declared, where)
    if len(packed) != declared * size:
        raise Malformed(f"{len(packed)} bytes for {declared} samples of {size}", where=where)
    _require_checksum(element, packed, where)
    counts = np.frombuffer(packed, dtype=_SAMPLE_TYPES[size])
    return name, counts * np.float32(_number(element, "LeadAmplitudeUnitsPerBit")), _unit(element)


def _require_checksum(element: Element, packed: bytes, where: str) -> None:
    """LeadDataCRC32 is the CRC-32 of the packed samples; a wrong one means that they are not what was recorded."""
    declared = _text(element, "LeadDataCRC32")
    if declared and declared.isdigit() and int(declared) not in (0, binascii.crc32(packed)):
        raise Malformed("the checksum does not fit the samples", where=where)


def _unit(element: Element) -> Unit:
    return _UNITS.get(_text(element, "LeadAmplitudeUnits").upper(), Unit.UNKNOWN)


def _age_years(root: Element) -> float | None:
    age = _text(root, "PatientDemographics/PatientAge")
    unit = _text(root, "PatientDemographics/AgeUnits").upper() or "YEARS"
    return float(age) * _YEARS_PER[unit] if age.isdigit() and unit in _YEARS_PER else None


def _number(element: Element, path: str, default: str | None = None) -> float:
    text = _text(element, path) or default
    if text is None:
        raise Malformed(f"{path} is missing", where=element.tag)
    try:
        number = float(text)
    except ValueError as error:
        raise Malformed(f"{path} is no number", where=element.tag) from error
    if not math.isfinite(number) or abs(number) > 1e12:
        raise Malformed(f"{path} is out of range", where=element.tag)
    return number


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()
