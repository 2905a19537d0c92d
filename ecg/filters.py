"""Zero-phase filters and resampling for all leads at once."""
