"""Philips Sierra XML 1.03 and 1.04: base64 samples, mostly compressed, of twelve leads or more."""

from __future__ import annotations

import base64
import binascii
import math
from typing import Final
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from ecg.errors import Malformed, UnknownFormat
from ecg.formats._xli import decompress
from ecg.guards import parse_xml, require_samples, xml_head
from ecg.recording import Recording, Samples, Sex, Unit, Waveform

NAME: Final = "philips_sierra"
TITLE: Final = "Philips Sierra XML 1.03, 1.04"

_VERSIONS: Final = ("1.03", "1.04")
_STANDARD: Final = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
_SEXES: Final[dict[str, Sex]] = {"MALE": "male", "FEMALE": "female"}
_FILLED: Final = 32767
_PACED: Final = {"PACED": True, "NOT PACED": False}


def sniff(head: bytes, filename: str) -> bool:
    return "<restingecgdata" in xml_head(head)


def parse(data: bytes) -> Recording:
    root = parse_xml(data)
    _strip_namespaces(root)
    if root.tag != "restingecgdata":
        raise Malformed("the root element is not restingecgdata", where="the root element")
    version = _text(root, "documentinfo/documentversion")
    if not version.startswith(_VERSIONS):
        raise UnknownFormat(f"Philips XML of version {version[:16] or 'unknown'}; {', '.join(_VERSIONS)} are read")
    return Recording(
        format=NAME,
        rhythm=_rhythm(root),
        median_beat=_median_beat(root),
        age_years=_age_years(root),
        sex=_SEXES.get(_text(root, "patient/generalpatientdata/sex").upper()),
        device=_text(root, "dataacquisition/machine") or None,
        paced=_PACED.get(_text(root, "patient/generalpatientdata/pacestatus").upper()),
    )


def _rhythm(root: Element) -> Waveform | None:
    element = root.find(".//parsedwaveforms")
    if element is None:
        return None
    facts = root.find("dataacquisition/signalcharacteristics")
    if facts is None:
        raise Malformed("signalcharacteristics are missing", where="dataacquisition")
    rate_hz = _number(_text(facts, "samplingrate"), "samplingrate")
    names = _names(element, facts)
    samples = round(_number(element.get("durationperchannel", ""), "durationperchannel") / 1000 * rate_hz)
    require_samples(len(names), samples, "parsedwaveforms")
    counts = _counts(element, names, samples)
    per_bit = _text(facts, "resolution") or _text(facts, "signalresolution")
    # The format knows no other unit for the size of a count.
    waveform = counts * np.float32(_number(per_bit, "resolution"))
    return Waveform(names, waveform, rate_hz, Unit.MICROVOLT)


def _names(element: Element, facts: Element) -> tuple[str, ...]:
    labels = element.get("leadlabels", "").split()
    allocated = element.get("numberofleads") or _text(facts, "numberchannelsallocated") or str(len(labels))
    count = int(_number(allocated, "numberofleads"))
    if labels:
        return tuple(labels[:count])
    if not 0 < count <= 32:
        raise Malformed(f"{count} channels", where="numberchannelsallocated")
    return (*_STANDARD, *(f"channel {number}" for number in range(13, count + 1)))[:count]


def _counts(element: Element, names: tuple[str, ...], samples: int) -> Samples:
    packed = _bytes(element, "parsedwaveforms")
    method = (element.get("compressmethod") or element.get("compression") or "Uncompressed").lower()
    if element.get("compressflag", "").lower() == "false" or method in ("uncompressed", "none"):
        needed = 2 * len(names) * samples
        if len(packed) < needed:
            raise Malformed(f"{len(packed)} bytes for {len(names)} leads of {samples} samples", where="parsedwaveforms")
        return np.frombuffer(packed[:needed], dtype="<i2").reshape(len(names), samples).astype(np.float32)
    if method != "xli":
        raise UnknownFormat(f"Philips XML compressed by {method[:16]}; XLI is read")
    counts = decompress(packed, len(names), samples)
    if names[:6] == _STANDARD[:6]:
        _restore_limb_leads(counts)
    return counts.astype(np.float32)


def _restore_limb_leads(counts: NDArray[np.int64]) -> None:
    """Compression keeps of III and the augmented leads only how far they lie from what I and II say."""
    i, ii = counts[0], counts[1]
    counts[2] = ii - i - counts[2]
    counts[3] = -counts[3] - ((i + ii) >> 1)
    counts[4] = ((i - counts[2]) >> 1) - counts[4]
    counts[5] = ((ii + counts[2]) >> 1) - counts[5]


def _median_beat(root: Element) -> Waveform | None:
    """The representative beats, where the file states their rate and the size of a count (1.03 does not)."""
    element = root.find(".//repbeats")
    if element is None or not element.get("samplespersec") or not element.get("resolution"):
        return None
    beats = [(each.get("leadname", ""), _beat(each)) for each in element.findall("repbeat")]
    if not beats or len({counts.size for _, counts in beats}) != 1:
        return None
    per_bit = _number(element.get("resolution", ""), "repbeats/resolution")
    rate_hz = _number(element.get("samplespersec", ""), "repbeats/samplespersec")
    samples = np.stack([counts for _, counts in beats]) * np.float32(per_bit)
    return Waveform(tuple(name for name, _ in beats), samples, rate_hz, Unit.MICROVOLT)


def _beat(element: Element) -> Samples:
    waveform = element.find("waveform")
    packed = _bytes(waveform if waveform is not None else element, "repbeat")
    counts = np.frombuffer(packed[: len(packed) // 2 * 2], dtype="<i2").astype(np.float32)
    # Beats are filled up to one length with the largest number.
    counts[counts == _FILLED] = np.nan
    return counts


def _bytes(element: Element, where: str) -> bytes:
    if element.get("dataencoding", "Base64").lower() != "base64":
        raise UnknownFormat("Philips XML whose samples are not base64")
    try:
        return base64.b64decode(element.text or "")
    except (binascii.Error, ValueError) as error:
        raise Malformed("undecodable base64", where=where) from error


def _age_years(root: Element) -> float | None:
    years = _text(root, "patient/generalpatientdata/age/years")
    return float(years) if years.isdigit() else None


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise Malformed("missing or no number", where=where) from error
    if not math.isfinite(number) or not 0 < number < 1e9:
        raise Malformed("out of range", where=where)
    return number


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _strip_namespaces(root: Element) -> None:
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
