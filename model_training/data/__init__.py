"""Cohorts: one adapter a data set, one type for all, prepared through the core alone."""
