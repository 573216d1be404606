"""One run from config to entry: data, target, model, count, training, event log, ledger."""

from __future__ import annotations

import hashlib
import logging
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from efficiency_bench import identity, provenance
from efficiency_bench.campaign import device as devices
from efficiency_bench.campaign import folder as folders
from efficiency_bench.campaign.entry import build_entry
from efficiency_bench.campaign.prepared import (
    Prepared,
    ending_fields,
    progress_fields,
    start_fields,
)
from efficiency_bench.campaign.target import metric_of, own_target, resolve_target
from efficiency_bench.config import RunConfig, measured_part
from efficiency_bench.config_checks import check
from efficiency_bench.counting import ForwardCount, count_forward
from efficiency_bench.data import Data, build_data
from efficiency_bench.errors import UserError
from efficiency_bench.ledger import store
from efficiency_bench.ledger.events import EventLog
from efficiency_bench.models import build_model, check_input, known_arguments
from efficiency_bench.records import Entry, Evaluation, Target
from efficiency_bench.training.resolution import all_sides_px
from efficiency_bench.training.trainer import Ending, Job, Progress, train
from efficiency_bench.training.weights import weights_digest

log = logging.getLogger(__name__)


class Mirror(Protocol):
    """Shows a run elsewhere: takes every event as it is written, and must not raise."""

    def __call__(self, event: Mapping[str, Any], /) -> None:
        """One event of the log; after it, one ``entry`` event."""

    def close(self) -> None:
        """The run is over, or was broken off."""


Mirrors = Callable[[Path], Iterable[Mirror]]
"""Makes the mirrors of a run, given its folder."""

FAULTS = ("diverged", "failed")


@dataclass(frozen=True)
class Outcome:
    """What came of a run: its entry, or None when a signal stopped it before its end."""

    entry: Entry | None
    already_finished: bool = False

    @property
    def exit_code(self) -> int:
        """0 entry written or found, 1 ended by a fault, 75 stopped by a signal."""
        if self.entry is None:
            return 75
        return 1 if self.entry.end_reason in FAULTS and not self.already_finished else 0


