"""Coverage-guided fuzzing of everything that strangers' bytes touch, and its corpus."""
