"""A hospital's day in small: mostly single ECGs of several formats, some batches, some mistakes, some retries.

Headless with limits: `make load`. With the browser page: `docker compose --profile load up`, then port 8089.
A request counts as failed when the answer is not the one that this very request deserves.
"""

from __future__ import annotations

import io
import logging
import os
import random
import uuid
import zipfile
from pathlib import Path

from locust import FastHttpUser, between, events, task

MAX_P95_MS = float(os.environ.get("LOAD_MAX_P95_MS", "500"))
MAX_FAILED = float(os.environ.get("LOAD_MAX_FAILED", "0"))
FORMATS = {"wfdb": 5, "muse_xml": 3, "dicom": 1, "scp_ecg": 1, "hl7_aecg": 1}
KEY_FILE = Path("/run/secrets/load_key")
MIME = {
    "wfdb": "application/zip",
    "dicom": "application/dicom",
    "muse_xml": "application/xml",
    "hl7_aecg": "application/xml",
}
# Turned away under load is an answer, and the caller comes back; anything else unexpected is a failure.
BUSY = (429, 503)


class Station(FastHttpUser):
    """An ECG station: waits a little between recordings, as people do."""

    wait_time = between(0.05, 0.5)

    def on_start(self) -> None:
        self.client.default_headers = {"X-API-Key": KEY_FILE.read_text().strip()} if KEY_FILE.is_file() else {}
        self.samples = {name: self.client.get(f"/samples/{name}", name="/samples").content for name in FORMATS}

    @task(12)
    def one_ecg(self) -> None:
        name = self._any_format()
        with self._post("/predict", self.samples[name], name, label="/predict") as answer:
            self._expect(answer, 200)

    @task(2)
    def as_fhir(self) -> None:
        with self._post(
            "/predict", self.samples["wfdb"], "wfdb", "/predict fhir", Accept="application/fhir+json"
        ) as answer:
            self._expect(answer, 200)

    @task(2)
    def sent_twice(self) -> None:
        """A retry with the same key gets the stored answer, bit for bit."""
        key = {"Idempotency-Key": str(uuid.uuid4())}
        with self._post("/predict", self.samples["wfdb"], "wfdb", "/predict first", **key) as first:
            self._expect(first, 200)
        if first.status_code != 200:
            return
        with self._post("/predict", self.samples["wfdb"], "wfdb", "/predict retry", **key) as again:
            if self._expect(again, 200) and again.content != first.content:
                again.failure("the retry's answer differs from the first")

    @task(1)
    def something_else(self) -> None:
        with self._post("/predict", b"%PDF-1.7 not an ECG", "wfdb", "/predict not an ECG") as answer:
            self._expect(answer, 400, 415)

    @task(1)
    def cut_short(self) -> None:
        with self._post("/predict", self.samples["muse_xml"][:5_000], "muse_xml", "/predict cut short") as answer:
            self._expect(answer, 400)

    @task(1)
    def a_batch(self) -> None:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for number in range(5):
                archive.writestr(f"{number}.xml", self.samples["muse_xml"])
        headers = {"Content-Type": "application/zip"}
        with self.client.post("/predict/batch", packed.getvalue(), headers=headers, catch_response=True) as answer:
            if self._expect(answer, 200) and answer.text.count("\n") < 5:
                answer.failure("fewer than five lines for five records")

    def _post(self, path: str, body: bytes, format_name: str, label: str, **headers: str):
        sent = {"Content-Type": MIME.get(format_name, "application/octet-stream"), **headers}
        return self.client.post(path, body, headers=sent, name=label, catch_response=True)

    def _expect(self, answer, *wanted: int) -> bool:
        if answer.status_code in wanted or answer.status_code in BUSY:
            answer.success()
        else:
            answer.failure(f"{answer.status_code} instead of {wanted}")
        return answer.status_code in wanted

    def _any_format(self) -> str:
        return random.choices(list(FORMATS), list(FORMATS.values()))[0]


@events.quitting.add_listener
def judge(environment, **_: object) -> None:
    """The headless run fails when an answer was wrong, or one in twenty single ECGs took too long."""
    predict = environment.stats.get("/predict", "POST")
    p95_ms = predict.get_response_time_percentile(0.95) or float("inf")
    failed = environment.stats.total.fail_ratio
    if failed > MAX_FAILED or p95_ms > MAX_P95_MS or predict.num_requests == 0:
        logging.error("limits missed: %.2f %% failed, p95 %.0f ms", 100 * failed, p95_ms)
        environment.process_exit_code = 1
    else:
        logging.info("limits held: %.2f %% failed, p95 %.0f ms", 100 * failed, p95_ms)
        environment.process_exit_code = 0
