"""Import MLPerf's training logs: lines ``:::MLLOG {json}`` among other output.

Format: github.com/mlcommons/logging, as used in the training results from v0.7 on.  Only the
image classification benchmark has an accuracy on ImageNet; it is top-1, and its ``epoch_num`` is
the number of completed epochs.  Times count from ``run_start`` and include the evaluations.  A run
that crashed and was restarted in the same file is two runs.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from efficiency_bench.dataset_facts import IMAGENET, DataSet
from efficiency_bench.ledger.importers.curve import (
    Completed,
    Curve,
    Point,
    Row,
    beyond_imagenet,
    completed,
    epochs_in,
    seconds_in,
)
from efficiency_bench.ledger.importers.imported import Wanted, to_entry
from efficiency_bench.ledger.importers.reading import (
    Source,
    count,
    decimal,
    fraction,
    in_percent,
    json_object,
    note,
)
from efficiency_bench.records import Entry

PATTERNS = ("*.txt", "*.log")
"""The files of a folder that belong to the format; results are called ``result_0.txt``."""

MARKER = ":::MLLOG"

BENCHMARKS = {"resnet": "resnet50"}
"""MLPerf's name of the benchmark on ImageNet -> its network, ResNet-50 v1.5 (training rules)."""

FACTS = (
    "submission_org",
    "submission_platform",
    "submission_division",
    "global_batch_size",
    "opt_name",
    "opt_base_learning_rate",
)
"""Settings that are kept with an entry."""


SAME_START_SECONDS = 60.0
"""Processes of one run log ``run_start`` within this time; a later one starts a new run."""

EARLIEST = datetime(2018, 5, 1, tzinfo=UTC)
"""MLPerf was announced in May 2018: an earlier time is in the wrong unit."""

SIZE_ALLOWANCE = 0.05
"""Relative difference allowed from ImageNet's size: some systems drop a remainder or pad."""

_KEY = re.compile(r'"key"\s*:\s*"([^"]+)"')
"""The key of a damaged line, if still readable."""

DECIDING = ("eval_accuracy", "run_start", "run_stop")
"""Keys of lines whose loss may change a run's curve."""


@dataclass
class _Run:
    """The content of one run's lines so far."""

    first_line: int = 1
    settings: dict[str, Any] = field(default_factory=dict)
    started_seconds: float | None = None
    rows: list[Row] = field(default_factory=list)
    printed: list[object] = field(default_factory=list)
    """The accuracies as printed in the file."""
    status: str | None = None
    later: dict[str, Any] = field(default_factory=dict)
    """Settings since the start, last evaluation or stop; they belong to the next run, if any."""

    def is_over(self, event: Mapping[str, Any]) -> bool:
        """Return whether a further ``run_start`` begins a new run, not a process of this one."""
        now, started = _time_seconds(event), self.started_seconds
        if started is None or self.rows or self.status is not None:
            return started is not None
        return now is not None and abs(now - started) > SAME_START_SECONDS

    def is_part_of(self, other: _Run) -> bool:
        """Return whether this is the output of another process of the same run: same start, no
        new value."""
        starts = (self.started_seconds or 0.0) - (other.started_seconds or 0.0)
        return abs(starts) <= SAME_START_SECONDS and self._values() <= other._values()

    def _values(self) -> set[tuple[float, float]]:
        return {(row.point.epochs, row.point.top1) for row in self.rows if row.point}


def entries(source: Source, wanted: Wanted) -> Iterator[Entry]:
    """Yield the entry of each image classification run in a log."""
    runs = _read(source)
    for number, run in enumerate(runs, start=1):
        before, after = runs[: number - 1], runs[number:]
        if run.rows and (
            any(map(run.is_part_of, before))
            or any(run.is_part_of(other) and not other.is_part_of(run) for other in after)
        ):
            source.skip("another process logs the same run again", run.first_line)
            continue
        end = runs[number].first_line if number < len(runs) else None
        curve = _placed(source, run, number, end)
        if curve and (entry := to_entry(curve, wanted, source)):
            yield entry


def _placed(source: Source, run: _Run, number: int, end: int | None) -> Curve | None:
    """Return the curve of run ``number`` of a file, or None and record what it lacks."""
    benchmark = note(run.settings.get("submission_benchmark"))
    data = _data(run.settings)
    if not run.settings:
        source.skip(f"no {MARKER} line with a setting")
    elif benchmark not in BENCHMARKS:
        source.skip(f"benchmark {benchmark} has no accuracy on ImageNet")
    elif abs(data.train_images / IMAGENET.train_images - 1) > SIZE_ALLOWANCE:
        source.skip(f"train_samples {data.train_images} is not ImageNet's")
    elif run.started_seconds is None:
        source.skip("no run_start, so no time and no date")
    elif run.started_seconds < EARLIEST.timestamp():
        source.skip("run_start is before MLPerf existed: is its time not in milliseconds?")
    elif in_percent(run.printed):
        source.skip("accuracies are over 1: percent? the format uses fractions")
    else:
        read = completed(run.rows, data, source)
        if not read.points:
            source.skip("no usable eval_accuracy")
        elif not beyond_imagenet(read.points, source):
            return _curve(source, run, benchmark, data, read, number, end)
    return None


