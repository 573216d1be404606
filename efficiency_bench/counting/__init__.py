"""Compute per image, counted by two independent counters, and the compute total of a run."""

from efficiency_bench.counting.audit import (
    Audit,
    CostVariesError,
    CountersDisagreeError,
    audit,
    audited_count,
)
from efficiency_bench.counting.forward import ForwardCount, count_forward, trainable_parameters
from efficiency_bench.counting.meter import SegmentMeter
from efficiency_bench.counting.trace import UncountedOperatorError

__all__ = [
    "Audit",
    "CostVariesError",
    "CountersDisagreeError",
    "ForwardCount",
    "SegmentMeter",
    "UncountedOperatorError",
    "audit",
    "audited_count",
    "count_forward",
    "trainable_parameters",
]
