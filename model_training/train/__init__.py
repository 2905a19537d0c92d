"""Training: one loop for every task, what it keeps on disk, pretraining, and the probe that judges an encoder."""
