"""Three runs of CIFAR-10 from before the small forms had one rule: entries and their logs.

They were trained by code and networks that are no longer here, and so hold what must not change: an
old log gives its entry byte for byte.
"""

from pathlib import Path

LEDGER = Path(__file__).parent / "recorded_runs"
REACHED = "resnet18-small_speedrun_2018-cifar10-s0-d7b6fb6edb"
MISSED = "alexnet-small_modern-cifar10-s1-61d7629fe3"
BUDGETED = "resnet18-small_modern-cifar10-s0-996b1e7feb"
"""Annealed to its end, and below the target there."""
