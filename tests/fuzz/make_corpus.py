"""python -m tests.fuzz.make_corpus: small sound files of every format and its variants, written anew by the makers."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ecg.leads import LEADS
from tests.ecg.formats.hostile import synthetic_mv
from tests.fuzz.targets import CORPUS, SPLIT
from tests.makers import (
    cardiosoft_xml,
    dicom,
    edf,
    fhir,
    hl7_aecg,
    muse_xml,
    philips_sierra,
    scp_ecg,
    table,
    wfdb,
)

RATE_HZ = 500.0
MV = synthetic_mv(40, RATE_HZ)
COUNTS = np.round(MV * 1000).astype(np.int64)


def _wfdb() -> Iterator[tuple[str, bytes]]:
    parts = wfdb.files(MV, RATE_HZ)
    header, signals = parts["record.hea"], parts["record.dat"]
    yield "plain", header + SPLIT + signals
    header = header.replace(b"record 12 500 40", b"record 12 500")  # without a length no checksum is asked for
    for packing in (8, 24, 32, 61, 80, 160, 212, 310, 311, 508, 516, 524):
        yield f"format-{packing}", header.replace(b" 16 1000", b" %d 1000" % packing) + SPLIT + signals
    yield "per-frame", header.replace(b" 16 1000", b" 16x2:1+4 1000") + SPLIT + signals
    yield "segments", b"record/2 12 500 80\nrecord_1 40\n~ 40\n" + SPLIT + signals


def _scp() -> Iterator[tuple[str, bytes]]:
    for kind in ("default", "custom", "switching", "plain"):
        yield kind, scp_ecg.build(COUNTS, RATE_HZ, scp_ecg.Options(table=kind))
    beat = scp_ecg.Options(beat=COUNTS[:, :20], beat_fiducial=8, zones=[scp_ecg.Zone(2, 10, 22)], subtract=True)
    yield "beat", scp_ecg.build(COUNTS, RATE_HZ, beat)


def _edf() -> Iterator[tuple[str, bytes]]:
    yield "edf", edf.make(MV, RATE_HZ)
    for kind in ("EDF+C", "EDF+D"):
        yield kind.replace("+", "-"), edf.build(edf.leads(MV, RATE_HZ), RATE_HZ, kind)


def _table() -> Iterator[tuple[str, bytes]]:
    declared = "# sampling_rate_hz=500\n# unit=mV\n"
    yield "csv", table.make(MV[:, :12], RATE_HZ)
    yield "tab", table.csv(MV[:, :8], declared, "\t").encode()
    seconds = np.arange(8) / RATE_HZ
    yield "time", table.csv(MV[:, :8], "", ";", ("time_s", seconds)).encode()
    yield "json", table.as_json(MV[:, :8], RATE_HZ)


def _fhir() -> Iterator[tuple[str, bytes]]:
    for r5 in (False, True):
        one = fhir.observation(COUNTS[:, :10], RATE_HZ, r5)
        yield f"observation-{'r5' if r5 else 'r4'}", json.dumps(one).encode()
    yield "bundle", json.dumps(fhir.bundle(one, one)).encode()


def _dicom() -> Iterator[tuple[str, bytes]]:
    yield "two-groups", dicom.make(MV, RATE_HZ)
    counts = COUNTS.astype("<i2")
    yield "implicit", dicom.build([dicom.group(counts, RATE_HZ)], "1.2.840.10008.1.2")
    yield "deflated", dicom.build([dicom.group(counts, RATE_HZ)], "1.2.840.10008.1.2.1.99")


def _muse() -> Iterator[tuple[str, bytes]]:
    yield "both", muse_xml.make(MV, RATE_HZ)
    yield "utf-16", muse_xml.make(MV[:, :10], RATE_HZ, kinds=("Rhythm",), encoding="UTF-16")
    yield "twelve", muse_xml.make(MV[:, :10], RATE_HZ, leads=LEADS, kinds=("Rhythm",), exponent=1)


def _xli() -> Iterator[tuple[str, bytes]]:
    for samples in (40, 12):
        yield f"samples-{samples}", struct.pack("<BH", 11, samples - 1) + philips_sierra.xli(COUNTS[:, :samples])


def corpus() -> dict[str, dict[str, bytes]]:
    return {
        "wfdb": dict(_wfdb()),
        "scp_ecg": dict(_scp()),
        "edf": dict(_edf()),
        "table": dict(_table()),
        "fhir": dict(_fhir()),
        "dicom": dict(_dicom()),
        "muse_xml": dict(_muse()),
        "cardiosoft_xml": {"strip": cardiosoft_xml.make(MV, RATE_HZ)},
        "hl7_aecg": {"rhythm": hl7_aecg.make(MV[:, :20], RATE_HZ)},
        "philips_sierra": {"xli": philips_sierra.make(MV, RATE_HZ)},
        "xli": dict(_xli()),
        "signals": dict(_signals()),
        "door": dict(_door()),
        "wire": {name: bytes([len(name)]) + data for name, data in _wire().items()},
        "any": {name: b"\0" + data for name, data in _front().items()},
    }


def _whole() -> bytes:
    """Eight seconds that the gate lets through; one beat over and over packs well."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in wfdb.files(np.tile(synthetic_mv(200, 250.0), 10), 250.0).items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _front() -> dict[str, bytes]:
    """One small file of each kind as it is uploaded."""
    return {
        "zip": wfdb.make(MV, RATE_HZ),
        "whole": _whole(),
        "csv": table.make(MV[:, :6], RATE_HZ),
        "json": table.as_json(MV[:, :6], RATE_HZ),
        "xml": muse_xml.make(MV[:, :6], RATE_HZ, kinds=("Rhythm",)),
        "edf": edf.make(MV, RATE_HZ),
        "scp": scp_ecg.make(MV, RATE_HZ),
        "dicom": dicom.make(MV[:, :16], RATE_HZ),
        "fhir": fhir.make(MV[:, :6], RATE_HZ),
    }


