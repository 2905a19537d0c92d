"""Prometheus: latency by stage, outcomes, quality reasons, risk, queue, drift. Counts only; no one patient."""

from __future__ import annotations

import bisect
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from service.settings import is_shared, share

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
DIRECTORY: Final = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SCORES: Final = tuple(float(edge) for edge in range(5, 100, 5))
DECILES: Final = 10
_DECILES: Final = "ecg_log_hazard_decile"


def share_directory(path: str) -> None:
    """Counters of several worker processes meet in this folder. Call before the workers start."""
    share(DIRECTORY, path)


class Metrics:
    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self._models: set[tuple[str, str, str, str]] = set()
        self.requests = Counter(
            "ecg_requests",
            "Answers by path, method, status and outcome code",
            ["path", "method", "status", "code"],
            registry=registry,
        )
        self.latency = Histogram(
            "ecg_request_seconds", "Time to the first byte of the answer", ["path"], buckets=_SECONDS, registry=registry
        )
        stages = Histogram(
            "ecg_stage_seconds", "Time of each stage of an answer", ["stage"], buckets=_SECONDS, registry=registry
        )
        self.stage = cache(stages.labels)  # ten stages a request, and to look one up takes as long as to count it
        self.quality = Counter(
            "ecg_quality_issues", "Issues that the quality gate found", ["verdict", "code"], registry=registry
        )
        self.score = Histogram("ecg_risk_score", "Risk scores answered", ["model"], buckets=_SCORES, registry=registry)
        self.band = Counter("ecg_risk_band", "Risk bands answered", ["model", "band"], registry=registry)
        self.decile = Counter(
            _DECILES, "Answers by decile of the model's reference population", ["model", "decile"], registry=registry
        )
        self.formats = Counter("ecg_recordings", "Recordings judged, by format", ["format"], registry=registry)
        self.model = Gauge(
            "ecg_model_info", "1 for each model served", ["model", "version", "sha256", "default"], registry=registry,
            multiprocess_mode="livemax",
        )  # fmt: skip
        self.queue = Gauge("ecg_queue_places_taken", "Requests held", registry=registry, multiprocess_mode="livesum")
        self.capacity = Gauge(
            "ecg_queue_places", "Requests that can be held", registry=registry, multiprocess_mode="livesum"
        )
        self.batches = Gauge("ecg_batch_places_taken", "Batches held", registry=registry, multiprocess_mode="livesum")
        self.batch_capacity = Gauge(
            "ecg_batch_places", "Batches that can be held", registry=registry, multiprocess_mode="livesum"
        )
        self.batches_waiting = Gauge(
            "ecg_batches_waiting", "Batches that wait for a place", registry=registry, multiprocess_mode="livesum"
        )

    def show_models(self, served: Iterable[tuple[str, str, str, str]]) -> None:
        """1 for each that is served now, 0 for those that were."""
        now = set(served)
        for labels in self._models | now:
            self.model.labels(*labels).set(1 if labels in now else 0)
        self._models |= now

    def answered(self, model: str, *, score: float, band: str, log_hazard: float, reference: tuple[float, ...]) -> None:
        self.score.labels(model).observe(score)
        self.band.labels(model, band).inc()
        self.decile.labels(model, str(decile(log_hazard, reference))).inc()

    def exposition(self) -> bytes:
        registry = self._registry
        if is_shared(DIRECTORY):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        exposed = CollectorRegistry()
        exposed.register(_WithDrift(registry))
        return generate_latest(exposed)


class _WithDrift:
    """All counters of all workers, and the drift that follows from them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        metrics = list(self._registry.collect())
        yield from metrics
        yield drift(metrics)


def drift(metrics: Iterable[Metric]) -> Metric:
    counts: dict[str, dict[int, float]] = defaultdict(dict)
    for metric in metrics:
        for sample in metric.samples:
            if sample.name == f"{_DECILES}_total":
                counts[sample.labels["model"]][int(sample.labels["decile"])] = sample.value
    family = GaugeMetricFamily(
        "ecg_drift_psi", "Population stability index of the log-hazard against the model's reference", labels=["model"]
    )
    for model, by_decile in counts.items():
        family.add_metric([model], population_stability_index(by_decile))
    return family


def decile(log_hazard: float, reference: tuple[float, ...]) -> int:
    """Which tenth of the reference population (percentiles 0..100) this log-hazard falls into, 0..9."""
    edges = [reference[percentile] for percentile in range(10, 100, 10)]
    return bisect.bisect_right(edges, log_hazard)


def population_stability_index(counts: Mapping[int, float]) -> float:
    """sum over tenths of (seen - 1/10) * ln(seen / (1/10)); half a count keeps an empty tenth finite."""
    total = sum(counts.values()) + 0.5 * DECILES
    shares = [(counts.get(tenth, 0.0) + 0.5) / total for tenth in range(DECILES)]
    return math.fsum((share_ - 1 / DECILES) * math.log(share_ * DECILES) for share_ in shares)
