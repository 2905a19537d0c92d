"""Scoring a cohort: the same trip as one upload, for any number of files, without a server."""
