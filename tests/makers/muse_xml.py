"""GE MUSE XML as carts export it: eight leads, a DOCTYPE, CRC-32 sums, 4.88 microvolts a count."""

from __future__ import annotations

import base64
import zlib

import numpy as np
from numpy.typing import NDArray

from ecg.leads import INDEPENDENT, LEADS

FILENAME = "record.xml"
STEP_MV = 0.00488


def make(
    samples_mv: NDArray[np.float64],
    rate_hz: float,
    *,
    leads: tuple[str, ...] = INDEPENDENT,
    kinds: tuple[str, ...] = ("Median", "Rhythm"),
    exponent: int = 0,
    encoding: str = "ISO-8859-1",
    family_name: str = "",
) -> bytes:
    lines = [
        f'<?xml version="1.0" encoding="{encoding}"?>',
        '<!DOCTYPE RestingECG SYSTEM "restecg.dtd">',
        "<RestingECG>",
        f"<PatientDemographics><PatientID>4711</PatientID><PatientLastName>{family_name}</PatientLastName>",
        "<PatientAge>61</PatientAge><AgeUnits>YEARS</AgeUnits><Gender>FEMALE</Gender></PatientDemographics>",
        *(
            waveform(kind, samples_mv if kind == "Rhythm" else samples_mv[:, :600], rate_hz, leads, exponent)
            for kind in kinds
        ),
        "</RestingECG>",
    ]
    return "\n".join(lines).encode(encoding)


def waveform(
    kind: str, samples_mv: NDArray[np.float64], rate_hz: float, leads: tuple[str, ...], exponent: int = 0
) -> str:
    data = "\n".join(lead(name, samples_mv[LEADS.index(name)]) for name in leads)
    return (
        f"<Waveform><WaveformType>{kind}</WaveformType><NumberofLeads>{len(leads)}</NumberofLeads>"
        f"<SampleBase>{rate_hz / 10**exponent:g}</SampleBase><SampleExponent>{exponent}</SampleExponent>{data}</Waveform>"
    )


def lead(name: str, samples_mv: NDArray[np.float64]) -> str:
    packed = np.round(samples_mv / STEP_MV).astype("<i2").tobytes()
    text = base64.encodebytes(packed).decode()
    return (
        f"<LeadData><LeadSampleCountTotal>{len(packed) // 2}</LeadSampleCountTotal>"
        "<LeadAmplitudeUnitsPerBit>4.88</LeadAmplitudeUnitsPerBit><LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits>"
        f"<LeadID>{name}</LeadID><LeadSampleSize>2</LeadSampleSize><LeadDataCRC32>{zlib.crc32(packed)}</LeadDataCRC32>"
        f"<WaveFormData>\n{text}</WaveFormData></LeadData>"
    )
