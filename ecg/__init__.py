"""The core: any resting 12-lead ECG, brought to one truth and one risk. Torch-free, web-free."""
