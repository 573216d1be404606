"""Compute per image, counted by fvcore, and the account of a run."""

from efficiency_bench.counting.forward import ForwardCount, count_forward
from efficiency_bench.counting.meter import SegmentMeter
from efficiency_bench.counting.trace import UncountedOperatorError

__all__ = ["ForwardCount", "SegmentMeter", "UncountedOperatorError", "count_forward"]
