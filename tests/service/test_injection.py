"""What a caller writes stays what it is: no header, log line, metric, file, formula or connection is made of it."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.audit import __main__ as audit
from tests.ecg.hearts import normal_mv
from tests.makers import dicom, fhir, muse_xml, wfdb
from tests.service.server import Server

HEART = normal_mv(66.0)
FORGED = '{"level":"info","event":"forged"}'
# What may stand in a header line at all, and means something somewhere else.
HOSTILE_IDS = (
    "=HYPERLINK(1)", "+1+1", "-1", "@SUM(1)", "a" * 201, "a b", "caf\xe9", "<script>alert(1)</script>",
    "%0d%0aX-Evil:1", "${jndi:ldap://127.0.0.1/a}", "'; DROP TABLE audit; --", FORGED.replace(" ", ""), "\x7f",
    "..%2f..%2f",
)  # fmt: skip
SECRET_LINE = "root:"
SCHEMA = "http://www.w3.org/2001/XMLSchema-instance"


class Canary:
    """A listener on loopback that counts who connects: nobody should."""

    def __enter__(self) -> Canary:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/canary"
        self.visits = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        return self

    def _listen(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                self._socket.accept()[0].close()
                self.visits += 1

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    with Canary() as listening:
        yield listening


@pytest.mark.parametrize("id", HOSTILE_IDS)
def test_ids_are_echoed_whole_or_not_at_all(server: Server, id: str) -> None:
    """A caller's request id comes back as it was, as one header, when it is plain; else a new one does. What HTTP
    itself forbids in a header is refused."""
    answer = server.http.get(
        "/predictions", headers={"X-Request-ID": id.encode("latin-1"), "X-Correlation-ID": "plain"}
    )
    assert "x-evil" not in answer.headers
    if "\x7f" in id:
        assert answer.status_code == 400
        return
    told = answer.headers["x-request-id"]
    assert told == id or (len(told) == 26 and told.isalnum())
    assert answer.headers["x-correlation-id"] == "plain"
    if not id.isascii() or len(id) > 200 or id[0] in "=+-@" or " " in id:
        assert told != id


def test_no_formula_reaches_a_spreadsheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No text cell of the exported audit begins as a formula does, whatever callers sent as ids."""
    with Server(tmp_path) as server:
        for id in HOSTILE_IDS:
            server.http.post(
                "/predict", content=b"x", headers={"X-Request-ID": id.encode("latin-1"), "X-Correlation-ID": "=1+1"}
            )
    capsys.readouterr()
    assert audit.main(["--url", f"sqlite:///{server.database}", "export", "--as", "csv"]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) >= len(HOSTILE_IDS)
    assert [cell for row in rows for cell in row if _is_formula(cell)] == []


def _is_formula(cell: str) -> bool:
    """A lone dash is nobody's formula, and a negative number is none."""
    try:
        float(cell)
    except ValueError:
        return len(cell) > 1 and cell[0] in "=+-@"
    return False


def test_no_log_line_is_forged(tmp_path: Path) -> None:
    """Line ends, escapes and JSON in ids, paths, queries, methods and file names never become a line of the log."""
    hostile = f"x\r\n{FORGED}\n\x1b[2J"
    with Server(tmp_path, LOG_LEVEL="debug") as server:
        server.http.get(f"/{hostile.encode().hex()}/%0d%0a{FORGED}")
        server.http.get("/models/%0A" + FORGED.replace(" ", ""))
        server.http.get("/predictions", params={"code": hostile, "request_id": hostile})
        server.http.request("FORGED", "/predict")
        server.http.post("/predict", files={"file": ("a\r\nb.csv", hostile.encode())})
        server.http.post("/predict", content=hostile.encode(), headers={"X-Request-ID": FORGED})
        server.http.post("/predict", content=b"x", headers={"X-API-Key": FORGED, "Authorization": f"Bearer {FORGED}"})
        server.http.post("/predict", params={"model": hostile, "reference": hostile}, content=b"x")
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Request-ID: a\n" + FORGED.encode() + b"\r\n\r\n")
            raw.recv(1000)
    assert {line["event"] for line in server.lines()} & {"forged"} == set()
    assert "\x1b" not in server.log.read_text()


