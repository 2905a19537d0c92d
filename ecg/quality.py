"""The gate: TwelveLead and limits -> QualityReport with machine-readable reasons."""
