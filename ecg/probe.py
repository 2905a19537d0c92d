"""A known ECG and its known answer: stamped at export, verified at start-up."""