def _signals() -> Iterator[tuple[str, bytes]]:
    def head(rate: int, length: int, kind: int, order: int = 1, unit: int = 1, scale: float = 1.0) -> bytes:
        return struct.pack("<BBHBBf", rate, unit, length, kind, order, scale)

    yield "heart", head(0, 4999, 3)
    yield "holes", head(0, 4999, 3) + struct.pack("<BHBH", 3, 100, 40, 2) + struct.pack("<BHBH", 255, 2000, 9, 3)
    yield "short", head(1, 300, 2)
    yield "counts", head(0, 2000, 1, scale=0.005) + MV[:2].astype("<i2").tobytes() + bytes(range(200))
    yield "floats", head(4, 900, 0) + MV[:2, :30].astype("<f4").tobytes()
    yield "beat", head(0, 599, 3 | 64)
    yield "both", head(2, 1199, 3 | 32)
    yield "odd-leads", head(0, 2000, 3, order=200)


def _door() -> Iterator[tuple[str, bytes]]:
    def ask(method: int, place: int, path: bytes, headers: bytes, body: bytes, chunking: int = 0) -> bytes:
        return bytes([method, place, chunking]) + path + b"\n~~\n" + headers + b"\n~~\n" + body

    small = table.make(MV[:, :6], RATE_HZ)
    form = b"content-type:multipart/form-data; boundary=xx"
    part = b'--xx\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n' + small + b"\r\n"
    pair = wfdb.files(MV[:, :10], RATE_HZ)
    two = b"".join(
        b'--xx\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n%s\r\n' % each
        for each in ((b"header", b"r.hea", pair["record.hea"]), (b"signal", b"r.dat", pair["record.dat"]))
    )
    field = b'--xx\r\nContent-Disposition: form-data; name="explain"\r\n\r\nfalse\r\n'
    yield "raw", ask(0, 0, b"?explain=false&include=signal", b"content-type:text/csv\naccept:*/*", small, 3)
    yield "form", ask(0, 0, b"", form, part + field + b"--xx--\r\n", 2)
    yield "pair", ask(0, 0, b"", form + b"\nidempotency-key:k", two + b"--xx--\r\n")
    yield "batch", ask(0, 1, b"", form, part + part + b"--xx--\r\n", 1)
    yield "zip", ask(0, 1, b"", b"content-type:application/zip", wfdb.make(MV[:, :10], RATE_HZ))
    yield "whole", ask(0, 0, b"?include=signal,beat", b"content-type:application/zip", _whole())
    yield "leaves", ask(0, 0, b"", form, part, 255)
    yield "query", ask(3, 6, b"?limit=5&before=9&code=ok&action=read", b"x-request-id:a\nx-correlation-id:b", b"")
    yield "path", ask(3, 128 + 12, b"/../%2e%2e/etc/passwd?x=%00", b"host:x\nauthorization:Bearer a.b.c", b"")
    call = {"hook": "patient-view", "hookInstance": "x", "context": {"patientId": "1"}, "prefetch": {"ecg": {}}}
    yield "card", ask(0, 3, b"", b"content-type:application/json", json.dumps(call).encode())


def _wire() -> dict[str, bytes]:
    get = b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n"
    post = b"POST /a HTTP/1.1\r\nHost: x\r\n%b\r\n%b"
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    sized = post % (b"Content-Length: 5\r\n", b"hello")
    chunked = post % (b"Transfer-Encoding: chunked\r\n", b"3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n")
    return {
        "ahead": get + sized + chunked + get,
        "offer": post % (offer + b"Content-Length: 5\r\n", b"hello") + sized,
        "offers": 2 * (post % (offer, b"")),
        "expects": post % (b"Expect: 100-continue\r\nContent-Length: 2\r\n", b"hi"),
        "closing": get.replace(b"Host: x", b"Host: x\r\nConnection: close") + get,
        "old": b"GET / HTTP/1.0\r\n\r\n",
        "connect": b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        "bad-chunk": chunked.replace(b"2\r\nlo", b"zz\r\nlo"),
        "rubbish-behind": get + b"\x00\x01",
        "blank-lines": b"\r\n\r\n" + get + b"\r\n\r\n",
    }


def main() -> None:
    for target, files in corpus().items():
        folder = Path(CORPUS / target)
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / f"made-{name}").write_bytes(data)


if __name__ == "__main__":
    main()
