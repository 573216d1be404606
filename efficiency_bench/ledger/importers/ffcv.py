"""Import FFCV's logs of ImageNet runs: a line per epoch, as JSON or in a table.

Format: ``train_imagenet.py`` and ``assets/agg.csv`` of github.com/libffcv/ffcv-imagenet.  The
trainer writes ``log`` (one JSON object per line) next to ``params.json``; the table has the logs of
several runs, distinguished by ``uid``, with the parameters in further columns.  Epochs are numbered
from 0 and evaluated after training, accuracies are fractions, and ``relative_time`` includes the
evaluations, whose own time is ``val_time``; the last epoch is evaluated twice.  A log that was
restarted holds two runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from efficiency_bench.dataset_facts import IMAGENET
from efficiency_bench.ledger.importers.curve import (
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
    csv_fields,
    decimal,
    fraction,
    in_percent,
    json_object,
    note,
)
from efficiency_bench.records import Entry

PATTERNS = ("*.csv", "log", "*.log", "*.jsonl")
"""The files of a folder that belong to the format."""

REPOSITORY = "FFCV, github.com/libffcv/ffcv-imagenet"

FACTS = (
    "model.arch",
    "training.epochs",
    "training.batch_size",
    "training.use_blurpool",
    "resolution.min_res",
    "resolution.max_res",
    "validation.resolution",
    "validation.lr_tta",
)
"""Parameters that are kept with an entry."""

EARLIEST = date(2021, 1, 1)
"""FFCV appeared in January 2022: an earlier timestamp is in other units, or invalid."""

Line = tuple[int, Mapping[str, Any] | None]
"""Line number and fields; None: the line is unreadable and may have been a row."""


@dataclass(frozen=True)
class _Run:
    """The rows of one run in a file."""

    uid: str
    rows: list[Line]
    params: Mapping[str, Any]
    lines: Container[int]
    """Lines that belong to the run or are unreadable."""


def entries(source: Source, wanted: Wanted) -> Iterator[Entry]:
    """Yield the entry of each run in a log or in a table of logs."""
    for run in list(_runs(source)):
        curve = _curve(source, run)
        if curve and (entry := to_entry(curve, wanted, source)):
            yield entry


def _runs(source: Source) -> Iterator[_Run]:
    if source.path.suffix != ".csv":
        params = _params(source)
        for rows in _begun_anew(list(_json_rows(source))):
            lines = range(rows[0][0], rows[-1][0] + 1)
            yield _Run(_mark(rows), rows, params, lines)
        return
    table = list(_table_rows(source))
    unread = [line for line in table if line[1] is None]
    by_uid: dict[str, list[Line]] = {}
    for line, row in table:
        if row is not None:
            by_uid.setdefault(row["uid"], []).append((line, row))
    for uid, own in by_uid.items():
        rows = sorted([*own, *unread], key=lambda numbered: numbered[0])
        yield _Run(uid, rows, own[0][1] or {}, {line for line, _ in rows})


def _begun_anew(rows: list[Line]) -> list[list[Line]]:
    """Split the rows of a log before each epoch 0 that follows a later epoch."""
    runs: list[list[Line]] = []
    last = -1.0
    for line, row in rows:
        epoch = None if row is None else epochs_in(row.get("epoch"))
        if not runs or (epoch == 0 and last > 0):
            runs.append([])
        runs[-1].append((line, row))
        last = last if epoch is None else epoch
    return [run for run in runs if any(row is not None for _, row in run)]


def _json_rows(source: Source) -> Iterator[Line]:
    for line, text in source.lines():
        row = json_object(text)
        if row is not None and {"top_1", "top_5"} & row.keys():
            yield line, row
            continue
        if text:
            source.skip("not a JSON object with top_1 and top_5", line)
        if row is None and (not text or "{" in text or "top_" in text):
            yield line, None


def _table_rows(source: Source) -> Iterator[Line]:
    columns: list[str] | None = None
    for line, text in source.lines():
        fields = csv_fields(text)
        if columns is None:
            columns = fields
            needed = ("uid", "epoch", "top_1", "top_5", "relative_time")
            if fields is None or any(fields.count(name) != 1 for name in needed):
                source.skip(f"not a table of logs: its first line must have once each {needed}")
                return
        elif not text:
            yield line, None
        elif fields is None or len(fields) != len(columns):
            source.skip(f"not the {len(columns)} columns that the first line names", line)
            yield line, None
        else:
            yield line, dict(zip(columns, fields, strict=True))


def _curve(source: Source, run: _Run) -> Curve | None:
    rows = [(line, row) for line, row in run.rows if row is not None]
    if in_percent(row.get(key) for _, row in rows for key in ("top_1", "top_5")):
        source.skip(
            f"accuracies of run {note(run.uid)} are over 1: percent? the format uses fractions"
        )
        return None
    read = completed(list(_printed(source, run.rows)), IMAGENET, source, trained=True)
    points, params = read.points, run.params
    if not points:
        source.skip(f"no usable row of run {note(run.uid)}")
        return None
    if beyond_imagenet(points, source):
        return None
    facts = {key: value for key in FACTS if (value := note(params.get(key))) is not None}
    planned = count(params.get("training.epochs"))
    cut = planned is not None and points[-1].epochs < planned
    schedule = f"_{planned}_epochs" if planned else ""
    lost = "; the evaluations of skipped lines may be part of it" if read.missing else ""
    return Curve(
        form="ffcv",
        name=run.uid,
        model=facts.get("model.arch"),
        recipe=f"ffcv{schedule}",
        data=IMAGENET,
        date=_date(source, *rows[0]),
        source=f"{source.name}, run {note(run.uid)}, {REPOSITORY}",
        points=points,
        missing=read.missing,
        lines=run.lines,
        whole=not cut,
        detail=f"{read.decided}; the log ends before its {planned} epochs" if cut else read.decided,
        config={**facts, "clock": f"relative_time less val_time{lost}"},
    )


def _printed(source: Source, rows: Collection[Line]) -> Iterator[Row]:
    evaluated_seconds = 0.0
    for line, row in rows:
        if row is None:
            yield Row(line, None, None)
            continue
        epochs, spent = epochs_in(row.get("epoch")), seconds_in(row.get("relative_time"))
        top1, top5 = fraction(row.get("top_1"), 1), fraction(row.get("top_5"), 1)
        evaluation = seconds_in(row.get("val_time"))
        evaluated = evaluated_seconds + (evaluation or 0.0)
        if epochs is None or spent is None or spent < evaluated:
            source.skip("epoch, relative_time or val_time is not a possible number", line)
            yield Row(line, epochs, None)
            continue
        evaluated_seconds = evaluated
        if top1 is None or top5 is None:
            source.skip("top_1 or top_5 is not a number from 0 to 1", line)
            yield Row(line, epochs, None)
        else:
            point = Point(epochs, top1, top5, spent - evaluated_seconds, evaluation)
            yield Row(line, epochs, point)


def _params(source: Source) -> Mapping[str, Any]:
    """Return the parameters in ``params.json`` next to a log; empty if there is no such file."""
    path = source.path.with_name("params.json")
    if not path.is_file() or path.is_symlink():
        return {}
    text = "\n".join(text for _, text in source.sibling(path.name).lines())
    params = json_object(text)
    if params is None:
        source.skip("its params.json is not a JSON object: the network stays unknown")
    return params or {}


def _mark(rows: list[Line]) -> str:
    """Return a digest that identifies a log, since all of them are called ``log``."""
    readable = [(line, row) for line, row in rows if row is not None]
    return hashlib.sha256(repr(readable).encode()).hexdigest()[:12]


def _date(source: Source, line: int, row: Mapping[str, Any]) -> str | None:
    """Return the ISO date of a log (seconds since 1970) or of a table (text), or None and record
    why."""
    timestamp = row.get("timestamp")
    seconds = decimal(timestamp)
    try:
        if seconds is not None:
            day = datetime.fromtimestamp(seconds, UTC).date()
        else:
            day = date.fromisoformat(str(timestamp)[: len("2022-01-17")])
        if day >= EARLIEST:
            return day.isoformat()
    except (ValueError, OverflowError, OSError):
        pass
    source.skip(f"timestamp {note(timestamp)!r} is not a time: the entry has no date", line)
    return None
