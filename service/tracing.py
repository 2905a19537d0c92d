"""OpenTelemetry traces, where an endpoint is configured: a span a request, one a stage. No payload."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Protocol

from starlette.types import Scope

_NANOSECONDS: Final = 1_000_000_000


class Tracing(Protocol):
    def request(self, scope: Scope) -> Any:
        """A context around one request; entering it gives a Span."""

    def stages(self, seconds: Mapping[str, float]) -> None:
        """The stages of an answer that was just made, in their order."""

    def close(self) -> None:
        """Send what waits."""


class Span(Protocol):
    def tell(self, **facts: str | int) -> None:
        """What became of the request."""


class _Silent:
    def tell(self, **facts: str | int) -> None:
        pass


class NoTracing:
    @contextmanager
    def request(self, scope: Scope) -> Iterator[Span]:
        yield _Silent()

    def stages(self, seconds: Mapping[str, float]) -> None:
        pass

    def close(self) -> None:
        pass


def make(endpoint: str | None) -> Tracing:
    """The optional packages are imported only when they are asked for."""
    if endpoint is None:
        return NoTracing()
    try:
        from service.tracing_otlp import OtlpTracing
    except ImportError as error:
        raise SystemExit("OTEL_EXPORTER_OTLP_ENDPOINT is set: install the extra `tracing`") from error
    return OtlpTracing(endpoint)


def ends(seconds: Mapping[str, float], now_ns: int | None = None) -> Iterator[tuple[str, int, int]]:
    """Stage, start and end in nanoseconds: one after the other, the last one ending now."""
    end = (now_ns or time.time_ns()) - round(sum(seconds.values()) * _NANOSECONDS)
    for stage, duration_s in seconds.items():
        start, end = end, end + round(duration_s * _NANOSECONDS)
        yield stage, start, end
