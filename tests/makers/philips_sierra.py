"""Philips Sierra XML with an XLI encoder of its own: LZW over the high and low bytes of second differences."""

from __future__ import annotations

import base64
import struct

import numpy as np
from numpy.typing import NDArray

from ecg.leads import LEADS

FILENAME = "record.xml"
STEP_MV = 0.005
_LAST_CODE = 1022


def make(
    samples_mv: NDArray[np.float64],
    rate_hz: float,
    *,
    version: str = "1.04",
    compressed: bool = True,
    calibration: bool = False,
    encoding: str = "utf-8",
    family_name: str = "",
) -> bytes:
    counts = np.round(samples_mv / STEP_MV).astype(np.int64)
    if calibration:
        counts = np.concatenate([counts, calibration_second(rate_hz)], axis=1)
    packed = xli(counts) if compressed else counts.astype("<i2").tobytes()
    method = 'compression="XLI"' if compressed else 'compression="Uncompressed"'
    if version == "1.03":
        method = f'compressflag="{compressed}" compressmethod="{"XLI" if compressed else "Uncompressed"}"'
    labels = f'numberofleads="12" leadlabels="{" ".join(LEADS)}"' if version != "1.03" else ""
    size = "<resolution>5</resolution>" if version != "1.03" else "<signalresolution>5</signalresolution>"
    return f"""<?xml version="1.0" encoding="{encoding}"?>
<restingecgdata xmlns="http://www3.medical.philips.com">
<documentinfo><documenttype>SierraECG</documenttype><documentversion>{version}</documentversion></documentinfo>
<patient><generalpatientdata><patientid>4711</patientid><name><lastname>{family_name}</lastname></name>
<age><years>61</years></age><pacestatus>Unknown</pacestatus><sex>Female</sex></generalpatientdata></patient>
<dataacquisition><machine>Cart</machine><signalcharacteristics><samplingrate>{rate_hz:g}</samplingrate>{size}
<numberchannelsallocated>12</numberchannelsallocated></signalcharacteristics></dataacquisition>
<waveforms><parsedwaveforms dataencoding="Base64" {method} {labels}
durationperchannel="{counts.shape[1] / rate_hz * 1000:g}">{base64.encodebytes(packed).decode()}</parsedwaveforms></waveforms>
</restingecgdata>""".encode(encoding)


def calibration_second(rate_hz: float) -> NDArray[np.int64]:
    """Silence, and at its end a pulse of 1 mV and 0.2 s in every lead."""
    second = np.zeros((12, round(rate_hz)), dtype=np.int64)
    second[:, -round(0.3 * rate_hz) : -round(0.1 * rate_hz)] = round(1 / STEP_MV)
    return second


def xli(counts: NDArray[np.int64]) -> bytes:
    stored = counts.copy()
    i, ii, iii = counts[:3]
    stored[2] = ii - i - iii
    stored[3] = -((i + ii) // 2) - counts[3]
    stored[4] = (i - iii) // 2 - counts[4]
    stored[5] = (ii + iii) // 2 - counts[5]
    return b"".join(xli_lead(lead) for lead in stored.tolist())


def xli_lead(lead: list[int]) -> bytes:
    """The first two samples as they are, then the bends; of each the negative, of all but the first with 64 added."""
    bends = [2 * lead[k - 1] - lead[k - 2] - lead[k] for k in range(2, len(lead))]
    words = [*lead[:2], *(bend + 64 for bend in bends[1:]), 0]
    halves = np.array(words, dtype=np.int16).view(np.uint16)
    chunk = lzw((halves >> 8).astype(np.uint8).tobytes() + (halves & 255).astype(np.uint8).tobytes())
    return struct.pack("<iHh", len(chunk), 0, bends[0]) + chunk


def lzw(text: bytes) -> bytes:
    table = {bytes([value]): value for value in range(256)}
    codes, held = [], b""
    for value in text:
        longer = held + bytes([value])
        if longer in table:
            held = longer
            continue
        codes.append(table[held])
        if len(table) <= _LAST_CODE:
            table[longer] = len(table)
        held = bytes([value])
    codes += [table[held], _LAST_CODE + 1]
    bits = "".join(f"{code:010b}" for code in codes)
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")
