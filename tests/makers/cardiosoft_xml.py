"""CardioSoft XML: a strip and median beats of twelve leads, five microvolts a count, numbers between commas and tabs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecg.leads import LEADS

FILENAME = "1_20205_2_0.xml"
STEP_MV = 0.005


def make(samples_mv: NDArray[np.float64], rate_hz: float, *, strip: bool = True, family_name: str = "") -> bytes:
    lines = [
        '<?xml version="1.0" encoding="ISO-8859-1" ?>',
        "<CardiologyXML><ObservationType>RestECG</ObservationType>",
        "<ClinicalInfo><DeviceInfo><Desc>CardioSoft</Desc><SoftwareVer>V6.73</SoftwareVer></DeviceInfo></ClinicalInfo>",
        f"<PatientInfo><PID>4711</PID><Name><FamilyName>{family_name}</FamilyName></Name>",
        '<Age units="YEARS">61</Age><Gender>FEMALE</Gender><PaceMaker>no</PaceMaker></PatientInfo>',
        f"<RestingECGMeasurements>{waveform('MedianSamples', samples_mv[:, :600], rate_hz)}</RestingECGMeasurements>",
        waveform("StripData", samples_mv, rate_hz) if strip else "",
        "</CardiologyXML>",
    ]
    return "\n".join(lines).encode("latin-1")


def waveform(tag: str, samples_mv: NDArray[np.float64], rate_hz: float) -> str:
    counts = np.round(samples_mv / STEP_MV).astype(int)
    leads = "".join(
        f'<WaveformData lead="{name}">\t' + ",\n\t".join(map(str, row.tolist())) + "</WaveformData>"
        for name, row in zip(LEADS, counts, strict=True)
    )
    return (
        f'<{tag}><NumberOfLeads>12</NumberOfLeads><SampleRate units="Hz">{rate_hz:g}</SampleRate>'
        f'<ChannelSampleCountTotal>{counts.shape[1]}</ChannelSampleCountTotal><Resolution units="uVperLsb">5</Resolution>'
        f"{leads}</{tag}>"
    )
