"""The ranks of a machine share its cores, also where torchrun shows all of them to each."""

import pytest

from efficiency_bench.data import loader
from efficiency_bench.data.loader import within_cores


@pytest.mark.parametrize(
    ("cores", "ranks", "asked", "workers"),
    [
        (48, None, 8, 8),
        (48, "8", 8, 6),  # eight ranks of torchrun
        (6, None, 8, 6),  # one Slurm task with cpus_per_task=6
        (2, "8", 8, 1),
        (48, "8", 0, 0),
        (None, "8", 8, 8),
    ],
)
def test_point_10_each_rank_starts_workers_for_its_cores(cores, ranks, asked, workers, monkeypatch):
    monkeypatch.setattr(loader, "usable_cores", lambda: cores)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if ranks is not None:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", ranks)
    found, notes = within_cores(asked, "data.workers=8")
    assert found == workers
    assert bool(notes) == (workers < asked)
    assert all(f"data.workers=8 is reduced to {workers}" in note for note in notes)
