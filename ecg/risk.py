"""Raw output -> calibrated risk per horizon, percentile, band."""
