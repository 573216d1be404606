"""Robustness checks of the headline: bootstraps, Theil-Sen, power."""
