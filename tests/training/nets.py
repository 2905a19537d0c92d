"""Small networks for tests: the shipped configurations, shrunk or switched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from model_training.nets.config import DualAttentionConfig
from model_training.nets.dual_attention import DualAttention
from model_training.nets.heads import RiskHead
from model_training.nets.risk_model import RiskModel

CONFIGS = Path(__file__).resolve().parents[2] / "model_training" / "configs" / "nets"
SHIPPED = ("paper", "lead_additive", "evidence")


def config(name: str, **switches: Any) -> DualAttentionConfig:
    base = DualAttentionConfig.from_toml(CONFIGS / f"{name}.toml")
    return DualAttentionConfig.from_dict(base.to_dict() | switches)


# Each switch thrown once, from the shipped configuration that it makes sense in.
SWITCHED: dict[str, tuple[str, dict[str, Any]]] = {
    "paper": ("paper", {}),
    "paper_no_lead_attention": ("paper", {"lead_attention": False}),
    "paper_no_temporal_attention": ("paper", {"temporal_attention": False}),
    "paper_neither": ("paper", {"lead_attention": False, "temporal_attention": False}),
    "paper_sequential": ("paper", {"arrangement": "sequential"}),
    "paper_plain_dropout": ("paper", {"dropout_kind": "plain"}),
    "paper_side_channel": ("paper", {"amplitude": "side_channel"}),
    "paper_norm_last": ("paper", {"norm_first": False}),
    "paper_rotary": ("paper", {"positions": "rotary", "temporal_heads": 4}),
    "paper_rhythm": (
        "paper",
        {"view": "rhythm", "sampling_rate_hz": 100.0, "samples": 1000, "lead_size": 64, "strides": [2, 2, 2, 2, 1]},
    ),
    "paper_mask_not_honoured": ("paper", {"honour_lead_mask": False, "ignore_padding": False}),
    "paper_attention_read_out": ("paper", {"read_out": "attention", "read_out_heads": 2, "lead_size": 64}),
    "additive": ("lead_additive", {}),
    "additive_no_lead_attention": ("lead_additive", {"lead_attention": False, "lead_context": "content"}),
    "additive_no_temporal_attention": ("lead_additive", {"temporal_attention": False}),
    "additive_content": ("lead_additive", {"lead_context": "content"}),
    "additive_parallel": ("lead_additive", {"arrangement": "parallel", "lead_context": "content"}),
    "additive_rotary": ("lead_additive", {"positions": "rotary"}),
    "additive_separable": ("lead_additive", {"block": "separable", "amplitude": "side_channel"}),
    "evidence": ("evidence", {}),
    "evidence_median_beat": (
        "evidence",
        {"view": "median_beat", "sampling_rate_hz": 500.0, "samples": 600, "stem_stride": 20, "stem_kernel": 60},
    ),
    "additive_median_beat": ("lead_additive", {"view": "median_beat", "sampling_rate_hz": 500.0, "samples": 600}),
}


def network(name: str, **more: Any) -> DualAttention:
    base, switches = SWITCHED[name]
    return DualAttention(config(base, **(switches | more)))


def risk_model(name: str, hidden: int | None = None) -> RiskModel:
    """With some running statistics, so that nothing is at its symmetric start."""
    torch.manual_seed(0)
    net = network(name)
    model = RiskModel(
        net, RiskHead(net.embedding_size, (3 if name.startswith("paper") else 0) if hidden is None else hidden)
    )
    with torch.no_grad():
        for seed in range(3):
            model(*batch(net, 16, seed))
    return model.eval()


def batch(net: DualAttention, size: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth random leads of ECG size, some leads masked in every third record."""
    chance = torch.Generator().manual_seed(seed)
    walk = torch.randn(size, 12, net.config.samples, generator=chance).cumsum(dim=-1) * 0.02
    mask = torch.ones(size, 12)
    mask[::3, 2], mask[::3, 9] = 0, 0
    return walk - walk.mean(dim=-1, keepdim=True), mask
