"""Networks behind one interface: `build(name)` gives one that turns (ecg, lead_mask) into `Seen`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from model_training.nets.bilstm import BiLSTM
from model_training.nets.config import DualAttentionConfig
from model_training.nets.conv_vae import ConvVAE
from model_training.nets.dual_attention import DualAttention
from model_training.nets.inception_time import InceptionTime
from model_training.nets.interface import Network
from model_training.nets.random_encoder import RandomEncoder
from model_training.nets.resnet1d import ResNet1dWang
from model_training.nets.s4 import S4
from model_training.nets.xresnet1d import XResNet1d101

CONFIGS = Path(__file__).resolve().parent.parent / "configs" / "nets"
DUAL_ATTENTION = tuple(sorted(path.stem for path in CONFIGS.glob("*.toml")))
BASELINES: dict[str, Callable[[int], Network]] = {
    "xresnet1d101": lambda samples: XResNet1d101(),
    "resnet1d_wang": lambda samples: ResNet1dWang(),
    "inception_time": lambda samples: InceptionTime(),
    "bilstm": lambda samples: BiLSTM(),
    "s4": lambda samples: S4(),
    "conv_vae": ConvVAE,
    "random_encoder": lambda samples: RandomEncoder(XResNet1d101()),
}


def dual_attention_config(name: str) -> DualAttentionConfig:
    """A shipped configuration by name."""
    return DualAttentionConfig.from_toml(CONFIGS / f"{name}.toml")


def build(name: str, samples: int) -> Network:
    """A baseline for recordings of `samples`, or the dual attention network of a shipped configuration."""
    if name in BASELINES:
        return BASELINES[name](samples)
    if name not in DUAL_ATTENTION:
        raise ValueError(f"no network {name!r}; there are {[*BASELINES, *DUAL_ATTENTION]}")
    config = dual_attention_config(name)
    if config.samples != samples:
        raise ValueError(f"{name} looks at {config.samples} samples, the recordings have {samples}")
    return DualAttention(config)
