"""What is said of an ECG, as numbers: statements and reports, language-model encoders, a cache of embeddings."""
