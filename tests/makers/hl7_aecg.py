"""HL7 Annotated ECG: one series with a sequence a lead, and a derived series with the representative beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecg.leads import LEADS

FILENAME = "record.xml"
STEP_MV = 0.0025


def make(
    samples_mv: NDArray[np.float64],
    rate_hz: float,
    *,
    leads: tuple[str, ...] = LEADS,
    unit: str = "uV",
    time_unit: str = "s",
    family_name: str = "",
) -> bytes:
    rhythm = sequence_set(samples_mv, rate_hz, leads, unit, time_unit)
    beat = sequence_set(samples_mv[:, :600], rate_hz, leads, unit, time_unit)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<!-- an annotated ECG -->
<AnnotatedECG xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<subject><trialSubject><subjectDemographicPerson><name>{family_name}</name>
<administrativeGenderCode code="F"/><birthTime value="19601224"/></subjectDemographicPerson></trialSubject></subject>
<component><series><code code="RHYTHM"/><author><manufacturerModelName>Cart 1</manufacturerModelName></author>
<component>{rhythm}</component>
<derivation><derivedSeries><code code="REPRESENTATIVE_BEAT"/><component>{beat}</component></derivedSeries></derivation>
</series></component></AnnotatedECG>""".encode()


def sequence_set(
    samples_mv: NDArray[np.float64], rate_hz: float, leads: tuple[str, ...], unit: str, time_unit: str
) -> str:
    per_mv = {"nV": 1e6, "uV": 1e3, "mV": 1.0}[unit]
    step = {"s": 1.0, "ms": 1e3, "us": 1e6}[time_unit] / rate_hz
    counts = np.round(samples_mv / STEP_MV).astype(int)
    sequences = "".join(
        f'<component><sequence><code code="MDC_ECG_LEAD_{name.upper()}"/><value xsi:type="SLIST_PQ">'
        f'<origin value="0" unit="{unit}"/><scale value="{STEP_MV * per_mv:g}" unit="{unit}"/>'
        f"<digits>{' '.join(map(str, counts[LEADS.index(name)].tolist()))}</digits></value></sequence></component>"
        for name in leads
    )
    return (
        '<sequenceSet><component><sequence><code code="TIME_ABSOLUTE"/><value xsi:type="GLIST_TS">'
        f'<head value="20260101120000.000"/><increment value="{step:.10g}" unit="{time_unit}"/></value></sequence></component>'
        f"{sequences}</sequenceSet>"
    )
