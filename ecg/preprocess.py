"""prepare(TwelveLead, steps) -> float32 tensor; ordered, versioned, immutable steps."""
