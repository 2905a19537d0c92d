"""What becomes of one request, gathered on its way, so that its audit row is complete when the answer is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import HTTPConnection
from starlette.types import Scope

from service.audit.entry import Action, Entry, now
from service.ids import new_id

# Not what a spreadsheet would take for a formula, since the audit is exported for people to open.
_FIT_TO_ECHO: Final = re.compile(r"(?![=+@-])[\x21-\x7e]{1,200}")
_ACTIONS: Final = {
    "/predict": Action.PREDICT,
    "/v1/predict": Action.PREDICT,
    "/predict/batch": Action.BATCH,
    "/predictions": Action.READ,
    "/models/reload": Action.RELOAD,
}
OK: Final = "ok"
UNKNOWN_CALLER: Final = "-"


@dataclass(slots=True)
class Trail:
    request_id: str
    correlation_id: str
    action: Action | None
    accept: str | None = None
    started: float = field(default_factory=time.perf_counter)
    caller: str = UNKNOWN_CALLER
    code: str = OK
    facts: dict[str, Any] = field(default_factory=dict)
    settled: bool = False
    last: Callable[[], None] | None = None  # what is done when the answer has left: nobody waits for it

    @property
    def is_due(self) -> bool:
        """Whether a row must still be written before an answer may leave."""
        return self.action is not None and not self.settled

    @property
    def elapsed_s(self) -> float:
        return time.perf_counter() - self.started

    def entry(self, status: int, code: str, **facts: Any) -> Entry:
        return Entry(
            id=new_id(), created=now(), action=(self.action or Action.READ).value, caller=self.caller,
            request_id=self.request_id, correlation_id=self.correlation_id, status=status, code=code,
            latency_ms=round(self.elapsed_s * 1000, 3), **(self.facts | facts),
        )  # fmt: skip


def begin(scope: Scope) -> Trail:
    """Ids that the caller sent are kept when they are plain text of sane length, and made when not."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name.startswith(b"x-")}
    request_id = _fit(headers.get(b"x-request-id")) or new_id()
    correlation_id = _fit(headers.get(b"x-correlation-id")) or new_id()
    accept = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"), None)
    return Trail(request_id, correlation_id, _action(scope), accept)


def of(request: HTTPConnection) -> Trail:
    trail: Trail = request.state.trail
    return trail


def _fit(text: str | None) -> str | None:
    return text if text and _FIT_TO_ECHO.fullmatch(text) else None


def _action(scope: Scope) -> Action | None:
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    found = _ACTIONS.get(path.rstrip("/"))
    if found is None and path.startswith("/cds-services/"):
        return Action.PREDICT
    return Action.READ if found is None and path.startswith("/predictions/") else found
