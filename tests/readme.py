"""python -m tests.readme: write the README's example answer from the real service."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.conftest import ROOT

README = ROOT / "README.md"
_BLOCK = re.compile(r"(<!-- answer:begin[^>]*-->\n)(.*?)(<!-- answer:end -->)", re.DOTALL)
VOLATILE = ("id", "created")


def answer() -> dict[str, Any]:
    """What the two commands of the README give, from an application of its own."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(audit_url=f"sqlite:///{Path(folder) / 'audit.db'}")  # type: ignore[arg-type]
        with TestClient(create_app(settings)) as client:
            sample = client.get("/samples/muse_xml").content
            given = client.post("/predict?explain=false", files={"file": ("ecg.xml", sample)})
            given.raise_for_status()
            found: dict[str, Any] = given.json()
            return found


def shortened(found: dict[str, Any]) -> dict[str, Any]:
    """Twelve lead qualities would fill the page: one stands for all."""
    short = dict(found)
    short["quality"] = found["quality"] | {"leads": {"I": found["quality"]["leads"]["I"], "…": "eleven more"}}
    return short


def shown() -> dict[str, Any]:
    """The answer as the README tells it."""
    match = _BLOCK.search(README.read_text())
    assert match is not None
    text = match[2].strip().removeprefix("```json").removesuffix("```")
    found: dict[str, Any] = json.loads(text)
    return found


def main() -> None:
    text = json.dumps(shortened(answer()), indent=2, ensure_ascii=False)
    text = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda match: "[" + re.sub(r"\s+", " ", match[1]) + "]", text)
    text = re.sub(r"\{\s+([^\[\]{}]{0,110}?)\s+\}", lambda match: "{" + re.sub(r"\s+", " ", match[1]) + "}", text)
    README.write_text(_BLOCK.sub(lambda match: f"{match[1]}```json\n{text}\n```\n{match[3]}", README.read_text()))


if __name__ == "__main__":
    main()
