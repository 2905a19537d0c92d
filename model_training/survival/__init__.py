"""What a survival model is worth: discrimination, accuracy, calibration and use, each with an interval. Numpy alone."""
