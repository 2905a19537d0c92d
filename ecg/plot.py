"""A calibrated 12-lead sheet (25 mm/s, 10 mm/mV) with the attention laid over it."""
