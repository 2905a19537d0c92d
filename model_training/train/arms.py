"""The arms of pretraining, and the configuration of one: objectives and weights, text, augmentation, schedule."""

from __future__ import annotations

import json
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from model_training.augment import Augmentation
from model_training.nets.config import DualAttentionConfig
from model_training.train.loop import FitOptions
from model_training.train.material import TextSource

NETS: Final = Path(__file__).resolve().parents[1] / "configs" / "nets"


class Arm(StrEnum):
    """What is compared. `none` starts from scratch; `random_frozen` is never trained; `best` mixes at will."""

    NONE = "none"
    RANDOM_FROZEN = "random_frozen"
    RECONSTRUCTION = "reconstruction"
    CLASSIFICATION = "classification"
    ALIGN_RAW_TEXT = "align_raw_text"
    ALIGN_STRUCTURED = "align_structured"
    ALIGN_SHUFFLED = "align_shuffled"
    BEST = "best"

    @property
    def trains(self) -> bool:
        return self not in (Arm.NONE, Arm.RANDOM_FROZEN)


class Alignment(StrEnum):
    """The paper's 1 - cosine, which has no negatives, or a contrastive loss in which alike texts are no negatives."""

    COSINE = "cosine"
    SOFT_CONTRASTIVE = "soft_contrastive"


class PretrainError(Exception):
    """The configuration or the data cannot serve this arm; the message says what is missing."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Weights(_Frozen):
    """How much each objective counts; 0 leaves it out."""

    reconstruction: float = Field(default=0.0, ge=0)
    superclass: float = Field(default=0.0, ge=0)
    statements: float = Field(default=0.0, ge=0)
    demographics: float = Field(default=0.0, ge=0)
    alignment: float = Field(default=0.0, ge=0)


class Folds(_Frozen):
    """`validate_on` picks the best epoch; empty, the last epoch is kept and every training fold is learned from."""

    train: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    validate_on: tuple[int, ...] = ()


class Text(_Frozen):
    source: TextSource = TextSource.NONE
    encoder: str = "minilm"
    alignment: Alignment = Alignment.SOFT_CONTRASTIVE
    temperature: float = Field(default=0.1, gt=0)


class Changes(_Frozen):
    """`mixup` is the parameter of the Beta distribution that pairs of records are blended by; 0 blends none."""

    lead_set: float = Field(default=0.0, ge=0, le=1)
    lead_drop: float = Field(default=0.0, ge=0, lt=1)
    gain_sd: float = Field(default=0.0, ge=0)
    shift_samples: int = Field(default=0, ge=0)
    noise_mv: float = Field(default=0.0, ge=0)
    mixup: float = Field(default=0.0, ge=0)

    @property
    def of_records(self) -> Augmentation:
        return Augmentation(**self.model_dump(exclude={"mixup"}))


# Objectives that an arm is made of; any other must weigh 0, or the table would compare what it does not name.
_MADE_OF: Final[dict[Arm, set[str]]] = {
    Arm.NONE: set(),
    Arm.RANDOM_FROZEN: set(),
    Arm.RECONSTRUCTION: {"reconstruction"},
    Arm.CLASSIFICATION: {"superclass"},
    Arm.ALIGN_RAW_TEXT: {"alignment", "reconstruction"},
    Arm.ALIGN_STRUCTURED: {"alignment", "reconstruction"},
    Arm.ALIGN_SHUFFLED: {"alignment", "reconstruction"},
    Arm.BEST: set(Weights.model_fields),
}
_TEXT_OF: Final = {
    Arm.ALIGN_RAW_TEXT: TextSource.RAW,
    Arm.ALIGN_STRUCTURED: TextSource.STRUCTURED,
    Arm.ALIGN_SHUFFLED: TextSource.SHUFFLED,
}


class PretrainConfig(_Frozen):
    arm: Arm
    recipe: str = "rhythm-100hz"
    network: str = "evidence"
    batch_size: int = Field(default=64, ge=2)
    head_dropout: float = Field(default=0.25, ge=0, lt=1)
    weights: Weights = Weights()
    folds: Folds = Folds()
    text: Text = Text()
    augmentation: Changes = Changes()
    fit: FitOptions

    @model_validator(mode="after")
    def _names_what_it_does(self) -> Self:
        used = {name for name, weight in self.weights.model_dump().items() if weight}
        if extra := used - _MADE_OF[self.arm]:
            raise ValueError(f"the arm {self.arm} has no objective {sorted(extra)}")
        if self.arm.trains and not used:
            raise ValueError(f"the arm {self.arm} needs a weight above 0 for one of {sorted(_MADE_OF[self.arm])}")
        wanted = _TEXT_OF.get(self.arm, self.text.source)
        if self.text.source is not wanted or bool(self.weights.alignment) != (wanted is not TextSource.NONE):
            raise ValueError(f"the arm {self.arm} aligns with text {wanted}, with a weight above 0")
        if shared := set(self.folds.train) & set(self.folds.validate_on):
            raise ValueError(f"folds {sorted(shared)} are both learned from and judged on")
        if self.fit.select and not self.folds.validate_on:
            raise ValueError(f"choosing by {self.fit.select} needs folds.validate_on")
        return self

    @property
    def net(self) -> DualAttentionConfig:
        path = Path(self.network)
        return DualAttentionConfig.from_toml(path if path.suffix == ".toml" else NETS / f"{self.network}.toml")


def read_config(text: str) -> PretrainConfig:
    try:
        return PretrainConfig.model_validate(tomllib.loads(text))
    except (ValidationError, tomllib.TOMLDecodeError) as error:
        raise PretrainError(f"configuration: {error}") from error


def to_toml(config: PretrainConfig) -> str:
    """Everything in full, defaults too, so that the run's folder tells what was done whatever defaults become."""
    return toml_of(config.model_dump(mode="json", exclude={"fit": {"show_progress"}}))


def toml_of(values: dict[str, Any], inside: str = "") -> str:
    """Plain values, then tables; strings, numbers, booleans and lists of them are written the same as in JSON."""
    plain = [f"{name} = {json.dumps(value)}" for name, value in values.items() if not isinstance(value, dict)]
    text = "\n".join(plain) + "\n"
    for name, value in values.items():
        if isinstance(value, dict):
            path = f"{inside}{name}"
            text += f"\n[{path}]\n" + toml_of(value, f"{path}.")
    return text
