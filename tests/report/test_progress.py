"""What the terminal shows of a run while it trains."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from efficiency_bench.run.terminal import RunProgress


@pytest.mark.parametrize(
    ("classes", "asked", "shown"),
    [(100, "top1", "top1 41.0 %"), (100, None, "top5 72.0 %"), (10, None, "top1 41.0 %")],
)
def test_a_baselines_accuracy_is_shown_in_its_metric(
    classes: int, asked: str | None, shown: str
) -> None:
    """A baseline has no target yet that names the metric."""
    said = io.StringIO()
    progress = RunProgress(Console(file=said, width=200))
    config = {"device": "cpu", "precision": "fp32", "channels_last": True}
    progress(
        {
            **{"event": "start", "experiment": "alexnet", "seed": 0, "data": "cifar100"},
            **{"classes": classes, "target": None, "total_steps": 10, "total_epochs": 2.0},
            **{"notes": [], "config": {**config, "target": {"metric": asked}}},
        }
    )
    progress(
        {
            **{"event": "evaluation", "steps": 5, "epochs": 1.0, "train_seconds": 1.0},
            **{"top1": 0.41, "top5": 0.72},
        }
    )
    assert shown in said.getvalue()
