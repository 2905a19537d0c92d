"""python -m model_training: every verb of the science door."""

from __future__ import annotations

import typer

from model_training.commands import ablate, cohorts, explain, make, pretrain, risk, robustness, simulate

app = typer.Typer(
    name="model_training",
    help="Cohorts, simulation, pretraining, fine-tuning, evaluation and export of ECG heart-failure models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
cohorts.register(app)
pretrain.register(app)
risk.register(app)
make.register(app)
ablate.register(app)
simulate.register(app)
explain.register(app)
robustness.register(app)
