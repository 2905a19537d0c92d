"""The exported graph on one thread, maps included: alone and in batches, beside the paper's configuration."""

from __future__ import annotations

import time

import numpy as np
import onnxruntime
import torch

from ecg.contract import Bands, Calibration, Horizon, OutputFacts
from model_training.export import to_onnx
from model_training.nets import DUAL_ATTENTION, dual_attention_config
from model_training.nets.dual_attention import DualAttention
from model_training.nets.heads import RiskHead
from model_training.nets.interface import parameters_in
from model_training.nets.risk_model import RiskModel

BATCHES = (1, 8, 32)
ROUNDS, RUNS = 12, 10
OUTPUT = OutputFacts(
    kind="log_hazard",
    horizons=(Horizon(years=5.0, baseline_survival=0.95, log_cumulative_hazard_se=0.1),),
    calibration=Calibration(center=0.0, slope=1.0),
    reference_log_hazard_percentiles=tuple(map(float, range(101))),
    bands=Bands(moderate_from_percentile=50.0, high_from_percentile=90.0, source="none: a measurement of speed"),
    log_hazard_se=0.1,
)


class Running:
    """One network in one session on one thread, and the least time of a run at each batch size."""

    def __init__(self, name: str) -> None:
        torch.manual_seed(0)
        config = dual_attention_config(name)
        network = DualAttention(config)
        model = RiskModel(network, RiskHead(config.embedding_size, 3 if name == "paper" else 0)).eval()
        data = to_onnx(model, config.samples, OUTPUT).SerializeToString()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.name, self.parameters, self.kilobytes = name, parameters_in(model), len(data) // 1024
        self.session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        chance = np.random.default_rng(0)
        self.feeds = {
            size: {
                "ecg": chance.normal(size=(size, 12, config.samples)).astype(np.float32),
                "lead_mask": np.ones((size, 12), np.float32),
            }
            for size in BATCHES
        }
        self.times: dict[int, list[float]] = {size: [] for size in BATCHES}

    def measure(self, size: int) -> None:
        for _ in range(RUNS):
            start = time.perf_counter()
            self.session.run(None, self.feeds[size])
            self.times[size].append(1e3 * (time.perf_counter() - start) / size)


def main() -> None:
    networks = [Running(name) for name in DUAL_ATTENTION]
    for _ in range(ROUNDS):  # in turns, so that a busy neighbour slows all alike
        for size in BATCHES:
            for network in networks:
                network.measure(size)
    paper = next(network for network in networks if network.name == "paper")
    for network in networks:
        print(f"{network.name}: {network.parameters:,} parameters with head, file {network.kilobytes} kB")
        for size in BATCHES:
            least, middle = min(network.times[size]), float(np.median(network.times[size]))
            ratio = min(paper.times[size]) / least
            print(
                f"  batch {size:2d}: {least:.2f} ms a record (median {middle:.2f}), {1e3 / least:,.0f} records/s,"
                f" {ratio:.2f} x the paper's configuration"
            )


if __name__ == "__main__":
    main()
