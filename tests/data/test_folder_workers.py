"""Processes that load photographs live as long as their run, whatever stops the job."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from efficiency_bench.run.signals import STOP_SIGNALS
from tests.data.photos import plant
from tests.data.settings import build, data_config, recipe_config

# CPython 3.12 warns of every fork under threads; DataLoader forks, and torch has threads
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

JUST_FORKED: list[tuple[int, Path]] = []
"""The signal that a forked process sends itself first, and the file in which it notes its id."""


def _signal_itself() -> None:
    for number, noted in JUST_FORKED:
        with noted.open("a") as file:
            file.write(f"{os.getpid()}\n")
        os.kill(os.getpid(), number)


os.register_at_fork(after_in_child=_signal_itself)  # cannot be unregistered


@pytest.fixture(params=STOP_SIGNALS, ids=lambda number: number.name)
def forked(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """The file with the ids of the processes that were sent the signal."""
    noted = tmp_path / "forked"
    JUST_FORKED.append((request.param, noted))
    yield noted
    JUST_FORKED.clear()


def test_a_worker_outlives_a_signal_at_its_very_start(tmp_path, forked, monkeypatch) -> None:
    """The default of Python 3.14 is set, where workers would come from a server."""
    monkeypatch.setattr(multiprocessing.context._default_context, "_actual_context", None)
    multiprocessing.set_start_method("forkserver")
    config = data_config(
        "imagenet", 24, root=str(plant(tmp_path / "photos", 5, 3)), resize_px=28, workers=2
    )
    data = build(config, recipe_config(3, flip=True))
    first = data.train.epoch(0, 4, image_px=24)
    assert len(next(first)[1]) == 4
    workers = set(map(int, forked.read_text().split()))
    assert len(workers) == 4  # two that train; two that validate, before the memory of training
    assert [len(labels) for _, labels in first] == [4, 2]
    for epoch in (1, 2):
        assert sum(len(labels) for _, labels in data.validation()) == 6
        assert [len(labels) for _, labels in data.train.epoch(epoch, 4, image_px=24)] == [4, 4, 2]
    assert len(forked.read_text().split()) == 4
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()
    for worker in workers:
        os.kill(worker, 0)  # alive
    del data
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
