"""The same application as a Ray Serve deployment: `serve run service.ray_serve:app`. Each replica is one worker."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from ray import serve

from service import logs, memory
from service.app import create_app
from service.settings import load


def build() -> FastAPI:
    """What each replica runs, from its environment; models are reloaded by POST /models/reload, replica by replica."""
    settings = load()
    logs.configure(settings.log_level)
    memory.keep_freed()
    return create_app(settings)


@serve.deployment(
    ray_actor_options={"num_cpus": 1},
    max_ongoing_requests=load().queue_size,
    autoscaling_config={"min_replicas": 2, "max_replicas": 20, "target_ongoing_requests": 2},
    health_check_period_s=10,
    graceful_shutdown_timeout_s=load().shutdown_timeout_s,
)
@serve.ingress(build)
class Ecg:
    """Nothing of its own: the application is all there is."""


_deployment: Any = Ecg
app = _deployment.bind()
