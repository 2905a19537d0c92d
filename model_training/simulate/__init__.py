"""People, recordings and outcomes whose true answer is known. Everything made here is SIMULATED."""
