"""MLPerf's training logs: lines ``:::MLLOG {json}`` among whatever else a run prints.

Format: github.com/mlcommons/logging, as used in the training results from v0.7 on.  Only the
image classification benchmark has an accuracy on ImageNet; it is top-1, and its ``epoch_num`` is
the number of completed epochs.  Times count from ``run_start`` and contain the evaluations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from efficiency_bench.dataset_facts import IMAGENET, DataSet
from efficiency_bench.ledger.importers.curve import (
    Curve,
    Point,
    Row,
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
"""The settings that are kept with an entry."""


@dataclass
class _Run:
    """What the lines of one run have said so far."""

    settings: dict[str, Any] = field(default_factory=dict)
    started_seconds: float | None = None
    rows: list[Row] = field(default_factory=list)
    status: str | None = None


def entries(source: Source, wanted: Wanted) -> Iterator[Entry]:
    """The entry of the run in a log, where it is one of image classification."""
    run = _read(source)
    benchmark = note(run.settings.get("submission_benchmark"))
    if not run.settings:
        source.skip(f"no {MARKER} line with a setting")
    elif benchmark not in BENCHMARKS:
        source.skip(f"benchmark {benchmark} has no accuracy on ImageNet")
    elif run.started_seconds is None:
        source.skip("no run_start, so no time and no date")
    else:
        data = _data(run.settings)
        points, decided = completed(run.rows, data, source)
        if not points:
            source.skip("no usable eval_accuracy")
        elif entry := to_entry(
            _curve(source, run, benchmark, data, points, decided), wanted, source
        ):
            yield entry


def _read(source: Source) -> _Run:
    run = _Run()
    for line, text in source.lines(MARKER.encode()):
        event = json_object(text.partition(MARKER)[2].strip())
        if event is None or not isinstance(event.get("key"), str):
            source.skip(f"{MARKER} is not followed by a JSON object with a key", line)
        elif run.status is not None and event["key"] == "run_start":
            source.skip("a second run begins: one run a file is read", line)
            break
        else:
            _take(source, line, event, run)
    return run


def _take(source: Source, line: int, event: Mapping[str, Any], run: _Run) -> None:
    metadata = event.get("metadata")
    facts = metadata if isinstance(metadata, Mapping) else {}
    match event["key"]:
        case "run_start" if run.started_seconds is None:
            run.started_seconds = _time_seconds(event)
        case "run_stop":
            run.status = note(facts.get("status")) or "unknown"
        case "eval_accuracy":
            run.rows.append(_row(source, line, event, facts, run))
        case key:
            # every process of a run logs its settings; the first is kept
            run.settings.setdefault(key, event.get("value"))


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
    source: Source, run: _Run, benchmark: str, data: DataSet, points: list[Point], decided: str
) -> Curve:
    started = run.started_seconds or 0.0
    facts = {key: value for key in FACTS if (value := note(run.settings.get(key))) is not None}
    seed = count(run.settings.get("seed"))
    who = [facts.get("submission_org", ""), facts.get("submission_platform", "")]
    numbered = [] if seed is None else [f"seed{seed}"]
    ending = f"run_stop: {run.status}" if run.status else "the log ends without run_stop"
    return Curve(
        form="mllog",
        name="-".join([*filter(None, who), benchmark, *numbered, f"{started * 1000:.0f}"]),
        model=BENCHMARKS[benchmark],
        recipe=" ".join(["mlperf", *filter(None, who)]),
        data=data,
        date=datetime.fromtimestamp(started, UTC).date().isoformat(),
        source=f"{source.name}, MLPerf training log, {' '.join(filter(None, who))}",
        points=points,
        seed=seed,
        whole=run.status is not None,
        detail="; ".join(filter(None, (ending, decided))),
        config={**facts, "clock": "wall clock since run_start; evaluation is part of it"},
    )


def _data(settings: Mapping[str, Any]) -> DataSet:
    """ImageNet, its sizes as the log gives them."""
    return replace(
        IMAGENET,
        train_images=count(settings.get("train_samples")) or IMAGENET.train_images,
        val_images=count(settings.get("eval_samples")) or IMAGENET.val_images,
    )


def _time_seconds(event: Mapping[str, Any]) -> float | None:
    """Seconds since 1970: ``time_ms``, or ``time_s`` as some logs of v0.7 have it."""
    if "time_ms" in event:
        return seconds_in(event["time_ms"], 0.001)
    return seconds_in(decimal(event.get("time_s")))
