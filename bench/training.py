"""One training step at batch 128 on one thread, beside the paper's network written straightforwardly, in turns."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from statistics import median
from typing import Final

import torch
from torch import Tensor, nn

from bench import _document
from bench._naive_dual_attention import NaiveDecoder, NaiveDualAttention
from model_training.losses import cox_partial_likelihood, reconstruction
from model_training.nets import DUAL_ATTENTION, dual_attention_config
from model_training.nets.dual_attention import DualAttention
from model_training.nets.heads import Decoder, RiskHead
from model_training.nets.interface import all_leads
from model_training.nets.risk_model import RiskModel

BATCH: Final = 128
ROUNDS: Final = int(os.environ.get("BENCH_ROUNDS", "7")) + 1  # the first one warms up


@dataclass
class Step:
    """Forward, Cox and reconstruction loss, backward, AdamW."""

    name: str
    forward: Callable[[Tensor], tuple[Tensor, Tensor]]
    parts: tuple[nn.Module, ...]
    samples: int
    seconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        chance = torch.Generator().manual_seed(0)
        self.ecg = torch.randn(BATCH, 12, self.samples, generator=chance)
        self.time = torch.rand(BATCH, generator=chance)
        self.event = torch.rand(BATCH, generator=chance) < 0.1
        self.optimiser = torch.optim.AdamW(chain.from_iterable(part.parameters() for part in self.parts))

    def run(self) -> None:
        start = time.perf_counter()
        log_hazard, drawn = self.forward(self.ecg)
        loss = cox_partial_likelihood(log_hazard, self.time, self.event) + reconstruction(drawn, self.ecg)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.seconds.append(time.perf_counter() - start)


def straightforward() -> Step:
    network, decoder = NaiveDualAttention(), NaiveDecoder()

    def forward(ecg: Tensor) -> tuple[Tensor, Tensor]:
        log_hazard, embedding = network(ecg)
        return log_hazard, decoder(embedding)

    return Step("straightforward (twelve modules in a loop)", forward, (network, decoder), 608)


def ours(name: str) -> Step:
    config = dual_attention_config(name)
    model = RiskModel(DualAttention(config), RiskHead(config.embedding_size, 3 if name == "paper" else 0))
    decoder = Decoder(config)

    def forward(ecg: Tensor) -> tuple[Tensor, Tensor]:
        judgement = model(ecg, all_leads(ecg))
        return judgement.log_hazard, decoder(judgement.seen.embedding)

    return Step(name, forward, (model, decoder), config.samples)


def told(steps: list[Step]) -> list[str]:
    yardstick = steps[0]
    lines = [
        "`python -m bench training`: forward, Cox and reconstruction loss, backward and AdamW over batches of",
        f"{BATCH} on one thread; {ROUNDS - 1} rounds in turns, beside the paper's network written straightforwardly.",
        "",
        "| network | samples/s, best | samples/s, median | times the straightforward one (median of pairs) |",
        "|---|---|---|---|",
    ]
    for step in steps:
        least, middle = min(step.seconds[1:]), median(step.seconds[1:])
        paired = median(a / b for a, b in zip(yardstick.seconds[1:], step.seconds[1:], strict=True))
        lines.append(f"| {step.name} | {BATCH / least:,.0f} | {BATCH / middle:,.0f} | {paired:.2f} |")
    return lines


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    steps = [straightforward(), *(ours(name) for name in DUAL_ATTENTION)]
    for _ in range(ROUNDS):  # in turns, so that a busy neighbour slows all alike
        for step in steps:
            step.run()
    lines = told(steps)
    numbers = {step.name: step.seconds[1:] for step in steps}
    _document.keep("training", {"seconds_a_step": numbers, "batch": BATCH, "told": lines})
    print("\n".join(lines))


if __name__ == "__main__":
    main()
