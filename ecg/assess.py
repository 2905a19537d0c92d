"""The whole trip of one ECG, readable top to bottom."""
