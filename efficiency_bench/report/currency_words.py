"""The words for what a fit counts, by the field that names its unit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """How one currency is spoken of."""

    noun: str
    """As in ``44x less compute``."""
    unit: str
    """Head of a table's column."""
    basis: str
    """How it is counted."""
    axis: str
    """Title of a chart's axis."""


WORDS = {
    "paper3x_tfs_days": Words(
        "compute",
        "tfs-days",
        "3 × forward MACs",
        "training compute, teraflop/s-days (3 × forward MACs)",
    ),
    "exact_flops": Words("compute", "FLOP", "exact FLOPs", "training compute, FLOP"),
    "train_seconds": Words("time", "s", "seconds of the training clock", "training time, s"),
    "energy_joules": Words(
        "energy", "J", "joules in proportion to training seconds", "training energy, J"
    ),
    "dollars": Words(
        "money", "USD", "dollars in proportion to training seconds", "price of training, USD"
    ),
}
