"""GET /predictions, /predictions/{id}: the audit list and stored answers."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy import Select

from service import house, trail
from service.audit.entry import Action
from service.audit.store import as_text
from service.audit.tables import audit
from service.auth import Caller, Scope
from service.guard import may
from service.openapi import PROBLEMS
from service.refusals import NotFound
from service.schemas import Answer, AuditPage, AuditRow

router = APIRouter(tags=["audit"], responses=PROBLEMS)
Auditor = Annotated[Caller, Depends(may(Scope.AUDIT))]
Reader = Annotated[Caller, Depends(may(Scope.PREDICT, Scope.AUDIT))]


class Filter:
    """Rows newest first; `before` is the `next` of the page before."""

    def __init__(
        self,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        before: Annotated[int | None, Query(ge=1, le=2**62, description="Rows with a smaller `seq`")] = None,
        since: Annotated[datetime | None, Query(description="Rows from this moment on")] = None,
        until: Annotated[datetime | None, Query(description="Rows before this moment")] = None,
        action: Annotated[list[Action] | None, Query(description="Default: predict and batch")] = None,
        caller: Annotated[str | None, Query(max_length=200)] = None,
        code: Annotated[str | None, Query(max_length=64, description="`ok`, `replayed` or a problem's code")] = None,
        status: Annotated[int | None, Query(ge=100, le=599)] = None,
        model: Annotated[str | None, Query(max_length=200, description="name-version")] = None,
        request_id: Annotated[str | None, Query(max_length=200)] = None,
        input_sha256: Annotated[str | None, Query(max_length=64)] = None,
    ) -> None:
        self.limit = limit
        columns = audit.c
        self._conditions: list[Any] = [columns.action.in_(action or [Action.PREDICT, Action.BATCH])]
        bounds = [
            (before, columns.seq.__lt__),
            (_text(since), columns.created.__ge__),
            (_text(until), columns.created.__lt__),
        ]
        equals = {
            columns.caller: caller, columns.code: code, columns.status: status, columns.model: model,
            columns.request_id: request_id, columns.input_sha256: input_sha256,
        }  # fmt: skip
        self._conditions += [compare(value) for value, compare in bounds if value is not None]
        self._conditions += [column == value for column, value in equals.items() if value is not None]

    def __call__(self, query: Select[Any]) -> Select[Any]:
        return query.where(*self._conditions).order_by(audit.c.seq.desc()).limit(self.limit + 1)


def _text(moment: datetime | None) -> str | None:
    return as_text(moment) if moment else None


@router.get("/predictions")
async def predictions(request: Request, _caller: Auditor, wanted: Annotated[Filter, Depends()]) -> AuditPage:
    """The audit list: who asked, what was answered, on which input, with which model. No patient data."""
    rows = await house.of(request).store.rows(wanted)
    page = [AuditRow(seq=each.seq, hash=each.hash, **asdict(each.entry)) for each in rows[: wanted.limit]]
    return AuditPage(items=page, next=page[-1].seq if len(rows) > wanted.limit else None)


@router.get("/predictions/{id}", response_model=Answer, response_model_exclude_unset=True)
async def prediction(request: Request, id: str, caller: Reader) -> Response:
    """A stored answer, without waveforms. A caller sees its own; the scope `audit` sees all."""
    found = await house.of(request).store.record_of(id)
    if found is None or (found[0] != caller.name and Scope.AUDIT not in caller.scopes):
        raise NotFound("no stored answer of that id for this caller")
    trail.of(request).facts["answer_id"] = id
    return Response(found[1], media_type="application/json")
