"""Run one config: choose the folder, load the data, resolve the target, resume or reuse."""

from __future__ import annotations

import contextlib
import logging
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from efficiency_bench import identity, provenance
from efficiency_bench.bounds import LONGEST_TEXT, whole_characters
from efficiency_bench.config import RunConfig, measured_part
from efficiency_bench.config_checks import check
from efficiency_bench.counting.network_files import network_digest
from efficiency_bench.data import build_data
from efficiency_bench.data.image_set import Tell, quiet
from efficiency_bench.errors import UserError
from efficiency_bench.files import put
from efficiency_bench.ledger import store
from efficiency_bench.ledger.events import EventLog, ThrottledProgress
from efficiency_bench.records import FAULTS, Entry, Evaluation, Provenance
from efficiency_bench.run import device as devices
from efficiency_bench.run import folder as folders
from efficiency_bench.run.budgeted import check_needed
from efficiency_bench.run.cost import EnergyAccount, begin_cost
from efficiency_bench.run.device import measured_peak
from efficiency_bench.run.faults import interruption
from efficiency_bench.run.processes import fall_silent, join, this_process
from efficiency_bench.run.profiling import Profile
from efficiency_bench.run.resume import Checkpointer, previous_attempt
from efficiency_bench.run.setup import (
    RunSetup,
    build_job,
    ending_fields,
    model_arguments,
    progress_fields,
    start_fields,
)
from efficiency_bench.run.target import known_entries, metric_of, resolve_target
from efficiency_bench.run.worker import Rank0Broadcast, run_worker_rank
from efficiency_bench.training import checkpoint
from efficiency_bench.training.checkpoint import weights_digest
from efficiency_bench.training.compile import Compiled
from efficiency_bench.training.trainer import (
    CheckpointOffer,
    Ending,
    Halted,
    Progress,
    train,
)
from efficiency_bench.tuned_rates import search_of

log = logging.getLogger(__name__)


class Mirror(Protocol):
    """Shows a run elsewhere: receives every event as it is written, and must not raise."""

    def __call__(self, event: Mapping[str, Any], /) -> None:
        """Receive one event of the log; an ``entry`` event follows the last one."""

    def close(self) -> None:
        """The run has ended or was stopped."""


Mirrors = Callable[[Path], Iterable[Mirror]]
"""Makes the mirrors of a run, given its folder."""


@dataclass(frozen=True)
class RunOutcome:
    """The result of a run: its entry, or None if a signal stopped it before its end.

    Ranks other than 0 have no entry either, only the end reason.
    """

    entry: Entry | None
    already_finished: bool = False
    end_reason: str = "interrupted"

    @property
    def exit_code(self) -> int:
        """0: entry written or found; 1: ended by a fault; 75: stopped by a signal."""
        reason = self.end_reason if self.entry is None else self.entry.end_reason
        if reason == "interrupted":
            return 75
        return 1 if reason in FAULTS and not self.already_finished else 0


def execute(run: RunSetup, mirrors: tuple[Mirror, ...]) -> RunOutcome:
    """Train, logging each event as it happens, and write the entry."""
    event_log = EventLog(run.folder / folders.EVENTS)
    progress_before = run.earlier.progress_events if run.earlier else 0
    throttled = ThrottledProgress(event_log, progress_before)
    processes = run.job.ranks.shard.world_size
    facts = provenance.collect(
        devices.hardware(run.config, processes),
        network_digest(run.config.model.name, run.config.form),
    )
    energy, cost = begin_cost(run, facts.hardware)

    def tell(kind: str, **fields: Any) -> None:
        throttled.append(kind, **fields)
        for mirror in mirrors:
            mirror({"event": kind, **fields})

    with event_log:
        checkpointer = Checkpointer(run.folder, run.run_id, run.config.checkpoint_share, event_log)
        _begin(run, facts, cost, tell, mirrors)
        profile = Profile(run.folder) if run.config.profile else None
        if profile is not None:
            run = replace(run, job=replace(run.job, watch=profile.watch))
        ending = _train_and_log(run, tell, checkpointer, energy)
        if profile is not None:
            tell("profile", **profile.close())
        if ending.reason == "interrupted":
            tell("interrupted", **ending_fields(ending), **energy.fields())
            return RunOutcome(None)
        digest = weights_digest(run.job.model)
        tell("end", **ending_fields(ending), **energy.fields(), weights_digest=digest)
    entry = folders.logged_entry(run.folder, run.ledger_dir)
    conclude(run.folder, run.ledger_dir, entry)
    for mirror in mirrors:
        mirror({"event": "entry", "entry": entry})
    return RunOutcome(entry)


