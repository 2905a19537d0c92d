"""The control that no pretraining may lose to: a network that was never trained, frozen; only its head learns."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from model_training.nets.interface import Network, Seen


class RandomEncoder(Network):
    """Freezes another network as it was initialised. Its norms keep the statistics of one `settle` pass."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network, self.embedding_size = network.requires_grad_(False), network.embedding_size
        self.network.eval()

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.network.eval()
        return self

    @torch.no_grad()
    def settle(self, ecg: Tensor, lead_mask: Tensor) -> None:
        """Let the norms see data once, without labels or gradients, so that features have a sane scale."""
        self.network.train()
        for module in self.network.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.momentum = None
                module.reset_running_stats()
        self.network(ecg, lead_mask)
        self.network.eval()

    def forward(self, ecg: Tensor, lead_mask: Tensor) -> Seen:
        return self.network(ecg, lead_mask)