def test_metrics_do_not_grow_with_what_callers_invent(server: Server) -> None:
    """Paths, methods and ids that nobody knows share one label each: no caller fills the memory with series."""
    server.http.get("/warm-up-of-the-label")
    server.http.request("VERB", "/predict")
    server.http.get("/metrics")  # which counts itself from the second time on
    before = len(server.http.get("/metrics").text.splitlines())
    for index in range(40):
        server.http.get(f"/no/such/{index}", headers={"X-Request-ID": f"invented-{index}"})
        server.http.request(f"VERB{index}", "/predict")
    after = server.http.get("/metrics").text
    assert len(after.splitlines()) <= before
    assert "invented" not in after
    assert "VERB" not in after


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../../../../etc/passwd",
        "/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/static/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/static//etc/passwd",
        "/static/%00",
        "/static/swagger/..%2f..%2f__init__.py",
        "/samples/..%2f..%2f__init__",
        "/samples/%2fetc%2fpasswd",
        "/models/..%2f..%2fetc%2fpasswd",
        "/problems/..%2f..%2f",
        "/predictions/..%2f..%2fetc%2fpasswd",
    ],
)
def test_no_path_leaves_its_folder(server: Server, path: str) -> None:
    """Dots, slashes and NULs in an address lead nowhere: 404, as a problem, whatever lies there."""
    with socket.create_connection(("127.0.0.1", server.port)) as raw:  # a client would tidy the path first
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        heard = b"".join(iter(lambda: raw.recv(65536), b""))
    head, _, body = heard.partition(b"\r\n\r\n")
    assert head.split()[1] in (b"404", b"400")
    assert json.loads(body)["code"] in ("not_found", "model_unknown", "malformed")
    assert SECRET_LINE.encode() not in body


def uploads(url: str) -> dict[str, bytes]:
    """Files that name another host wherever their format can name one."""
    parts = wfdb.files(HEART, 500.0)
    pair = io.BytesIO()
    with zipfile.ZipFile(pair, "w") as archive:
        archive.writestr("record.hea", parts["record.hea"].replace(b"record.dat", f"{url}.dat".encode()))
        archive.writestr("record.dat", parts["record.dat"])
    segments = io.BytesIO()
    with zipfile.ZipFile(segments, "w") as archive:
        archive.writestr("record.hea", f"record/1 12 500 5000\n{url} 5000\n")
    xml = muse_xml.make(HEART, 500.0)
    observation = json.loads(fhir.make(HEART, 500.0))
    observation |= {"subject": {"reference": url}, "contained": [{"resourceType": "Binary", "url": url}]}
    observation["component"][0]["valueSampledData"] = {"data": url, "dataUrl": url}
    return {
        "wfdb signal": pair.getvalue(),
        "wfdb segment": segments.getvalue(),
        "xml dtd": xml.replace(b'SYSTEM "restecg.dtd"', f'SYSTEM "{url}"'.encode()),
        "xml entity": xml.replace(b'SYSTEM "restecg.dtd"', f'[<!ENTITY x SYSTEM "{url}">]'.encode()),
        "xml style": xml.replace(b"<RestingECG>", f'<?xml-stylesheet href="{url}"?><RestingECG>'.encode()),
        "xml schema": xml.replace(
            b"<RestingECG>",
            f'<RestingECG xmlns:i="{SCHEMA}" i:noNamespaceSchemaLocation="{url}">'.encode(),
        ),
        "fhir": json.dumps(observation).encode(),
        "dicom": dicom.make(HEART, 500.0).replace(b"ECG-9", b"ECG-9") + url.encode(),
        "address": url.encode(),
        "csv": f'"=WEBSERVICE(""{url}"")",I,II\n'.encode(),
    }


@pytest.mark.parametrize("kind", list(uploads("http://127.0.0.1")))
def test_no_file_makes_the_service_call_out(server: Server, canary: Canary, kind: str) -> None:
    """A host that a file names is not called, whether the file is read or refused."""
    data = uploads(canary.url)[kind]
    answer = server.http.post("/predict?explain=false", content=data)
    assert answer.status_code in (200, 400, 415, 422)
    assert server.http.post("/predict/batch", files={"file": (canary.url, data)}).status_code in (200, 400)
    assert canary.visits == 0


def test_no_hook_makes_the_service_call_out(server: Server, canary: Canary) -> None:
    """A CDS Hooks call names a FHIR server and a token for it: neither is used."""
    call = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "fhirServer": canary.url,
        "fhirAuthorization": {
            "access_token": "t",
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "x",
            "subject": "s",
        },
        "context": {"userId": "Practitioner/1", "patientId": canary.url},
        "prefetch": {"ecg": {"resourceType": "Observation", "id": "1", "subject": {"reference": canary.url}}},
    }
    answer = server.http.post("/cds-services/heart-failure-risk", json=call)
    assert answer.status_code < 500
    assert canary.visits == 0


def test_the_canary_sings(canary: Canary) -> None:
    """Somebody who does connect is counted: the silence above means something."""
    host, port = canary.url.removeprefix("http://").partition("/")[0].split(":")
    before = canary.visits
    with socket.create_connection((host, int(port))) as visitor:
        visitor.recv(1)
    assert canary.visits == before + 1


def test_tokens_in_an_address_are_not_credentials(server: Server) -> None:
    """Keys are read from headers alone, so that none is written into a proxy's log by way of an address."""
    answer = server.http.get("/predictions?api_key=x&access_token=y", headers={"Cookie": "X-API-Key=z"})
    assert answer.status_code == 200  # loopback without credentials; the words are ignored
    assert "set-cookie" not in answer.headers
