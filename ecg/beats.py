"""R peaks, beat alignment, median beat, wave measurements."""
