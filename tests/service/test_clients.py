"""What docs/clients.md shows is what works: each snippet is cut out of the page and run against the service."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service import samples
from service.auth import Scope, new_key
from tests.conftest import ROOT
from tests.ecg.hearts import normal_mv
from tests.makers import wfdb
from tests.service.server import Server

PAGE = (ROOT / "docs" / "clients.md").read_text()
# The first block sets the variables, which here the test does.
SHELL = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[1:]

Place = tuple[Path, dict[str, str], Server]


def block(language: str) -> str:
    [found] = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A folder with the files that the page speaks of, its two variables, and a service that asks for a key."""
    folder = tmp_path_factory.mktemp("clients")
    for name, data in {"ecg.xml": "muse_xml", "record.zip": "wfdb"}.items():
        sample = samples.find(data)
        assert sample
        (folder / name).write_bytes(sample.data)
    for name, content in wfdb.files(normal_mv(66.0), 500.0).items():
        (folder / name).write_bytes(content)
    key = new_key(folder / "keys.json", "docs", frozenset({Scope.PREDICT, Scope.AUDIT}))
    with Server(folder, API_KEYS_FILE=str(folder / "keys.json")) as server:
        yield folder, {"PATH": os.environ["PATH"], "ECG_URL": server.url, "ECG_KEY": key}, server


def run(place: Place, words: list[str], **more: str) -> str:
    folder, variables, _ = place
    environment = variables | more
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def need(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


@pytest.mark.parametrize("number", range(len(SHELL)))
def test_curl(place: Place, number: int) -> None:
    """Each block as it stands; every line of JSON that it prints is an answer, every file it writes is what it says."""
    need("curl", "bash")
    said = run(place, ["bash", "-euo", "pipefail", "-c", SHELL[number]])
    answers: list[dict[str, Any]] = [json.loads(line) for line in said.splitlines()]
    assert all("risk" in each for each in answers)
    starts = {"report.pdf": b"%PDF", "report.svg": b"<svg", "bundle.json": b'{"resourceType":"Bundle"'}
    for name, start in starts.items():
        if name in SHELL[number]:
            assert (place[0] / name).read_bytes().startswith(start)
    assert answers or "-o " in SHELL[number]


def test_python(place: Place) -> None:
    """The program prints the risks of the same file that curl gets, and writes the report."""
    said = run(place, [sys.executable, "-c", block("python")], PYTHONPATH=str(ROOT))
    _, variables, server = place
    data = (place[0] / "ecg.xml").read_bytes()
    answer = server.http.post("/predict", files={"file": data}, headers={"x-api-key": variables["ECG_KEY"]}).json()
    for horizon in answer["risk"]["horizons"]:
        assert f"{horizon['years']:g} years: {horizon['probability']:.1%}" in said
    assert all(warning in said for warning in answer["warnings"])
    assert said.splitlines()[-2] == str(answer["risk"]["score"])
    assert (place[0] / "report.pdf").read_bytes().startswith(b"%PDF")


def test_java(place: Place) -> None:
    """Compiled and run, where there is a Java."""
    need("javac", "java")
    (place[0] / "EcgRisk.java").write_text(block("java"))
    run(place, ["javac", "-Werror", "-Xlint:all", "EcgRisk.java"])
    assert "risk" in json.loads(run(place, ["java", "-cp", ".", "EcgRisk", "ecg.xml"]))


def test_csharp(place: Place) -> None:
    """Compiled and run, where there is a Mono."""
    need("mcs", "mono")
    (place[0] / "EcgRisk.cs").write_text(block("csharp"))
    run(place, ["mcs", "-r:System.Net.Http.dll", "EcgRisk.cs"])
    assert "risk" in json.loads(run(place, ["mono", "EcgRisk.exe", "ecg.xml"], HOME=str(place[0])))


def test_mirth(place: Place) -> None:
    """Run by Rhino, the engine inside Mirth, with stand-ins for the three objects that Mirth gives to a script."""
    need("rhino")
    folder, variables, _ = place
    before = f"""
        var configurationMap = new java.util.HashMap(), channelMap = new java.util.HashMap();
        configurationMap.put('ecgUrl', '{variables["ECG_URL"]}');
        configurationMap.put('ecgKey', '{variables["ECG_KEY"]}');
        var logger = {{ warn: print }};
        var raw = new java.lang.String(java.nio.file.Files.readAllBytes(java.nio.file.Paths.get('ecg.xml')), 'UTF-8');
        var connectorMessage = {{
            getMessageId: function () {{ return 7; }},
            getRawData: function () {{ return raw; }}
        }};
    """
    (folder / "channel.js").write_text(f"{before}\n{block('javascript')}\nprint(channelMap.get('ecgLines'));")
    lines = run(place, ["rhino", "-opt", "-1", "channel.js"]).replace("\r", "\n").splitlines()
    assert [line.split("|")[0] for line in lines[:4]] == ["OBX", "NTE", "OBX", "NTE"]
    fields = lines[0].split("|")
    assert (fields[2], fields[6], fields[11]) == ("NM", "%", "P")
    assert 0 <= float(fields[5]) <= 100
    assert any("demonstration" in line for line in lines)


def test_an_offer_of_http_2_is_ignored(place: Place) -> None:
    """Java's own client asks for an upgrade with each request without TLS: the body counts all the same."""
    _, variables, server = place
    sample = samples.find("muse_xml")
    assert sample
    headers = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2-settings": "AAEAAEAAAAIAAAABAAMAAABk"}
    headers |= {"x-api-key": variables["ECG_KEY"], "content-type": "application/octet-stream"}
    response = server.http.post("/predict?explain=false", content=sample.data, headers=headers)
    assert response.status_code == 200, response.text
    assert server.http.get("/health/live", headers=headers).status_code == 200
    server.lines()
