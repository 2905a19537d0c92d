"""The core: any resting 12-lead ECG, brought to one truth and one risk. Torch-free, web-free."""

__version__ = "0.1.0"
