"""FFCV's logs of ImageNet runs: a line an epoch, as JSON or gathered into a table.

Format: ``train_imagenet.py`` and ``assets/agg.csv`` of github.com/libffcv/ffcv-imagenet.  The
trainer writes ``log`` (a JSON object a line) beside ``params.json``; the table has the logs of
several runs, told apart by ``uid``, with the parameters in further columns.  Epochs are numbered
from 0 and evaluated after training, accuracies are fractions, ``relative_time`` contains the
evaluations, whose own time is ``val_time``; after the last epoch it is evaluated once more.  A
log that was begun anew holds two runs.
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
"""The parameters that are kept with an entry."""

EARLIEST = date(2021, 1, 1)
"""FFCV is of January 2022: a timestamp of before is in other units, or none."""

Line = tuple[int, Mapping[str, Any] | None]
"""Line number and the fields of the line; None: it cannot be read and may have been a row."""


@dataclass(frozen=True)
class _Run:
    """The rows of one run among the lines of a file."""

    uid: str
    rows: list[Line]
    params: Mapping[str, Any]
    lines: Container[int]
    """The lines that are its own, or that cannot be read."""


def entries(source: Source, wanted: Wanted) -> Iterator[Entry]:
    """The entry of each run in a log or in a table of logs."""
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
    """The rows of a log, cut before each epoch 0 that a later epoch stands before."""
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
            source.skip("no JSON object with top_1 and top_5", line)
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
                source.skip(f"no table of logs: its first line has not once each {needed}")
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
            f"accuracies of run {note(run.uid)} are over 1: percent? the format has fractions"
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
            source.skip("epoch, relative_time or val_time is no possible number", line)
            yield Row(line, epochs, None)
            continue
        evaluated_seconds = evaluated
        if top1 is None or top5 is None:
            source.skip("top_1 or top_5 is no number from 0 to 1", line)
            yield Row(line, epochs, None)
        else:
            point = Point(epochs, top1, top5, spent - evaluated_seconds, evaluation)
            yield Row(line, epochs, point)


def _params(source: Source) -> Mapping[str, Any]:
    """The parameters in ``params.json`` beside a log; none where there is no such file."""
    path = source.path.with_name("params.json")
    if not path.is_file() or path.is_symlink():
        return {}
    text = "\n".join(text for _, text in source.beside(path.name).lines())
    params = json_object(text)
    if params is None:
        source.skip("params.json beside it is no JSON object: the network stays unknown")
    return params or {}


def _mark(rows: list[Line]) -> str:
    """What tells a log from others: its name does not, all are called ``log``."""
    readable = [(line, row) for line, row in rows if row is not None]
    return hashlib.sha256(repr(readable).encode()).hexdigest()[:12]


def _date(source: Source, line: int, row: Mapping[str, Any]) -> str | None:
    """ISO date of a log's time (seconds since 1970) or of a table's (in words); else named."""
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
    source.skip(f"timestamp {note(timestamp)!r} is no time: the entry has no date", line)
    return None
