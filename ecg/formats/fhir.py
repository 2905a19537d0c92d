"""FHIR Observations whose components hold SampledData, alone or in a Bundle (JSON, R4 and R5)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from ecg.errors import Malformed, RateUnsupported, TooLarge
from ecg.guards import require_samples, require_size
from ecg.leads import canonical_name
from ecg.recording import MV_PER, Recording, Samples, Unit, Waveform, stacked

NAME: Final = "fhir"
TITLE: Final = "FHIR Observation with SampledData (JSON)"

MAX_JSON_BYTES: Final = 6 * 2**20
MAX_LEAD_SAMPLES: Final = 500_000
_MAX_COMPONENTS: Final = 256
_LARGEST: Final = 1e12
_UNITS: Final = {"uv": Unit.MICROVOLT, "mv": Unit.MILLIVOLT, "v": Unit.VOLT, "nv": Unit.NANOVOLT}
_SECONDS_PER: Final = {"ms": 1e-3, "s": 1.0, "us": 1e-6}
_LEAD_NUMBERS: Final = {
    1: "I", 2: "II", 3: "V1", 4: "V2", 5: "V3", 6: "V4", 7: "V5", 8: "V6", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF",
}  # fmt: skip
_MDC_LEAD_BASE: Final = 131_328  # MDC codes of ECG leads are this plus the lead's number
_DATA_CHARACTERS: Final = b"0123456789+-.eEUL \t\r\n"
_NO_NUMBER: Final = re.compile(r"(?<!\S)[EUL](?!\S)")
_RESOURCE: Final = re.compile(rb'"resourceType"\s*:\s*"(?:Observation|Bundle)"')

Json = Mapping[str, Any]


def sniff(head: bytes, filename: str) -> bool:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    return text.startswith(b"{") and (_RESOURCE.search(head) is not None or b'"valueSampledData"' in head)


def parse(data: bytes) -> Recording:
    require_size(data, MAX_JSON_BYTES)
    try:
        document = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise Malformed("not well-formed JSON", where=f"character {error.pos}") from None
    observations = [each for each in _observations(document) if _sampled(each)]
    if len(observations) != 1:
        raise Malformed(f"{len(observations)} observations with sampled data, one expected", where="the resource")
    components = _sampled(observations[0])
    if len(components) > _MAX_COMPONENTS:
        raise TooLarge(f"{len(components)} components; at most {_MAX_COMPONENTS} are read")
    return Recording(format=NAME, rhythm=_waveform(components), recorded_at=_recorded(observations[0]))


def _observations(document: Any) -> Iterator[Json]:
    entries = [document]
    if isinstance(document, dict) and document.get("resourceType") == "Bundle":
        entries = [entry.get("resource") for entry in _list(document.get("entry")) if isinstance(entry, dict)]
    for resource in entries:
        if isinstance(resource, dict) and resource.get("resourceType") == "Observation":
            yield resource


def _sampled(observation: Json) -> list[Json]:
    """Everything in the observation that carries sampled data: its components, or itself."""
    parts = [observation, *_list(observation.get("component"))]
    return [part for part in parts if isinstance(part, dict) and isinstance(part.get("valueSampledData"), dict)]


def _waveform(components: list[Json]) -> Waveform:
    names = [_lead_name(component, number) for number, component in enumerate(components, 1)]
    kept = [row for row, name in enumerate(names) if canonical_name(name)] or list(range(len(names)))
    sampled = [components[row]["valueSampledData"] for row in kept]
    rates = {round(_rate_hz(each), 6) for each in sampled}
    if len(rates) > 1:
        raise RateUnsupported("the leads of this observation have different sampling rates")
    units = [_unit(each) for each in sampled]
    unit = units[0]
    scale = [1.0] * len(units)
    if len(set(units)) > 1:
        unit = Unit.UNKNOWN if Unit.UNKNOWN in units else Unit.MILLIVOLT
        scale = [MV_PER[each] if unit is Unit.MILLIVOLT else 1.0 for each in units]
    leads: list[Samples] = []
    for lead, to_common in zip(sampled, scale, strict=True):
        leads.append(_samples(lead, to_common))
        require_samples(len(sampled), leads[0].size, "the sampled data")
    return Waveform(tuple(names[row] for row in kept), stacked(leads), rates.pop(), unit)


def _lead_name(component: Json, number: int) -> str:
    code = component.get("code")
    code = code if isinstance(code, dict) else {}
    for coding in _list(code.get("coding")):
        if isinstance(coding, dict):
            lead = _LEAD_NUMBERS.get(_integer(coding.get("code")) - _MDC_LEAD_BASE)
            display = str(coding.get("display", ""))
            if lead or canonical_name(display) or canonical_name(str(coding.get("code", ""))):
                return lead or (display if canonical_name(display) else str(coding["code"]))
    text = str(code.get("text", ""))
    return text if canonical_name(text) else f"component {number}"


def _rate_hz(sampled: Json) -> float:
    """R4: `period` in milliseconds. R5: `interval` in `intervalUnit`."""
    if sampled.get("dimensions", 1) != 1:
        raise Malformed("sampled data of several dimensions", where="dimensions")
    interval = sampled.get("period", sampled.get("interval"))
    unit = "ms" if "period" in sampled else sampled.get("intervalUnit")
    seconds = _number(interval, "the sampling interval") * _SECONDS_PER.get(str(unit), 0.0) if interval else 0.0
    if not 0 < seconds < 1e6:
        raise RateUnsupported("the sampled data state no sampling interval in units of time")
    return 1 / seconds


def _unit(sampled: Json) -> Unit:
    origin = sampled.get("origin")
    origin = origin if isinstance(origin, dict) else {}
    stated = str(origin.get("code") or origin.get("unit") or "").replace("µ", "u").replace("μ", "u")
    return _UNITS.get(stated.lower(), Unit.UNKNOWN)


def _samples(sampled: Json, scale: float) -> Samples:
    """Data x factor + origin; NaN where the data say error, below or above the limits."""
    text = sampled.get("data")
    if not isinstance(text, str) or not text:
        raise Malformed("no data", where="the sampled data")
    origin = sampled.get("origin")
    zero = _number(origin.get("value", 0) if isinstance(origin, dict) else 0, "the origin")
    factor = _number(sampled.get("factor", 1), "the factor")
    if factor == 0:
        raise Malformed("a factor of zero", where="the sampled data")
    values = _decimals(text)
    if (np.abs(values) > _LARGEST).any():
        raise Malformed("a value too large to be a voltage", where="the sampled data")
    samples: Samples = ((values * factor + zero) * scale).astype(np.float32)
    return samples


def _decimals(text: str) -> NDArray[np.float64]:
    """The numbers of a data string, read by the JSON parser as one array: it is strict and fast."""
    if text.encode("utf-8", errors="replace").translate(None, _DATA_CHARACTERS):
        raise Malformed("data that are no decimals", where="the sampled data")
    if sum(map(text.count, " \t\r\n")) >= MAX_LEAD_SAMPLES:
        raise TooLarge(f"more than {MAX_LEAD_SAMPLES} samples of one lead")
    if any(mark in text for mark in "EUL"):
        text = _NO_NUMBER.sub("null", text)
    if "  " in text or not text.isprintable() or text != text.strip():
        text = " ".join(text.split())
    try:
        return np.array(orjson.loads(f"[{text.replace(' ', ',')}]"), np.float64)
    except (ValueError, OverflowError):
        raise Malformed("data that are no decimals", where="the sampled data") from None


def _recorded(observation: Json) -> datetime | None:
    period = observation.get("effectivePeriod")
    start = period.get("start") if isinstance(period, dict) else None
    text = observation.get("effectiveDateTime") or observation.get("effectiveInstant") or start
    try:
        moment = datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment and moment.tzinfo else moment


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _integer(value: Any) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


def _number(value: Any, what: str) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or abs(value) > _LARGEST
    ):
        raise Malformed(f"{what} is no finite number", where="the sampled data")
    return float(value)
