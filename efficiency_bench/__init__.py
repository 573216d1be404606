"""efficiency-bench measures how fast the compute to a fixed accuracy falls."""

__version__ = "0.2.0"