def conclude(folder: Path, ledger_dir: Path, entry: Entry) -> None:
    """Write the entry of an ended run to its folder and the ledger.

    Raises UserError if the disk refuses the write; the event log then still holds the run.
    """
    folders.write_entry(folder, entry)
    if entry.end_reason not in FAULTS:  # after a fault, keep the last good state
        checkpoint.remove_all(folder)
    store.append(ledger_dir, entry, folder / folders.EVENTS)


def _begin(
    run: RunSetup,
    facts: Provenance,
    cost: Mapping[str, Any],
    tell: Callable[..., None],
    mirrors: tuple[Mirror, ...],
) -> None:
    """Log that the run starts or resumes."""
    written = facts.model_dump(mode="json")
    if run.earlier is None:
        about_the_model = model_arguments(run.config)[1]
        notes = [*run.data.notes, *about_the_model, *devices.notes(run.config)]
        start = start_fields(run, notes, written) | {"cost": cost}
        tell("start", **start)
        return
    start = next(dict(e) for e in run.earlier.events if e["event"] == "start")
    for mirror in mirrors:
        mirror(start)
    fields = run.earlier.fields() | {
        "setup_seconds": run.setup_seconds,
        "provenance": written,
        "cost": cost,
    }
    before = start["provenance"]["hardware"].get("processes", 1)
    processes = run.job.ranks.shard.world_size
    if before != processes:
        fields["notes"] += [
            f"started with {before} processes, resumed with {processes}: same batches, but sums are"
            " rounded in a different order and dropout masks differ"
        ]
    tell("resume", **fields)


def _train_and_log(
    run: RunSetup, tell: Callable[..., None], checkpointer: Checkpointer, energy: EnergyAccount
) -> Ending:
    """Train and log each record until the ending; an exception becomes a ``failed`` ending.

    An evaluation starts when the record before it, always a Progress, is yielded.
    """
    latest, evaluation_seconds = run.progress_before, run.evaluation_seconds_before
    evaluated = run.evaluated_before
    energy.charge_nothing()
    try:
        for record in train(run.job, run.earlier.state if run.earlier else None):
            match record:
                case Compiled():
                    tell("compiled", **asdict(record))
                case Progress():
                    latest = record
                    energy.charge_training()
                    tell("progress", **progress_fields(record), **energy.fields())
                case Evaluation():
                    energy.charge_evaluation()
                    evaluated = True
                    evaluation_seconds += record.evaluation_seconds or 0.0
                    tell("evaluation", **record.model_dump(mode="json"))
                case Halted():
                    tell("halted", seconds=record.seconds, steps=record.steps)
                case CheckpointOffer() if checkpointer.wants(record):
                    energy.charge_training()
                    checkpointer(record, energy.fields())
                    energy.charge_nothing()
                case Ending():
                    energy.charge_training()
                    return record
    except (UserError, KeyboardInterrupt):
        raise
    except Exception as error:
        detail = interruption(error, run.config, run.job.ranks, evaluated)
        if detail is not None:
            fall_silent()
            detail = whole_characters(detail)[:LONGEST_TEXT]
            return _failure(detail, latest, evaluation_seconds, "interrupted")
        put(run.folder / "fault.txt", traceback.format_exc().encode(errors="backslashreplace"))
        log.error("%s failed: %s (traceback in %s)", run.run_id, error, run.folder / "fault.txt")
        detail = f"{type(error).__name__}: {error}".splitlines()[0]
        # an error may quote a file name: of any length, with incomplete characters
        detail = whole_characters(detail)[:LONGEST_TEXT]
        return _failure(detail, latest, evaluation_seconds, "failed")
    raise AssertionError("the trainer ended without an ending")


