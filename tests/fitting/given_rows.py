"""Dates of six given rows, for simulated ledgers."""

X6 = [0.0, 27.5, 58.5, 61.0, 73.0, 83.9]
"""Months of six rows, about those of the 2020 paper's frontier."""
