"""What holds around every answer: no answer without its row, no defect with its text, TLS, counts that are true."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import logging
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from ecg.assess import Stage
from service import logs, tracing
from service.app import create_app
from service.audit.store import Store
from service.envelope import Envelope
from service.metrics import Metrics
from service.settings import Settings
from tests.conftest import ROOT
from tests.service.server import Server
from tests.service.test_predict import CSV

assert CSV
RAW = {"content-type": "text/csv"}


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        yield http


def test_nobody_waits_for_what_is_counted() -> None:
    """An answer's last byte leaves at the end of the loop's turn; what is told of it is told in a later one."""
    events: list[str] = []

    class Counts:
        def __getattr__(self, _name: str) -> Any:
            return Counts()

        def labels(self, *_values: str) -> Any:
            events.append("counted")
            return Counts()

        def __call__(self, *_: object) -> None:
            pass

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await send({"type": "http.response.body", "body": b"last"})

    async def send(message: Message) -> None:
        if message.get("body") == b"last":
            asyncio.get_running_loop().call_soon(events.append, "the turn has ended")

    async def run() -> None:
        around = Envelope(app, Store("sqlite://"), cast(Metrics, Counts()), tracing.make(None))
        scope = {"type": "http", "method": "GET", "path": "/health/live", "headers": [], "scheme": "http"}
        await around(scope, cast(Receive, None), send)

    asyncio.run(run())
    assert events[0] == "the turn has ended"
    assert "counted" in events


def test_no_answer_leaves_without_its_row(sqlite_url: str) -> None:
    """While the store cannot be written, callers hear 503 and no risk; when it can, they are answered again."""

    async def run() -> None:
        app = create_app(Settings(audit_url=sqlite_url, store_timeout_s=0.3))
        holder = Store(sqlite_url)
        await holder.open()
        async with served(app) as http:
            assert (await http.post("/predict", content=CSV.data, headers=RAW)).status_code == 200
            async with holder.engine.execution_options(store_write=True).begin():
                for content in (CSV.data, b"no ecg"):
                    refused = await http.post("/predict", content=content, headers={**RAW, "X-Request-ID": "r"})
                    assert (refused.status_code, refused.json()["code"]) == (503, "audit_unavailable")
                    assert refused.headers["x-request-id"] == "r"
                    assert "risk" not in refused.text
                batch = await http.post("/predict/batch", content=CSV.data, headers=RAW)
                assert [json.loads(line)["code"] for line in batch.text.splitlines()] == ["audit_unavailable"]
                assert (await http.get("/health/ready")).json()["code"] == "audit_unavailable"
                assert (await http.get("/health/live")).status_code == 200
            assert (await http.post("/predict", content=CSV.data, headers=RAW)).status_code == 200
            rows = (await http.get("/predictions")).json()["items"]
            assert [row["code"] for row in rows] == ["ok", "ok"]
        await holder.close()

    asyncio.run(run())


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    """Logs as in a worker process; afterwards as they were."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure("debug")
    yield capsys
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_defect_is_told_without_its_text(sqlite_url: str, logged: pytest.CaptureFixture[str]) -> None:
    """An unforeseen exception is a plain 500 with its row; its text, which may quote a file, is told nowhere."""
    app = create_app(Settings(audit_url=sqlite_url))

    @app.get("/predictions/of/defects")
    async def defect() -> None:
        raise ValueError("DOE^JANE") from KeyError("PID-4711")

    async def run() -> None:
        async with served(app) as http:
            told = await http.get("/predictions/of/defects", headers={"X-Request-ID": "defect"})
            assert (told.status_code, told.json()["code"]) == (500, "internal_error")
            assert told.headers["content-security-policy"]
            [row] = (await http.get("/predictions?action=read&request_id=defect")).json()["items"]
            assert (row["status"], row["code"]) == (500, "internal_error")
            assert "DOE" not in told.text

    asyncio.run(run())
    told = logged.readouterr().out
    assert "ValueError" in told
    assert "in defect" in told
    assert "DOE" not in told
    assert "PID-4711" not in told


