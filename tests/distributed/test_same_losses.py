"""One and several ranks train alike: in float64 their losses differ only by rounding."""

import json
from pathlib import Path

import pytest

from tests.distributed.first_losses import write_first_losses
from tests.distributed.starting import together


def run_of(processes: int, experiment: str, folder: Path) -> dict:
    out = folder / f"{processes}.json"
    together(processes, write_first_losses, experiment, out)
    return json.loads(out.read_text())


@pytest.mark.parametrize(
    ("experiment", "processes"),
    # 3 ranks shard no batch of 32 evenly; EfficientNet adds EMA, label smoothing and RMSprop
    [("resnet18", 3), ("efficientnet_b0", 2)],
)
def test_several_ranks_have_the_losses_of_one_process(experiment, processes, tmp_path):
    one = run_of(1, experiment, tmp_path)
    several = run_of(processes, experiment, tmp_path)
    assert several["sizes"] == one["sizes"] == [32] * 9 + [12, 32]
    # differences of 1e-15 in the first step grow tenfold every few steps: 1e-12 after eleven
    assert several["losses"] == pytest.approx(one["losses"], rel=0, abs=1e-9)
    assert several["buffers"] == pytest.approx(one["buffers"], rel=1e-6)
    assert len(one["buffers"]) > 10
