"""Reproducibility checks: retrain a run, kill and resume one, recheck data and counts."""
