"""A two-layer bidirectional LSTM over samples taken a few at a time; average, maximum and last state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model_training.nets.interface import N_LEADS, Network, Seen


class BiLSTM(Network):
    """`step` samples of twelve leads make one input vector, so that ten seconds stay a bearable length."""

    def __init__(self, hidden: int = 128, layers: int = 2, step: int = 4) -> None:
        super().__init__()
        self.step, self.embedding_size = step, 6 * hidden
        self.lstm = nn.LSTM(N_LEADS * step, hidden, layers, batch_first=True, bidirectional=True)

    def forward(self, ecg: Tensor, lead_mask: Tensor) -> Seen:
        whole = ecg.shape[-1] // self.step * self.step
        x = (ecg * lead_mask[..., None])[..., :whole]
        steps = x.unflatten(-1, (-1, self.step)).transpose(1, 2).flatten(2)
        states, (last, _) = self.lstm(steps)
        ends = torch.cat((last[-2], last[-1]), dim=1)
        return Seen(torch.cat((states.mean(dim=1), states.amax(dim=1), ends), dim=1))
