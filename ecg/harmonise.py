"""Recording -> TwelveLead: rename, order, units, derive missing limb leads, check Einthoven."""
