"""A real Chromium through its driver's own HTTP protocol; every host but loopback is cut off."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pytest

from tests.service.conftest import free_port

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    def __init__(self, folder: Path) -> None:
        driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
        if not driver or not chromium:
            pytest.skip("no Chromium with its driver (apt-get install chromium chromium-driver)")
        port = free_port()
        self._process = subprocess.Popen(
            [driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        self._options = {
            "binary": chromium,
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1400,2000",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", f"--user-data-dir={folder / 'profile'}",
            ],
        }  # fmt: skip

    def __enter__(self) -> Self:
        wanted = {"browserName": "chrome", "goog:chromeOptions": self._options, "goog:loggingPrefs": {"browser": "ALL"}}
        body = {"capabilities": {"alwaysMatch": wanted}}
        deadline = time.monotonic() + 20
        while True:
            try:
                self._session = self._http.post("/session", json=body).json()["value"]["sessionId"]
                return self
            except httpx.ConnectError:
                assert time.monotonic() < deadline
                time.sleep(0.1)

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._http.delete(f"/session/{self._session}")
        self._process.terminate()
        self._process.wait(10)
        self._http.close()

    def _post(self, path: str, **body: Any) -> Any:
        value = self._http.post(f"/session/{self._session}/{path}", json=body).json()["value"]
        assert not (isinstance(value, dict) and "error" in value), value
        return value

    def open(self, url: str) -> None:
        self._post("url", url=url)

    def run(self, script: str, *arguments: Any) -> Any:
        """A script that may await; what it returns."""
        wrapped = f"return (async (...args) => {{ {script} }})(...arguments)"
        return self._post("execute/sync", script=wrapped, args=list(arguments))

    def click(self, css: str) -> None:
        found = self._post("element", using="css selector", value=css)
        self._post(f"element/{found[_ELEMENT]}/click")

    def wait(self, script: str, *arguments: Any, seconds: float = 20) -> Any:
        """Until the script returns something true."""
        return _until(lambda: self.run(script, *arguments), seconds, script)

    def complaints(self) -> list[str]:
        """What the console says: blocked requests, broken policies, exceptions."""
        entries = self._http.post(f"/session/{self._session}/se/log", json={"type": "browser"}).json()["value"]
        return [each["message"] for each in entries if each["level"] in ("SEVERE", "WARNING")]


def _until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return value
