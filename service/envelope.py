"""Around every answer: ids, security headers, the audit row before it leaves, one log line, the last barrier."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ecg.errors import EcgError
from service import problems
from service.audit.store import Store
from service.metrics import Metrics
from service.refusals import InternalError, StoreUnavailable
from service.tracing import Span, Tracing
from service.trail import Trail, begin

_log = structlog.get_logger("service.access")
API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", API_POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
_TRANSPORT: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


class Envelope:
    def __init__(self, app: ASGIApp, store: Store, metrics: Metrics, tracing: Tracing) -> None:
        self._app, self._store, self._metrics, self._tracing = app, store, metrics, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trail = begin(scope)
        scope.setdefault("state", {})["trail"] = trail
        outgoing = _Outgoing(scope, receive, send, trail, self._store)
        ids = {"request_id": trail.request_id, "correlation_id": trail.correlation_id}
        with structlog.contextvars.bound_contextvars(**ids), self._tracing.request(scope) as span:
            try:
                await self._app(scope, receive, outgoing.send)
            except Exception:  # the last barrier: whatever gets here is a defect, and its text stays inside
                _log.exception("defect", path=_template(scope))
                await outgoing.instead(InternalError("defect"))
            self._tell(scope, trail, outgoing.status, span)

    def _tell(self, scope: Scope, trail: Trail, status: int, span: Span) -> None:
        if trail.last:
            trail.last()
        path, method = _template(scope), scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests.labels(path, method, str(status), trail.code).inc()
        self._metrics.latency.labels(path).observe(trail.elapsed_s)
        span.tell(path=path, method=method, status=status, code=trail.code, request_id=trail.request_id)
        _log.info(
            "answered", path=path, method=method, status=status, code=trail.code, caller=trail.caller,
            duration_ms=round(trail.elapsed_s * 1000, 3),
        )  # fmt: skip


_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def _template(scope: Scope) -> str:
    """The route's path with its placeholders: a raw path could hold anything, and must not reach logs or labels."""
    return str(getattr(scope.get("route"), "path", None) or _plain(scope) or "unmatched")


def _plain(scope: Scope) -> str | None:
    """Files below a mount and the framework's own pages leave no route behind: `/static/{path}`, whatever the path."""
    plain = (each for each in scope["app"].routes if isinstance(each, Mount | Route)) if "endpoint" in scope else ()
    return next((each.path_format for each in plain if getattr(each, "endpoint", each.app) is scope["endpoint"]), None)


class _Outgoing:
    """Lets the first byte out only when the audit row lies in the store."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, trail: Trail, store: Store) -> None:
        self._scope, self._receive, self._send, self._trail, self._store = scope, receive, send, trail, store
        self._replaced = False
        self.status = 0

    async def send(self, message: Message) -> None:
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            try:
                await self._settle(message["status"])
            except StoreUnavailable as error:
                await self.instead(error)
                return
            self._dress(message)
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            await asyncio.sleep(0)  # the loop sends what was written at the end of its turn: this ends it

    async def instead(self, error: EcgError) -> None:
        """This problem in place of whatever the application says; nothing when its answer is already on its way."""
        if self.status:
            return
        self._trail.code = problems.code_for(error)
        if isinstance(error, StoreUnavailable):
            self._trail.settled = True
        response = problems.response(error, self._trail.request_id, self._trail.accept)
        await response(self._scope, self._receive, self.send)
        self._replaced = True

    async def _settle(self, status: int) -> None:
        if self._trail.is_due and self._trail.code != StoreUnavailable.code:
            await self._store.record(self._trail.entry(status, self._trail.code))
        self._trail.settled = True

    def _dress(self, message: Message) -> None:
        self.status = message["status"]
        there = {name for name, _ in message["headers"]}
        ours = (*_HEADERS, _TRANSPORT) if self._scope["scheme"] == "https" else _HEADERS
        message["headers"] = [
            *message["headers"],
            (b"x-request-id", self._trail.request_id.encode("latin-1")),
            (b"x-correlation-id", self._trail.correlation_id.encode("latin-1")),
            *(each for each in ours if each[0] not in there),
        ]