def run(
    config: RunConfig,
    mirrors: Mirrors = lambda folder: (),
    stop_requested: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train what ``config`` says and append the entry to its ledger.

    A run that is finished already gives its entry again and trains nothing.  Raises UserError
    for the user's mistakes; a fault of any other kind becomes an entry with reason ``failed``.
    """
    check(config)
    config = devices.resolve(config)
    ledger_dir = Path(config.ledger_dir)
    if config.run_dir is not None:
        entry = folders.finished_entry(Path(config.run_dir))
        if entry is not None:
            folders.check_same(entry, config, Path(config.run_dir))
            return _finished(entry, Path(config.run_dir), ledger_dir)
    began = time.perf_counter()
    data = build_data(config.data, config.recipe, config.seed, torch.device(config.device))
    target = resolve_target(config, data)
    run_id = identity.run_id(measured_part(config), data.digest, target)
    folder = Path(config.run_dir) if config.run_dir is not None else folders.RUNS / run_id
    entry = folders.finished_entry(folder) or _in_ledger(ledger_dir, run_id)
    if entry is not None:
        return _finished(entry, folder, ledger_dir)
    store.check_writable(ledger_dir)
    job = build_job(config, data, target, stop_requested)
    earlier = folders.set_aside(folder)
    setup_seconds = time.perf_counter() - began
    prepared = Prepared(
        config, run_id, folder, ledger_dir, data, target, job, setup_seconds, earlier
    )
    watching = tuple(mirrors(folder))
    try:
        return execute(prepared, watching)
    finally:
        for mirror in watching:
            mirror.close()


def _finished(entry: Entry, folder: Path, ledger_dir: Path) -> Outcome:
    """The entry of a finished run, put into the ledger if a crash kept it from there."""
    if _in_ledger(ledger_dir, entry.run_id) is None:
        store.append(ledger_dir, entry, folder / folders.EVENTS)
    return Outcome(entry, already_finished=True)


def _in_ledger(ledger_dir: Path, run_id: str) -> Entry | None:
    if not store.entry_path(ledger_dir, run_id).exists():
        return None
    return store.find(ledger_dir, run_id)


def build_job(
    config: RunConfig, data: Data, target: Target | None, stop_requested: Callable[[], bool]
) -> Job:
    """Model, counts at every side it will see, and the rest of what the trainer takes."""
    torch.manual_seed(derived_seed(config.seed, config.repeat, "weights"))
    sides = all_sides_px(config.recipe.progressive, config.data.image_px)
    model, counts = counted_model(config, len(data.classes), sides)
    return Job(
        model=model,
        data=data,
        recipe=config.recipe,
        cadence=config.evaluation,
        target=target,
        counts=counts,
        image_px=config.data.image_px,
        seed=derived_seed(config.seed, config.repeat, "training"),
        device=torch.device(config.device),
        precision=config.precision,
        auxiliary_loss_weight=config.model.auxiliary_loss_weight,
        stop_requested=stop_requested,
    )


def counted_model(
    config: RunConfig, classes: int, sides_px: Sequence[int]
) -> tuple[nn.Module, dict[int, ForwardCount]]:
    """The network on its device, as torch's generator initialises it, and its MACs by side.

    Raises UserError where it cannot take images of such a side or cannot be counted.
    """
    arguments, _ = model_arguments(config)
    model = build_model(config.model.name, form=config.form, num_classes=classes, **arguments)
    for side in sides_px:
        check_input(model, side, config.model.name, config.form)
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    model = model.to(torch.device(config.device), memory_format=layout)
    return model, {side: count_forward(model, (3, side, side)) for side in sides_px}


def model_arguments(config: RunConfig) -> tuple[dict[str, Any], list[str]]:
    """What the builder is given, and what to say about it.

    A recipe's regularisation that this network has no place for (stochastic depth in a VGG) is
    left out and said, so that models and recipes combine freely; the model's own arguments are
    passed as they are, and the builder refuses a wrong one.
    """
    known = known_arguments(config.model.name, config.form)
    asked = config.recipe.model_arguments
    notes = [
        f"{config.model.name} has no {name}: the recipe's {name}={value} is left out"
        for name, value in asked.items()
        if name not in known
    ]
    used = {name: value for name, value in asked.items() if name in known}
    return {**config.model.arguments, **used}, notes


def derived_seed(seed: int, repeat: int, purpose: str) -> int:
    """A 63-bit seed of its own for each purpose, so that no two share a stream."""
    digest = hashlib.sha256(f"{seed} {repeat} {purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def execute(run: Prepared, mirrors: tuple[Mirror, ...]) -> Outcome:
    """Train, writing each event down as it happens, and end with an entry."""
    event_log = EventLog(run.folder / folders.EVENTS)
    facts = provenance.collect(devices.hardware(run.config))

    def tell(kind: str, **fields: Any) -> None:
        event_log.append(kind, **fields)
        for mirror in mirrors:
            mirror({"event": kind, **fields})

    with event_log:
        notes = [*run.data.notes, *model_arguments(run.config)[1]]
        tell("start", **start_fields(run, notes, facts.model_dump(mode="json")))
        evaluations, ending = _follow(run, tell)
        if ending.reason == "interrupted":
            tell("interrupted", **ending_fields(ending))
            return Outcome(None)
        digest = weights_digest(run.job.model)
        tell("end", **ending_fields(ending), weights_digest=digest)
    entry = build_entry(
        run_id=run.run_id,
        config=run.config,
        target=_final_target(run, evaluations),
        ending=ending,
        evaluations=evaluations,
        train_images=run.data.train_images,
        data_digest=run.data.digest,
        weights_digest=digest,
        setup_seconds=run.setup_seconds,
        earlier=run.earlier,
        event_log=run.folder / folders.EVENTS,
        ledger_dir=run.ledger_dir,
        provenance=facts,
    )
    folders.write_entry(run.folder, entry)
    store.append(run.ledger_dir, entry, run.folder / folders.EVENTS)
    for mirror in mirrors:
        mirror({"event": "entry", "entry": entry.model_dump(mode="json")})
    return Outcome(entry)


def _follow(run: Prepared, tell: Callable[..., None]) -> tuple[list[Evaluation], Ending]:
    """Write the trainer's records down until its ending; a fault becomes one."""
    evaluations: list[Evaluation] = []
    latest: Progress | None = None
    try:
        for record in train(run.job):
            if isinstance(record, Progress):
                latest = record
                tell("progress", **progress_fields(record))
            elif isinstance(record, Evaluation):
                evaluations.append(record)
                tell("evaluation", **record.model_dump(mode="json"))
            else:
                return evaluations, record
    except (UserError, KeyboardInterrupt):
        raise
    except Exception as error:
        (run.folder / "fault.txt").write_text(traceback.format_exc())
        log.error("%s failed: %s (traceback in %s)", run.run_id, error, run.folder / "fault.txt")
        return evaluations, _failure(error, latest, evaluations)
    raise AssertionError("the trainer ended without an ending")


def _failure(
    error: Exception, latest: Progress | None, evaluations: Sequence[Evaluation]
) -> Ending:
    """An ending at the last progress known, for a fault that the trainer did not expect."""
    return Ending(
        reason="failed",
        detail=f"{type(error).__name__}: {error}".splitlines()[0],
        steps=latest.steps if latest else 0,
        images=latest.images if latest else 0,
        epochs=latest.epochs if latest else 0.0,
        segments=latest.segments if latest else (),
        train_seconds=latest.train_seconds if latest else 0.0,
        evaluation_seconds=sum(e.evaluation_seconds for e in evaluations),
    )


def _final_target(run: Prepared, evaluations: list[Evaluation]) -> Target:
    """The target to write down: the one set before, or the one that a baseline has set."""
    if run.target is not None:
        return run.target
    if evaluations:
        return own_target(run.config, run.data, evaluations[-1])
    metric = metric_of(run.config, len(run.data.classes))
    return Target(metric=metric, value=0.0, source="own_schedule")
