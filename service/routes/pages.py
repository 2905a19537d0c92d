"""GET /, /docs: pages from files inside the package. Nothing comes from elsewhere, and the policy forbids it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse
from starlette.staticfiles import StaticFiles

STATIC: Final = Path(__file__).resolve().parent.parent / "static"
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# Swagger UI sets style attributes; scripts stay ours alone.
DOCS_POLICY: Final = PAGE_POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")

router = APIRouter(include_in_schema=False)


@router.get("/")
async def viewer() -> FileResponse:
    return FileResponse(STATIC / "viewer" / "index.html", headers={"Content-Security-Policy": PAGE_POLICY})


@router.get("/docs")
async def docs() -> FileResponse:
    return FileResponse(STATIC / "docs.html", headers={"Content-Security-Policy": DOCS_POLICY})


def mount_files(app: FastAPI) -> None:
    app.mount("/static/swagger", StaticFiles(directory=_swagger_files()), name="swagger")
    app.mount("/static", StaticFiles(directory=STATIC), name="static")


def _swagger_files() -> Path:
    """Swagger UI as the package fastapi-offline carries it."""
    spec = find_spec("fastapi_offline")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("fastapi-offline is not installed")
    return Path(spec.origin).parent / "static"
