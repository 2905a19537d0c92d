"""Structured text of a recording: one sentence a statement code, weighted by how likely the code is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from model_training.data.ptbxl import Statement

# Likelihood 0 stands for a statement that is there without a stated likelihood. It counts half as much as a certain
# one: dropping it would lose nearly every rhythm and form statement.
UNSTATED_LIKELIHOOD: Final = 50.0


@dataclass(frozen=True, slots=True)
class Weighted:
    text: str
    weight: float


def structured(codes: Mapping[str, float], meanings: Mapping[str, Statement]) -> tuple[Weighted, ...]:
    """Sentences such as "Myocardial Infarction: inferior myocardial infarction" with weights that sum to 1."""
    known = [
        (meanings[code], likelihood or UNSTATED_LIKELIHOOD)
        for code, likelihood in sorted(codes.items())
        if code in meanings
    ]
    total = sum(likelihood for _, likelihood in known)
    return tuple(Weighted(sentence(statement), likelihood / total) for statement, likelihood in known)


def sentence(statement: Statement) -> str:
    return f"{statement.category}: {statement.description}" if statement.category else statement.description
