"""OpenTelemetry traces, where an endpoint is configured: a span a request, one a stage. No payload."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

from starlette.types import Scope

from ecg.assess import Stage

_NANOSECONDS: Final = 1_000_000_000


class Tracing(Protocol):
    def request(self, scope: Scope) -> Any:
        """A context around one request; entering it gives a Span."""

    def stages(self, stages: Iterable[Stage]) -> None:
        """The stages of an answer that was just made."""

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

    def stages(self, stages: Iterable[Stage]) -> None:
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


def by_the_clock(stages: Iterable[Stage]) -> Iterator[tuple[str, int, int]]:
    """Name, start and end of each in nanoseconds of the calendar's time."""
    ahead_ns = time.time_ns() - time.perf_counter_ns()
    for name, began_s, ended_s in stages:
        yield name, ahead_ns + round(began_s * _NANOSECONDS), ahead_ns + round(ended_s * _NANOSECONDS)
