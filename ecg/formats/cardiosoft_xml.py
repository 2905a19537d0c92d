"""GE CardioSoft XML, as UK Biobank stores resting ECGs: a strip of twelve leads and their median beats."""

from __future__ import annotations

import math
from typing import Final
from xml.etree.ElementTree import Element

import numpy as np

from ecg.errors import Malformed, UnknownFormat
from ecg.guards import parse_xml, require_samples, xml_head
from ecg.recording import Recording, Samples, Sex, Unit, Waveform, stacked

NAME: Final = "cardiosoft_xml"
TITLE: Final = "GE CardioSoft XML (CardiologyXML)"

_UNITS: Final = {"uvperlsb": Unit.MICROVOLT, "nvperlsb": Unit.NANOVOLT, "mvperlsb": Unit.MILLIVOLT}
_SEXES: Final[dict[str, Sex]] = {"MALE": "male", "FEMALE": "female"}
_COUNT_LIMIT: Final = 2**31


def sniff(head: bytes, filename: str) -> bool:
    return "<CardiologyXML" in xml_head(head)


def parse(data: bytes) -> Recording:
    root = parse_xml(data)
    if root.tag != "CardiologyXML":
        raise Malformed("the root element is not CardiologyXML", where="the root element")
    strip = root.find("StripData")
    median = root.find("RestingECGMeasurements/MedianSamples")
    if strip is None and median is None:
        kind = _text(root, "ObservationType") or "unknown"
        raise UnknownFormat(f"CardioSoft XML of type {kind[:32]} without a resting strip or median beats")
    return Recording(
        format=NAME,
        rhythm=_waveform(strip) if strip is not None else None,
        median_beat=_waveform(median) if median is not None else None,
        age_years=_age_years(root),
        sex=_SEXES.get(_text(root, "PatientInfo/Gender").upper()),
        device=" ".join(_text(root, f"ClinicalInfo/DeviceInfo/{part}") for part in ("Desc", "SoftwareVer")).strip()
        or None,
        paced={"yes": True, "no": False}.get(_text(root, "PatientInfo/PaceMaker").lower()),
    )


def _waveform(element: Element) -> Waveform:
    leads = [(each.get("lead", ""), _counts(each, element.tag)) for each in element.findall("WaveformData")]
    if not leads:
        raise Malformed("no WaveformData", where=element.tag)
    resolution = element.find("Resolution")
    per_bit, unit = _resolution(resolution, element.tag)
    samples = stacked([counts for _, counts in leads]) * np.float32(per_bit)
    first, last = _valid(element, samples.shape[1])
    return Waveform(
        tuple(name for name, _ in leads), samples[:, first : last + 1], _number(element, "SampleRate"), unit
    )


def _resolution(element: Element | None, where: str) -> tuple[float, Unit]:
    """Size of one count and its unit; without either the samples are bare counts."""
    if element is None or not (element.text or "").strip():
        return 1.0, Unit.UNKNOWN
    unit = _UNITS.get(element.get("units", "").replace("/", "per").lower(), Unit.UNKNOWN)
    return _finite(element.text or "", f"{where}/Resolution"), unit


def _counts(element: Element, where: str) -> Samples:
    """Integers between commas and any white space."""
    text = (element.text or "").strip().strip(",")
    try:
        counts = np.array(text.split(","), dtype=np.float64)
    except ValueError as error:
        raise Malformed("WaveformData holds something other than numbers", where=where) from error
    require_samples(1, counts.size, where)
    if not (np.abs(counts) < _COUNT_LIMIT).all():
        raise Malformed("a sample out of range", where=where)
    return counts.astype(np.float32)


def _valid(element: Element, n: int) -> tuple[int, int]:
    """First and last sample that the device calls valid; the whole waveform where it says nothing sensible."""
    first, last = (_text(element, name) for name in ("FirstValid", "LastValid"))
    if first.isdigit() and last.isdigit() and 0 <= int(first) < int(last) < n:
        return int(first), int(last)
    return 0, n - 1


def _age_years(root: Element) -> float | None:
    age = root.find("PatientInfo/Age")
    if age is None or not (age.text or "").strip().isdigit() or age.get("units", "YEARS").upper() != "YEARS":
        return None
    return float(age.text or "")


def _number(element: Element, path: str) -> float:
    return _finite(_text(element, path), f"{element.tag}/{path}")


def _finite(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise Malformed("missing or no number", where=where) from error
    if not math.isfinite(number) or not 0 < number < 1e12:
        raise Malformed("out of range", where=where)
    return number


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()
