"""python -m tests.service.write_openapi: writes docs/openapi.json anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from service.app import create_app
from service.settings import Settings

TARGET: Final = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"


def document() -> str:
    return json.dumps(create_app(Settings()).openapi(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(document())
