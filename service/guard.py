"""The dependency that stands before an endpoint: who calls, whether they may, and whether not too often."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final

import structlog
from fastapi import Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from service import house, trail
from service.auth import Caller, Scope

_KEY_HEADER: Final = "X-API-Key"
_api_key = APIKeyHeader(name=_KEY_HEADER, auto_error=False, description="A key made by `python -m service.auth new`")
_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="A token of the configured issuer")
Guard = Callable[..., Coroutine[Any, Any, Caller]]


def may(*any_of: Scope) -> Guard:
    """One of these scopes is needed."""

    async def guard(
        request: Request,
        api_key: Annotated[str | None, Security(_api_key)],
        _token: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    ) -> Caller:
        home = house.of(request)
        caller = home.gate.identify(request.headers.get("authorization"), api_key)
        trail.of(request).caller = caller.name
        structlog.contextvars.bind_contextvars(caller=caller.name)
        caller.require(*any_of)
        if home.rate:
            home.rate.admit(caller.name)
        return caller

    return guard


def straight_past(guard: Guard) -> type[APIRoute]:
    """A route whose endpoint takes the request and the guarded caller only, and answers with a Response of its own.

    The framework then tells it in the OpenAPI document, and does not look for parameters at each request.
    """

    class Straight(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            endpoint = self.endpoint

            async def handle(request: Request) -> Response:
                caller = await guard(request, request.headers.get(_KEY_HEADER), None)
                answer: Response = await endpoint(request, caller)
                return answer

            return handle

    return Straight
