"""Retrains a finished run, away from its ledger, and compares the result with its entry.

With the same versions and processor the results must be bit-exact; elsewhere rounding differs, and
the new run must lie within the 95 % prediction interval of one more seed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from efficiency_bench.config import DataConfig, RunConfig, from_plain
from efficiency_bench.errors import UserError
from efficiency_bench.fitting.regression import t_quantile
from efficiency_bench.identity import LOADING, row_key
from efficiency_bench.ledger import store
from efficiency_bench.records import Entry
from efficiency_bench.run.processes import this_process
from efficiency_bench.run.signals import stop_on_signal
from efficiency_bench.run.terminal import Terminal, console_of, run_with_progress
from efficiency_bench.stop_rule import metric_of_entry

NUMERICS = ("python", "torch", "torchvision", "numpy")
"""Packages whose version may change the last bit."""

MACHINE = ("cpu", "device", "precision", "processes", "torch_threads")
"""Hardware facts that may change the last bit; the number of cores and the memory do not."""


@dataclass(frozen=True)
class Spread:
    """95 % prediction interval (Student's t) for one more seed."""

    quantity: str
    seeds: int
    low: float
    high: float
    found: float | None
    """The new run's value; None: it did not reach its target."""

    @property
    def holds(self) -> bool:
        """Whether the new run lies within the interval."""
        return self.found is not None and self.low <= self.found <= self.high


@dataclass(frozen=True)
class Reproduction:
    """The comparison of a retrained run with its entry."""

    committed: Entry
    again: Entry
    elsewhere: tuple[str, ...]
    """Versions and hardware facts that differ, one sentence each; empty: the same setup."""
    differences: tuple[str, ...]
    """Fields of the results that differ; empty: bit-exact."""
    spread: Spread | None
    """None with fewer than two seeds."""

    @property
    def ok(self) -> bool:
        """Bit-exact, or on another setup within the spread of the seeds."""
        within = self.spread is not None and self.spread.holds
        return not self.differences or (bool(self.elsewhere) and within)


def reproduce(ledger: Path, run_id: str, data_root: Path | None, out: Path) -> Reproduction | None:
    """Retrain the run ``run_id`` (or a prefix) of ``ledger`` under ``out`` and compare.

    ``out`` gets a folder for the run with its own ledger, which starts with the baseline runs that
    set the target; the committed ledger is only read.  None if a signal stopped it: the same call
    resumes.  Raises UserError for a run that was not trained with this harness, or missing data.
    """
    process = this_process()
    if process.world_size > 1:
        raise UserError(
            f"a run is retrained in one process, not in {process.world_size}; leave out torchrun or"
            " srun"
        )
    read = store.read(ledger)
    committed = store.matching(read.entries, run_id)
    if committed.tier != "measured":
        raise UserError(
            f"{committed.run_id} was not trained with this harness, so there is nothing to repeat;"
            "\nname a run of tier measured, see efficiency-bench ledger list --json"
        )
    folder = out / committed.run_id
    for baseline in committed.target.baseline_run_ids if committed.target else ():
        _copy_to(ledger, store.matching(read.entries, baseline), folder / "ledger")
    config = _placed(committed, data_root, folder)
    with stop_on_signal(leaving=True) as stop:
        again = run_with_progress(config, Terminal(console_of(process)), stop).entry
        if again is None:
            stop.hand_over()
            return None
    return compare(committed, again, read.entries)


def compare(committed: Entry, again: Entry, entries: Sequence[Entry]) -> Reproduction:
    """The comparison of two entries; ``entries`` are those of the committed ledger."""
    return Reproduction(
        committed,
        again,
        tuple(_setup_differences(committed, again)),
        tuple(differences(committed, again)),
        _spread([e for e in entries if row_key(e) == row_key(committed)], again),
    )


def as_row(result: Reproduction) -> dict[str, Any]:
    """A reproduction as JSON values."""
    return {
        "run_id": result.committed.run_id,
        "ok": result.ok,
        "same_bits": not result.differences,
        "differences": list(result.differences),
        "elsewhere": list(result.elsewhere),
        "spread": None
        if result.spread is None
        else {**dataclasses.asdict(result.spread), "holds": result.spread.holds},
    }


def _copy_to(ledger: Path, entry: Entry, to: Path) -> None:
    if not store.entry_path(to, entry.run_id).exists():
        log = store.log_path(ledger, entry.run_id)
        store.append(to, entry, log if log.exists() else None)


def _placed(entry: Entry, data_root: Path | None, folder: Path) -> RunConfig:
    config = from_plain(entry.config)
    # a path recorded in an entry is not trusted
    here = DataConfig(root=None if data_root is None else str(data_root))
    names = [name.removeprefix("data.") for name in LOADING]
    unrecorded = {name: getattr(here, name) for name in names}
    return dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, **unrecorded),
        run_dir=str(folder / "run"),
        ledger_dir=str(folder / "ledger"),
        tracking=dataclasses.replace(config.tracking, wandb=False),
    )


