"""Ray Serve with as many replicas as the service has processes."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

from ray import serve
from starlette.requests import Request

from bench.peers._pipeline import Pipeline


@serve.deployment(ray_actor_options={"num_cpus": 1}, max_ongoing_requests=8)
class Ecg:
    def __init__(self) -> None:
        self.pipeline = Pipeline()

    async def __call__(self, request: Request) -> dict[str, Any]:
        return self.pipeline(await request.body())


if __name__ == "__main__":
    import ray

    ray.init(address="local", num_cpus=int(sys.argv[2]) + 2, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Ecg.options(num_replicas=int(sys.argv[2])).bind(), route_prefix="/predict")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stop.wait()
    serve.shutdown()
