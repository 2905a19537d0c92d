"""Serve the application as a Ray deployment on this machine, ask it, and print what it said and what it wrote."""

from __future__ import annotations

import json
import sqlite3
import sys
import urllib.request

import ray
from ray import serve

from service import samples
from service.ray_serve import app


def asked(address: str, data: bytes) -> dict[str, object]:
    request = urllib.request.Request(f"{address}/predict", data=data, headers={"Content-Type": "application/zip"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        told: dict[str, object] = json.load(answer)
    return told


def main(port: str, audit: str) -> None:
    ray.init(address="local", num_cpus=3, log_to_driver=False, include_dashboard=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(port)})
    serve.run(app, route_prefix="/")
    sample = samples.find("wfdb")
    assert sample
    answers = [asked(f"http://127.0.0.1:{port}", sample.data) for _ in range(4)]
    rows = sqlite3.connect(audit).execute("SELECT answer_id, status FROM audit ORDER BY seq").fetchall()
    print(json.dumps({"answers": answers, "rows": rows}))
    serve.shutdown()  # type: ignore[no-untyped-call]
    ray.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
