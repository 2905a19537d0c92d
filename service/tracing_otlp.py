"""The only importer of OpenTelemetry: spans sent to a collector over HTTP, the caller's trace continued."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import Scope

from ecg.assess import Stage
from service.tracing import by_the_clock


class OtlpSpan:
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def tell(self, **facts: str | int) -> None:
        self._span.update_name(f"{facts['method']} {facts['path']}")
        self._span.set_attributes({f"ecg.{name}": value for name, value in facts.items()})


class OtlpTracing:
    def __init__(self, endpoint: str) -> None:
        self._provider = TracerProvider(resource=Resource.create({"service.name": "ecg-heart-failure-risk"}))
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("service")

    @contextmanager
    def request(self, scope: Scope) -> Iterator[OtlpSpan]:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        # traceparent alone: baggage and tracestate could carry anything on.
        parent = TraceContextTextMapPropagator().extract({"traceparent": headers.get("traceparent", "")})
        span = self._tracer.start_span("request", context=parent, kind=trace.SpanKind.SERVER)
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            yield OtlpSpan(span)

    def stages(self, stages: Iterable[Stage]) -> None:
        for name, start, end in by_the_clock(stages):
            self._tracer.start_span(name, start_time=start).end(end)

    def close(self) -> None:
        self._provider.shutdown()
