"""How a recording becomes a tensor, as an experiment states it in TOML: input, ordered steps, quality limits.

Without a [quality] table the gate's recommended limits hold; the artefact states whichever were used.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ecg.contract import InputFacts, QualityLimits, Step, recipe_digest
from ecg.leads import LEADS
from ecg.quality import RECOMMENDED

RECIPES: Final = Path(__file__).parent / "configs" / "recipes"


class RecipeError(Exception):
    """The TOML does not state a complete recipe; the message names each field at fault."""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    input: InputFacts
    preprocessing: tuple[Step, ...] = Field(min_length=1)
    quality: QualityLimits = RECOMMENDED


@dataclass(frozen=True, slots=True)
class Recipe:
    name: str
    input: InputFacts
    steps: tuple[Step, ...]
    quality: QualityLimits

    @property
    def digest(self) -> str:
        """Names the tensor cache, sits in the checkpoint and must match at export."""
        return recipe_digest(self.input, self.steps)


def load(name_or_path: str | Path) -> Recipe:
    """A recipe shipped under configs/recipes by its name, or any TOML file by its path."""
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = RECIPES / f"{name_or_path}.toml"
    if not path.is_file():
        shipped = sorted(each.stem for each in RECIPES.glob("*.toml"))
        raise RecipeError(f"no recipe {name_or_path}; shipped: {', '.join(shipped)}")
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    document["input"] = {"leads": LEADS, "unit": "mV", "layout": "batch_lead_time", **document.get("input", {})}
    try:
        parsed = _Document.model_validate(document, strict=False)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise RecipeError(f"{path.name}: " + "; ".join(problems)) from error
    return Recipe(path.stem, parsed.input, parsed.preprocessing, parsed.quality)
