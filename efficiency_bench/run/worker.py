"""A run of several processes: what the first tells the others, and what those do."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from efficiency_bench.config import RunConfig
from efficiency_bench.data import Data, build_data
from efficiency_bench.errors import UserError
from efficiency_bench.records import Target
from efficiency_bench.run.job import build_job
from efficiency_bench.run.processes import GONE, Process, is_lost_process
from efficiency_bench.training import checkpoint
from efficiency_bench.training.ranks import Ranks
from efficiency_bench.training.trainer import Ending, State, train

log = logging.getLogger(__name__)


class Rank0Broadcast:
    """Tells the other processes to train, or, if the first never comes to it, not to."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self._given = False

    def __enter__(self) -> Rank0Broadcast:
        """Nothing is told yet."""
        return self

    def go(self, target: Target | None, data: Data, taken_up: Path | None) -> None:
        """Train on ``data`` to ``target``, from the checkpoint ``taken_up`` or from the start."""
        self._give(
            {
                "target": None if target is None else target.model_dump(mode="json"),
                "data_digest": data.digest,
                "checkpoint": None if taken_up is None else str(taken_up.absolute()),
            }
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The run is finished already, or could not begin: nobody waits for it."""
        if not self._given:
            self._give(None)

    def _give(self, order: dict[str, Any] | None) -> None:
        self._given = True
        self.ranks.broadcast(order)


def run_worker_rank(
    config: RunConfig, ranks: Ranks, process: Process, stop_requested: Callable[[], bool]
) -> str:
    """Train this process's share of a run that the first process writes down.

    Returns the run's end reason, ``finished`` where there was nothing to do.  Raises UserError
    where this process does not have what the first one has.
    """
    order = ranks.broadcast(None)
    if order is None:
        return "finished"
    data = build_data(config.data, config.recipe, config.seed, ranks.device, ranks.share)
    if data.digest != order["data_digest"]:
        raise UserError(
            f"{process} has other data than the first; the folder data.root= must hold the same"
            " files on every machine"
        )
    target = None if order["target"] is None else Target(**order["target"])
    job = build_job(config, data, target, stop_requested, ranks)
    try:
        for record in train(job, _state(order["checkpoint"], process)):
            if isinstance(record, Ending):
                return record.reason
    except RuntimeError as error:
        if not is_lost_process(error, ranks):
            raise
        log.error("%s: %s", process, GONE)
        return "interrupted"
    raise AssertionError("the trainer ended without an ending")


def _state(path: str | None, process: Process) -> State | None:
    if path is None:
        return None
    found = checkpoint.read(Path(path))
    if isinstance(found, str):
        raise UserError(
            f"{process} cannot read {path}: {found};\n"
            "the run's folder must be the same on every machine"
        )
    return found.state
