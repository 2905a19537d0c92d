"""A small structured state-space network: diagonal states (S4D), each layer one long convolution by FFT.

A baseline for training only: its complex exponentials have no ONNX form in the exporter.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model_training.nets.interface import N_LEADS, Network, Seen


class DiagonalStates(nn.Module):
    """x' = A x + B u, y = Re(C x) + D u for each channel, A diagonal and complex, B = 1, zero-order hold."""

    def __init__(self, channels: int, states: int, longest: float = 0.1, shortest: float = 0.001) -> None:
        super().__init__()
        spread = torch.rand(channels) * (math.log(longest) - math.log(shortest)) + math.log(shortest)
        self.log_step = nn.Parameter(spread)
        self.log_decay = nn.Parameter(torch.full((channels, states), math.log(0.5)))
        self.frequency = nn.Parameter(math.pi * torch.arange(states).float().repeat(channels, 1))
        self.c = nn.Parameter(torch.randn(channels, states, 2) * 0.5**0.5)
        self.d = nn.Parameter(torch.randn(channels))

    def kernel(self, length: int) -> Tensor:
        """The impulse response (channels, length): 2 Re sum over states of C (exp(A dt) - 1) / A exp(A dt l)."""
        a = torch.complex(-self.log_decay.exp(), self.frequency)
        step = a * self.log_step.exp()[:, None]
        held = torch.view_as_complex(self.c) * torch.expm1(step) / a
        powers = torch.exp(step[..., None] * torch.arange(length, device=step.device))
        response: Tensor = 2 * torch.einsum("cs,csl->cl", held, powers).real
        return response

    def forward(self, u: Tensor) -> Tensor:
        length = u.shape[-1]
        # twice the length, so that the circular convolution of the FFT is the causal one
        kernel, signal = torch.fft.rfft(self.kernel(length), 2 * length), torch.fft.rfft(u, 2 * length)
        through: Tensor = torch.fft.irfft(kernel * signal, 2 * length)[..., :length]
        return through + self.d[:, None] * u


class S4Layer(nn.Module):
    """Forwards and backwards in time, gated mixing of channels, residual, norm."""

    def __init__(self, channels: int, states: int, rate: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.forwards, self.backwards = DiagonalStates(channels, states), DiagonalStates(channels, states)
        self.mix, self.drop = nn.Conv1d(2 * channels, 2 * channels, 1), nn.Dropout(rate)

    def forward(self, x: Tensor) -> Tensor:
        u = self.norm(x.transpose(1, 2)).transpose(1, 2)
        both = torch.cat((self.forwards(u), self.backwards(u.flip(-1)).flip(-1)), dim=1)
        mixed: Tensor = self.drop(F.glu(self.mix(F.gelu(both)), dim=1))
        return x + mixed


class S4(Network):
    def __init__(
        self, channels: int = 128, states: int = 8, layers: int = 4, stride: int = 2, rate: float = 0.1
    ) -> None:
        super().__init__()
        self.embedding_size = 2 * channels
        self.stem = nn.Conv1d(N_LEADS, channels, 2 * stride + 1, stride, stride)
        self.layers = nn.Sequential(*(S4Layer(channels, states, rate) for _ in range(layers)))

    def forward(self, ecg: Tensor, lead_mask: Tensor) -> Seen:
        x = self.layers(self.stem(ecg * lead_mask[..., None]))
        return Seen(torch.cat((x.mean(dim=-1), x.amax(dim=-1)), dim=1))
