"""Score a folder on a Ray cluster of three nodes on this machine and kill one of them on the way."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from service import score


def kill_later(cluster: Cluster, node: object, parts: Path) -> None:
    """Once two parts are there, the node goes without a word."""
    while len(list(parts.glob("*.parquet"))) < 2:
        time.sleep(0.02)
    cluster.remove_node(node, allow_graceful=False)
    print("a node was killed", flush=True)


def main(folder: str, model: str, out: str) -> int:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80_000_000})
    doomed = cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
    cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
    ray.init(address=cluster.address, log_to_driver=False)
    killer = threading.Thread(target=kill_later, args=(cluster, doomed, Path(f"{out}.parts")), daemon=True)
    killer.start()
    code = score.main([folder, "--models", model, "--out", out, "--engine", "ray"])
    killer.join(timeout=10)
    ray.shutdown()
    cluster.shutdown()
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
