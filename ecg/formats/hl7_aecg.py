"""HL7 Annotated ECG (FDA): series of sequences, each a list of digits with origin and scale, by MDC lead codes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element

import numpy as np

from ecg.errors import Malformed, RateUnsupported
from ecg.guards import parse_xml, require_samples, xml_head
from ecg.leads import canonical_name
from ecg.recording import MV_PER, Recording, Samples, Sex, Unit, Waveform, stacked

NAME: Final = "hl7_aecg"
TITLE: Final = "HL7 Annotated ECG XML"

_UNITS: Final = {"nv": Unit.NANOVOLT, "uv": Unit.MICROVOLT, "µv": Unit.MICROVOLT, "mv": Unit.MILLIVOLT, "v": Unit.VOLT}
_SECONDS_PER: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_SEXES: Final[dict[str, Sex]] = {"M": "male", "F": "female", "MALE": "male", "FEMALE": "female"}
# The largest 16-bit number fills what was not recorded.
_FILLED: Final = 32767


def sniff(head: bytes, filename: str) -> bool:
    text = xml_head(head)
    return "AnnotatedECG" in text or ("urn:hl7-org:v3" in text and "PORT_MT020001" in text)


def parse(data: bytes) -> Recording:
    root = parse_xml(data)
    if _local(root) != "AnnotatedECG":
        raise Malformed("the root element is not AnnotatedECG", where="the root element")
    rhythms = [each for series in _below(root, "series") for each in _waveforms(series, derived=False)]
    beats = [each for series in _below(root, "derivedSeries") for each in _waveforms(series, derived=True)]
    return Recording(
        format=NAME,
        rhythm=_best(rhythms),
        median_beat=_best(beats),
        sex=next((_SEXES.get(each.get("code", "").upper()) for each in _below(root, "administrativeGenderCode")), None),
        device=next(((each.text or "").strip() or None for each in _below(root, "manufacturerModelName")), None),
    )


def _best(waveforms: list[Waveform]) -> Waveform | None:
    """The one with most of the twelve leads, and of those the longest."""
    if not waveforms:
        return None
    return max(waveforms, key=lambda each: (len({canonical_name(lead) for lead in each.leads}), each.duration_s))


def _waveforms(series: Element, *, derived: bool) -> Iterator[Waveform]:
    for sequences in _below(series, "sequenceSet", stop="derivedSeries" if not derived else ""):
        waveform = _waveform(sequences)
        if waveform is not None:
            yield waveform


def _waveform(sequence_set: Element) -> Waveform | None:
    rate_hz: float | None = None
    names: list[str] = []
    leads: list[Samples] = []
    for sequence in _below(sequence_set, "sequence"):
        code, value = _child(sequence, "code"), _child(sequence, "value")
        if code is None or value is None:
            continue
        name = code.get("code", "")
        if name.startswith("TIME_"):
            rate_hz = _rate_hz(value)
        elif _child(value, "digits") is not None:
            names.append(name)
            leads.append(_samples_mv(value, name))
    if not leads:
        return None
    if rate_hz is None:
        raise RateUnsupported("the file does not say how its samples are spaced in time")
    return Waveform(tuple(names), stacked(leads), rate_hz, _common_unit(sequence_set))


def _common_unit(sequence_set: Element) -> Unit:
    """Samples are brought to millivolts one lead at a time, unless a lead's unit is unknown: then so is the whole."""
    scales = list(_below(sequence_set, "scale"))
    known = all(each.get("unit", "").lower() in _UNITS for each in scales)
    return Unit.MILLIVOLT if scales and known else Unit.UNKNOWN


def _samples_mv(value: Element, name: str) -> Samples:
    """origin + scale * digit, each with a unit of its own."""
    where = f"sequence {name[:32]}"
    text = (_child_text(value, "digits") or "").split()
    require_samples(1, len(text), where)
    try:
        digits = np.array(text, dtype=np.float64)
    except ValueError as error:
        raise Malformed("digits hold something other than numbers", where=where) from error
    digits[digits == _FILLED] = np.nan
    samples = _quantity_mv(value, "scale", where) * digits + _quantity_mv(value, "origin", where, default=0.0)
    if not (np.abs(np.nan_to_num(samples)) < 1e9).all():
        raise Malformed("a sample out of range", where=where)
    return samples.astype(np.float32)


def _quantity_mv(value: Element, tag: str, where: str, default: float | None = None) -> float:
    element = _child(value, tag)
    if element is None:
        if default is None:
            raise Malformed(f"{tag} is missing", where=where)
        return default
    unit = _UNITS.get(element.get("unit", "").lower())
    return _finite(element.get("value", ""), where) * (MV_PER[unit] if unit else 1.0)


def _rate_hz(value: Element) -> float:
    increment = _child(value, "increment")
    unit = increment.get("unit", "s").lower() if increment is not None else ""
    if increment is None or unit not in _SECONDS_PER:
        raise RateUnsupported("the time increment is missing or in an unknown unit")
    step_s = _finite(increment.get("value", ""), "the time increment") * _SECONDS_PER[unit]
    if step_s <= 0:
        raise RateUnsupported("the time increment is not positive")
    # A written step of 0.002 s is 500 Hz and not 500.0000001.
    return round(1 / step_s, 6)


def _finite(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise Malformed("missing or no number", where=where) from error
    if not math.isfinite(number) or abs(number) > 1e12:
        raise Malformed("out of range", where=where)
    return number


def _below(element: Element, tag: str, stop: str = "") -> Iterator[Element]:
    """All descendants of that name, whatever their namespace, without looking below elements named `stop`."""
    pending = list(element)[::-1]
    while pending:
        each = pending.pop()
        name = _local(each)
        if name == tag:
            yield each
        elif not stop or name != stop:
            pending.extend(list(each)[::-1])


def _child(element: Element, tag: str) -> Element | None:
    return next((each for each in element if _local(each) == tag), None)


def _child_text(element: Element, tag: str) -> str | None:
    child = _child(element, tag)
    return None if child is None else child.text


def _local(element: Element) -> str:
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""
