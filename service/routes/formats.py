"""GET /formats, /samples/{format}, /problems: what is accepted, an example of each, and what a refusal means."""

from __future__ import annotations

from fastapi import APIRouter, Response

from ecg import formats
from service import problems, samples
from service.openapi import PROBLEMS
from service.refusals import NotFound
from service.schemas import FormatList, FormatOut, ProblemKind

router = APIRouter(tags=["formats"], responses=PROBLEMS)


@router.get("/formats")
async def accepted() -> FormatList:
    """The formats that POST /predict reads; the content decides, not the file's name."""
    return FormatList(
        formats=[
            FormatOut(
                name=each.NAME,
                title=each.TITLE,
                sample=f"/samples/{each.NAME}" if each.NAME in samples.names() else None,
            )
            for each in formats.available()
        ]
    )


@router.get(
    "/samples/{format}", response_class=Response, responses={200: {"content": {"application/octet-stream": {}}}}
)
async def sample(format: str) -> Response:
    """An example file of this format, made by this project from a synthetic ECG: post it to /predict."""
    found = samples.find(format)
    if found is None:
        raise NotFound(f"no sample of that format; there is one of each of {', '.join(samples.names())}")
    disposition = {"Content-Disposition": f'attachment; filename="{found.filename}"'}
    return Response(found.data, headers=disposition, media_type=found.media_type)


@router.get("/problems/{code}")
async def problem(code: str) -> ProblemKind:
    """What a problem's `code` means; its `type` points here."""
    for error, row in problems.TABLE.items():
        if error.code == code:
            return ProblemKind(code=code, status=row.status, title=row.title, meaning=row.meaning)
    raise NotFound("no problem has that code")
