"""What rank 0 broadcasts to the other ranks, and what they do with it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from efficiency_bench.config import RunConfig
from efficiency_bench.data import Data, build_data
from efficiency_bench.data.build import LISTED, Listed
from efficiency_bench.data.folder import PhotoSet, PhotoSplits
from efficiency_bench.errors import UserError
from efficiency_bench.records import Evaluation, Target
from efficiency_bench.run.faults import interruption
from efficiency_bench.run.processes import Process, fall_silent
from efficiency_bench.run.setup import build_job
from efficiency_bench.training import checkpoint
from efficiency_bench.training.ranks import Ranks
from efficiency_bench.training.trainer import Ending, State, train

log = logging.getLogger(__name__)


class Rank0Broadcast:
    """Broadcasts the start of training to the other ranks, or that there is nothing to train."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self._sent = False

    def __enter__(self) -> Rank0Broadcast:
        """Nothing is broadcast yet."""
        return self

    def listed(self, load: Callable[[], PhotoSplits]) -> PhotoSplits:
        """The image files, which rank 0 lists and the others receive while it goes on."""
        splits = load()
        if not self.ranks.alone:
            self.ranks.broadcast({"train": splits.train.listing(), "val": splits.val.listing()})
        return splits

    def go(self, target: Target | None, data: Data, resume_from: Path | None) -> None:
        """Train on ``data`` to ``target``, from the checkpoint ``resume_from`` or from scratch."""
        self._send(
            {
                "target": None if target is None else target.model_dump(mode="json"),
                "data_digest": data.digest,
                "checkpoint": None if resume_from is None else str(resume_from.absolute()),
            }
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release the other ranks if the run is already finished or could not start."""
        if not self._sent:
            self._send(None)

    def _send(self, message: dict[str, Any] | None) -> None:
        self._sent = True
        self.ranks.broadcast(message)


def run_worker_rank(
    config: RunConfig, ranks: Ranks, process: Process, stop_requested: Callable[[], bool]
) -> str:
    """Train this rank's shard of a run that rank 0 logs.

    Returns the end reason, or ``finished`` if there was nothing to train.  Raises UserError if this
    rank's data differs from rank 0's, or if it cannot read the checkpoint.
    """
    data = None
    if config.data.name in LISTED:
        listing = ranks.broadcast(None)
        if listing is None:
            return "finished"
        data = _data(config, ranks, lambda load: _received(listing, process))
    message = ranks.broadcast(None)
    if message is None:
        return "finished"
    data = data or _data(config, ranks, lambda load: load())
    if data.digest != message["data_digest"]:
        raise UserError(
            f"{process} has different data than rank 0; the folder data.root= must hold the same"
            " files on every machine"
        )
    target = None if message["target"] is None else Target(**message["target"])
    job = build_job(config, data, target, stop_requested, ranks)
    evaluated = message["checkpoint"] is not None
    try:
        for record in train(job, _state(message["checkpoint"], process)):
            evaluated = evaluated or isinstance(record, Evaluation)
            if isinstance(record, Ending):
                return record.reason
    except RuntimeError as error:
        detail = interruption(error, config, ranks, evaluated)
        if detail is None:
            raise
        log.error("%s: %s", process, detail)
        fall_silent()
        return "interrupted"
    raise AssertionError("the trainer ended without an ending")


def _data(config: RunConfig, ranks: Ranks, listed: Listed) -> Data:
    shard, device = ranks.shard, ranks.device
    return build_data(config.data, config.recipe, config.seed, device, shard, listed=listed)


CHECKED_FILES = 100
"""Files of rank 0's list that each other rank looks for: not a million, as it lists none."""


def _received(listing: Mapping[str, Any], process: Process) -> PhotoSplits:
    """Rank 0's image files; UserError if this machine does not have them."""
    train, val = (PhotoSet.listed(listing[split]) for split in ("train", "val"))
    for photos in (train, val):
        for index in range(0, len(photos), 1 + len(photos) // CHECKED_FILES):
            path = photos.path(index)
            if not path.is_file() or path.stat().st_size != photos.sizes[index]:
                raise UserError(
                    f"{process} does not find rank 0's {path}; the folder data.root= must hold the"
                    " same files on every machine"
                )
    return PhotoSplits(train, val)


def _state(path: str | None, process: Process) -> State | None:
    if path is None:
        return None
    found = checkpoint.read(Path(path))
    if isinstance(found, str):
        raise UserError(
            f"{process} cannot read {path}: {found};\n"
            "name a run_dir= that is the same folder on every machine"
        )
    return found.state
