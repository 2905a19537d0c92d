"""The science door: cohorts, simulation, pretraining, fine-tuning, evaluation, export. Torch lives here."""