def _setup_differences(one: Entry, other: Entry) -> list[str]:
    ours, theirs = one.provenance, other.provenance
    if ours is None or theirs is None:
        return ["one of the two entries does not record its versions"]
    pairs = [(name, ours.versions.get(name), theirs.versions.get(name)) for name in NUMERICS]
    pairs += [(name, ours.hardware.get(name), theirs.hardware.get(name)) for name in MACHINE]
    return [f"{name}: {here} here, {there} there" for name, there, here in pairs if here != there]


def _spread(seeds: Sequence[Entry], again: Entry) -> Spread | None:
    """The spread of compute to the target on a log scale; for a baseline, and without a target, of
    the final accuracy."""
    if again.target is None or again.sets_target:
        metric = metric_of_entry(again)
        levels = [seed.evaluations[-1].accuracy(metric) for seed in seeds]
        if len(levels) < 2:
            return None
        found = again.evaluations[-1].accuracy(metric)
        return Spread(f"final {metric}", len(levels), *_one_more(levels), found)
    logs = [math.log(c) for seed in seeds if (c := seed.paper3x_to_target_tfs_days) is not None]
    if len(logs) < 2:
        return None
    low, high = map(math.exp, _one_more(logs))
    cost = again.paper3x_to_target_tfs_days
    return Spread("tfs-days to the target", len(logs), low, high, cost)


def _one_more(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % prediction interval of one more normal value, from two values or more."""
    n = len(values)
    mean = math.fsum(values) / n
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    half = t_quantile(n - 1) * math.sqrt(variance * (1 + 1 / n))
    return mean - half, mean + half


def print_reproduction(row: dict[str, Any], console: Console) -> None:
    """Print the verdict, and below it the interval and the differences."""
    for line in _lines(row):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _lines(row: dict[str, Any]) -> list[str]:
    if row["same_bits"]:
        return [f"{row['run_id']}: bit-exact"]
    spread = row["spread"]
    if not row["elsewhere"]:
        verdict = "NOT THE SAME, although versions and processor are"
    elif spread is None:
        verdict = "UNKNOWN: not bit-exact, and a single seed has no spread"
    else:
        verdict = "within the spread" if spread["holds"] else "OUTSIDE THE SPREAD"
    lines = [f"{row['run_id']}: {verdict}"]
    if spread is not None:
        found = "not reached" if spread["found"] is None else f"{spread['found']:.4g}"
        lines.append(
            f"  {spread['quantity']}: {found}; one more of {spread['seeds']} seeds lies between"
            f" {spread['low']:.4g} and {spread['high']:.4g} (95 %)"
        )
    lines += [f"  {difference}" for difference in row["elsewhere"]]
    return lines + [f"  {_short(difference)}" for difference in row["differences"]]


def _short(text: str, longest: int = 120) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


PER_ATTEMPT_FIELDS = (
    "created_utc",
    "clocks",
    "event_log",
    "event_log_digest",
    "entry_digest",
    "provenance",
    "cost",
    "repeated_images",
    "repeated_seconds",
    "repeated_paper3x_tfs_days",
    "rates",
)
"""Fields that depend on when, where and with what interruptions a run trained, and the record of
the search that found its rate: the rate itself is in the configuration."""

EVALUATION_SECONDS = ("train_seconds", "evaluation_seconds")


def differences(one: Entry, other: Entry) -> list[str]:
    """Differences between two results as ``field: value, value``; the comparison is bit-exact."""
    ours, theirs = _result(one), _result(other)
    return [
        f"{name}: {ours[name]!r}, {theirs[name]!r}" for name in ours if ours[name] != theirs[name]
    ]


def _result(entry: Entry) -> dict[str, Any]:
    content = entry.model_dump(mode="json", exclude=set(PER_ATTEMPT_FIELDS))
    for evaluation in content["evaluations"]:
        for name in EVALUATION_SECONDS:
            del evaluation[name]
    return content