def _failure(
    detail: str,
    latest: Progress | None,
    evaluation_seconds: float,
    reason: Literal["failed", "interrupted"],
) -> Ending:
    """An ending at the last known progress, for an exception that the trainer did not handle."""
    return Ending(
        reason=reason,
        detail=detail,
        steps=latest.steps if latest else 0,
        images=latest.images if latest else 0,
        epochs=latest.epochs if latest else 0.0,
        segments=latest.segments if latest else (),
        train_seconds=latest.train_seconds if latest else 0.0,
        evaluation_seconds=evaluation_seconds,
    )


def run(
    config: RunConfig,
    mirrors: Mirrors = lambda folder: (),
    stop_requested: Callable[[], bool] = lambda: False,
    tell: Tell = quiet,
) -> RunOutcome:
    """Train the run of ``config`` and append its entry to the ledger.

    A finished run returns its existing entry without training; an unfinished one resumes from its
    newest checkpoint.  ``tell`` gets one line on the data before any of it is rejected.  Raises
    UserError for the user's mistakes; any other exception becomes an entry with reason ``failed``.
    Under torchrun or Slurm, rank 0 does all this, and the other ranks process their shard of every
    batch.
    """
    check(config)
    config = devices.resolve(config)
    process = this_process()
    ranks = join(process, config.device)
    if not process.is_main:
        return RunOutcome(None, end_reason=run_worker_rank(config, ranks, process, stop_requested))
    with Rank0Broadcast(ranks) as rank0:
        if config.run_dir is not None:
            with folders.locked(Path(config.run_dir)):
                return _run_in(Path(config.run_dir), config, mirrors, stop_requested, rank0, tell)
        return _run_in(None, config, mirrors, stop_requested, rank0, tell)


def _run_in(
    folder: Path | None,
    config: RunConfig,
    mirrors: Mirrors,
    stop_requested: Callable[[], bool],
    rank0: Rank0Broadcast,
    tell: Tell,
) -> RunOutcome:
    """The run in ``folder``, whose lock this process holds; None: in the folder of its run id."""
    ledger_dir = Path(config.ledger_dir)
    if folder is not None and (entry := folders.finished_entry(folder, ledger_dir)) is not None:
        folders.check_same(entry, config, folder)
        return _finished(entry, folder, ledger_dir)
    search = search_of(config)
    began = time.perf_counter()
    ranks = rank0.ranks
    data = build_data(
        config.data, config.recipe, config.seed, ranks.device, ranks.shard, tell, rank0.listed
    )
    target = resolve_target(config, data)
    name = identity.data_name(config.data.name, len(data.classes))
    run_id = identity.run_id(measured_part(config), name, data.digest, target)
    with contextlib.nullcontext() if folder else folders.locked(folders.RUNS / run_id):
        folder = folder or folders.RUNS / run_id
        if (entry := folders.finished_entry(folder, ledger_dir)) is not None:
            return _finished(entry, folder, ledger_dir)
        if store.entry_path(ledger_dir, run_id).exists():
            return RunOutcome(store.find(ledger_dir, run_id), already_finished=True)
        if config.rung_margin is not None:
            metric = metric_of(config, len(data.classes))
            check_needed(config, data, metric, known_entries(ledger_dir))
        store.check_writable(ledger_dir)
        earlier = previous_attempt(folder, run_id)
        job = build_job(config, data, target, stop_requested, ranks)
        config = replace(config, recipe=job.recipe)  # with the epochs that a budget sets
        setup_seconds = time.perf_counter() - began
        # not timed; the other ranks still wait for the broadcast
        peak = None if earlier else measured_peak(config, ranks.shard.world_size)
        setup = RunSetup(
            config,
            run_id,
            folder,
            ledger_dir,
            data,
            target,
            job,
            setup_seconds,
            earlier,
            peak,
            search,
        )
        open_mirrors = tuple(mirrors(folder))
        rank0.go(target, data, earlier.checkpoint if earlier else None)
        try:
            return execute(setup, open_mirrors)
        finally:
            for mirror in open_mirrors:
                mirror.close()


def _finished(entry: Entry, folder: Path, ledger_dir: Path) -> RunOutcome:
    """The outcome of a finished run; adds its entry to the ledger if a crash prevented that."""
    if not store.entry_path(ledger_dir, entry.run_id).exists():
        conclude(folder, ledger_dir, entry)
    return RunOutcome(entry, already_finished=True)
