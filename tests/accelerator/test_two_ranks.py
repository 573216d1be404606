"""Two ranks train on two cards of the stand-in; a single process resumes the run."""

import json

from efficiency_bench.ledger import store
from tests.accelerator.job import train_as_a_rank
from tests.distributed.starting import together


def test_two_ranks_train_one_run_on_a_card_each(tmp_path):
    together(2, train_as_a_rank, tmp_path)
    found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert [f["exit"] for f in found] == [0, 0]
    assert [f["card"] for f in found] == [0, 1]
    assert [f["backends"] for f in found] == [["nccl"], ["nccl"]]
    (entry,) = store.read(tmp_path / "ledger").entries
    assert (entry.images, entry.provenance.hardware["processes"]) == (600, 2)
    assert entry.provenance.hardware["precision"] == "bf16"
    assert entry.cost.energy_source.startswith("NVML, 2 GPU boards")