def _read(source: Source) -> list[_Run]:
    """Return the runs of a file in order, at least one."""
    runs = [_Run()]
    for line, text in source.lines(MARKER.encode()):
        run, event = runs[-1], json_object(text.partition(MARKER)[2].strip())
        if event is None or not isinstance(event.get("key"), str):
            if text:
                source.skip(f"{MARKER} is not followed by a JSON object with a key", line)
            said = _KEY.search(text)
            if run.started_seconds is not None and (not said or said[1] in DECIDING):
                run.rows.append(Row(line, None, None))
        elif event["key"] == "run_start" and run.is_over(event):
            settings = {**run.settings, **run.later}
            runs.append(_Run(line, settings, _time_seconds(event)))
        else:
            _take(source, line, event, run)
    return runs


def _take(source: Source, line: int, event: Mapping[str, Any], run: _Run) -> None:
    metadata = event.get("metadata")
    facts = metadata if isinstance(metadata, Mapping) else {}
    match event["key"]:
        case "run_start":
            # the first process to log run_start starts the clock
            if run.started_seconds is None:
                run.started_seconds = _time_seconds(event)
            run.later.clear()
        case "run_stop":
            run.status = note(facts.get("status")) or "unknown"
            run.later.clear()
        case "eval_accuracy":
            run.rows.append(_row(source, line, event, facts, run))
            run.printed.append(event.get("value"))
            run.later.clear()
        case key:
            # every process of a run logs its settings; the first value is kept
            run.settings.setdefault(key, event.get("value"))
            run.later.setdefault(key, event.get("value"))


def _row(
    source: Source, line: int, event: Mapping[str, Any], facts: Mapping[str, Any], run: _Run
) -> Row:
    accuracy, now = fraction(event.get("value"), 1), _time_seconds(event)
    epochs = epochs_in(facts.get("epoch_num", facts.get("epoch")))
    samples = count(facts.get("samples_count"))
    if epochs is None and samples is not None:
        epochs = epochs_in(samples / _data(run.settings).train_images)
    started = run.started_seconds
    if accuracy is None or epochs is None:
        source.skip("eval_accuracy without a value from 0 to 1, or without its epoch", line)
    elif now is None or started is None or (spent := seconds_in(now - started)) is None:
        source.skip("eval_accuracy without a time after run_start", line)
    else:
        return Row(line, epochs, Point(epochs, accuracy, None, spent))
    return Row(line, epochs, None)


def _curve(
    source: Source,
    run: _Run,
    benchmark: str,
    data: DataSet,
    read: Completed,
    number: int,
    end: int | None,
) -> Curve:
    started = run.started_seconds or 0.0
    facts = {key: value for key in FACTS if (value := note(run.settings.get(key))) is not None}
    seed = count(run.settings.get("seed"))
    who = [facts.get("submission_org", ""), facts.get("submission_platform", "")]
    numbered = [] if seed is None else [f"seed{seed}"]
    attempt = [f"run{number}"] if number > 1 else []
    ending = f"run_stop: {run.status}" if run.status else "the log ends without run_stop"
    return Curve(
        form="mllog",
        name="-".join(
            [*filter(None, who), benchmark, *numbered, f"{started * 1000:.0f}", *attempt]
        ),
        model=BENCHMARKS[benchmark],
        recipe=" ".join(["mlperf", *filter(None, who)]),
        data=data,
        date=datetime.fromtimestamp(started, UTC).date().isoformat(),
        source=f"{source.name}, MLPerf training log, {' '.join(filter(None, who))}",
        points=read.points,
        missing=read.missing,
        lines=range(run.first_line, end or sys.maxsize),
        seed=seed,
        whole=run.status is not None,
        detail="; ".join(filter(None, (*attempt, ending, read.decided))),
        config={**facts, "clock": "wall clock since run_start; evaluation is part of it"},
    )


def _data(settings: Mapping[str, Any]) -> DataSet:
    """Return ImageNet with the sizes that the log gives."""
    return replace(
        IMAGENET,
        train_images=count(settings.get("train_samples")) or IMAGENET.train_images,
        val_images=count(settings.get("eval_samples")) or IMAGENET.val_images,
    )


def _time_seconds(event: Mapping[str, Any]) -> float | None:
    """Return seconds since 1970, from ``time_ms``, or from ``time_s`` as in some v0.7 logs."""
    if "time_ms" in event:
        return seconds_in(event["time_ms"], 0.001)
    return seconds_in(decimal(event.get("time_s")))
