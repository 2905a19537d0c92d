"""WFDB records: a header and its signals."""