def certificate(folder: Path, name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None) -> Path:
    """A certificate and its key in one file; its own issuer when none is given."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    made = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    (folder / f"{name}.crt").write_bytes(made.public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / f"{name}.key").write_bytes(pem)
    if issuer is None:
        certificate(folder, "server", (made, key))
        certificate(folder, "caller", (made, key))
    return folder / f"{name}.crt"


def test_mutual_tls(tmp_path: Path) -> None:
    """With a CA for callers, one with a certificate is answered over TLS; one without gets no connection."""
    root = certificate(tmp_path, "root", None)
    files = {"TLS_CERT_FILE": "server.crt", "TLS_KEY_FILE": "server.key", "TLS_CLIENT_CA_FILE": "root.crt"}
    # A TLS peer that never says goodbye is waited for until this runs out.
    server = Server(tmp_path, SHUTDOWN_TIMEOUT_S="1", **{name: str(tmp_path / file) for name, file in files.items()})
    context = ssl.create_default_context(cafile=root)
    with pytest.raises(httpx.TransportError):
        httpx.get(f"https://127.0.0.1:{server.port}/version", verify=context)
    context.load_cert_chain(tmp_path / "caller.crt", tmp_path / "caller.key")
    server.http = httpx.Client(base_url=f"https://127.0.0.1:{server.port}", verify=context)
    with server:
        assert "max-age" in server.http.get("/version").headers["strict-transport-security"]
        stranger = ssl.create_default_context(cafile=root)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"https://127.0.0.1:{server.port}/version", verify=stranger)


def answered(server: Server) -> list[str]:
    return [line["path"] for line in server.lines() if line["event"] == "answered"]


def test_files_are_told_by_their_mount(tmp_path: Path) -> None:
    """Pages' files stand in log and counters under their mount, never a raw path; only the unknown is unmatched."""
    asked = {
        "/static/viewer/viewport.js": "/static/{path}", "/static/swagger/swagger-ui.css": "/static/swagger/{path}",
        "/": "/", "/openapi.json": "/openapi.json", "/nowhere-4711": "unmatched", "/staticx/4711": "unmatched",
    }  # fmt: skip
    with Server(tmp_path) as server:
        statuses = {path: server.http.get(path).status_code for path in asked}
        assert server.http.get("/static/none-4711").status_code == 404
        # A line is written when its answer has left, which is after the caller has it.
        server.wait(lambda: sorted(answered(server)[-7:]) == sorted([*asked.values(), "/static/{path}"]), 5)
        counted = server.http.get("/metrics").text
    assert statuses == {path: 404 if "4711" in path else 200 for path in asked}
    for path, template in asked.items():
        assert f'method="GET",path="{template}",status="{statuses[path]}"' in counted
    assert "4711" not in counted + server.log.read_text()


def test_stages_have_their_moments_in_a_trace() -> None:
    """A stage of a quarter of a second that ended just now did so by the calendar, too."""
    now_s, now_ns = time.perf_counter(), time.time_ns()
    [(name, began, ended)] = tracing.by_the_clock([Stage("infer", now_s - 0.25, now_s)])
    assert name == "infer"
    assert ended == pytest.approx(now_ns, abs=1_000_000_000)
    assert ended - began == pytest.approx(250_000_000, abs=10)


def test_the_counts_are_true(tmp_path: Path) -> None:
    """After known requests /metrics shows exactly those, by path, code, stage, format, band and quality reason."""
    with Server(tmp_path) as server:
        for content in (CSV.data, CSV.data, b"no ecg", CSV.data[:200_000]):
            server.http.post("/predict", content=content, headers=RAW)
        lines = server.http.get("/metrics").text.splitlines()
    counted = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}

    def total(start: str) -> float:
        return sum(value for name, value in counted.items() if name.startswith(start))

    assert counted['ecg_requests_total{code="ok",method="POST",path="/predict",status="200"}'] == 2
    assert counted['ecg_requests_total{code="unknown_format",method="POST",path="/predict",status="415"}'] == 1
    assert counted['ecg_recordings_total{format="table"}'] == 2
    assert total("ecg_risk_band_total{") == total("ecg_risk_score_count{") == total("ecg_log_hazard_decile_total{") == 2
    assert counted['ecg_stage_seconds_count{stage="infer"}'] == 2
    assert counted['ecg_stage_seconds_count{stage="render"}'] == 2
    assert total("ecg_model_info{") == len(list(ROOT.glob("models/*.onnx")))
    assert counted["ecg_queue_places"] == 32
    assert counted["ecg_queue_places_taken"] == 0
    assert total("ecg_drift_psi{") > 0
