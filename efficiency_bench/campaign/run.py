"""One run from config to entry: in which folder, on what data, towards what, and whether again."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from efficiency_bench import identity
from efficiency_bench.campaign import device as devices
from efficiency_bench.campaign import folder as folders
from efficiency_bench.campaign.execution import Mirrors, Outcome, execute
from efficiency_bench.campaign.job import build_job
from efficiency_bench.campaign.peak import measured_peak
from efficiency_bench.campaign.prepared import Prepared
from efficiency_bench.campaign.processes import join, this_process
from efficiency_bench.campaign.resumption import earlier_attempt
from efficiency_bench.campaign.taking_part import Orders, take_part
from efficiency_bench.campaign.target import resolve_target
from efficiency_bench.config import RunConfig, measured_part
from efficiency_bench.config_checks import check
from efficiency_bench.data import build_data
from efficiency_bench.ledger import store
from efficiency_bench.records import Entry


def run(
    config: RunConfig,
    mirrors: Mirrors = lambda folder: (),
    stop_requested: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train what ``config`` says and append the entry to its ledger.

    A run that is finished already gives its entry again and trains nothing; one that was left
    goes on from its newest checkpoint.  Raises UserError for the user's mistakes; a fault of any
    other kind becomes an entry with reason ``failed``.  Of several processes that torchrun or
    Slurm has started the first does all this, and the others take their share of every batch.
    """
    check(config)
    config = devices.resolve(config)
    process = this_process()
    ranks = join(process, config.device)
    if not process.leads:
        return Outcome(None, end_reason=take_part(config, ranks, process, stop_requested))
    with Orders(ranks) as orders:
        if config.run_dir is not None:
            with folders.locked(Path(config.run_dir)):
                return _run_in(Path(config.run_dir), config, mirrors, stop_requested, orders)
        return _run_in(None, config, mirrors, stop_requested, orders)


def _run_in(
    folder: Path | None,
    config: RunConfig,
    mirrors: Mirrors,
    stop_requested: Callable[[], bool],
    orders: Orders,
) -> Outcome:
    """The run in ``folder``, which this process holds; None: in the folder of its own id."""
    ledger_dir = Path(config.ledger_dir)
    if folder is not None and (entry := folders.finished_entry(folder)) is not None:
        folders.check_same(entry, config, folder)
        return _finished(entry, folder, ledger_dir)
    began = time.perf_counter()
    ranks = orders.ranks
    data = build_data(config.data, config.recipe, config.seed, ranks.device, ranks.share)
    target = resolve_target(config, data)
    run_id = identity.run_id(measured_part(config), data.digest, target)
    with contextlib.nullcontext() if folder else folders.locked(folders.RUNS / run_id):
        folder = folder or folders.RUNS / run_id
        entry = folders.finished_entry(folder) or _in_ledger(ledger_dir, run_id)
        if entry is not None:
            return _finished(entry, folder, ledger_dir)
        store.check_writable(ledger_dir)
        earlier = earlier_attempt(folder, run_id)
        job = build_job(config, data, target, stop_requested, ranks)
        setup_seconds = time.perf_counter() - began
        # on no clock, and while the other processes still wait for their orders
        peak = None if earlier else measured_peak(config, ranks.share.of)
        prepared = Prepared(
            config, run_id, folder, ledger_dir, data, target, job, setup_seconds, earlier, peak
        )
        watching = tuple(mirrors(folder))
        orders.go(target, data, earlier.checkpoint if earlier else None)
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
