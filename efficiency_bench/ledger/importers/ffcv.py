"""FFCV's logs of ImageNet runs: a line an epoch, as JSON or gathered into a table.

Format: ``train_imagenet.py`` and ``assets/agg.csv`` of github.com/libffcv/ffcv-imagenet.  The
trainer writes ``log`` (a JSON object a line) beside ``params.json``; the table has the logs of
several runs, told apart by ``uid``, with the parameters in further columns.  Epochs are numbered
from 0 and evaluated after training, accuracies are fractions, ``relative_time`` contains the
evaluations, whose own time is ``val_time``; after the last epoch it is evaluated once more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from efficiency_bench.dataset_facts import IMAGENET
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
    csv_fields,
    decimal,
    fraction,
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

Line = tuple[int, Mapping[str, Any]]
"""Line number and the fields of the line."""


def entries(source: Source, wanted: Wanted) -> Iterator[Entry]:
    """The entry of each run in a log or in a table of logs."""
    for uid, rows, params in _runs(source):
        curve = _curve(source, uid, rows, params)
        if curve and (entry := to_entry(curve, wanted, source)):
            yield entry


def _runs(source: Source) -> Iterator[tuple[str, list[Line], Mapping[str, Any]]]:
    """Each run's uid, rows and parameters."""
    if source.path.suffix != ".csv":
        rows = list(_json_rows(source))
        if rows:
            yield _mark(rows), rows, _params(source)
        return
    by_uid: dict[str, list[Line]] = {}
    for line, row in _table_rows(source):
        by_uid.setdefault(row["uid"], []).append((line, row))
    for uid, rows in by_uid.items():
        yield uid, rows, rows[0][1]


def _json_rows(source: Source) -> Iterator[Line]:
    for line, text in source.lines():
        row = json_object(text)
        if row is None or not {"top_1", "top_5"} & row.keys():
            source.skip("no JSON object with top_1 and top_5", line)
        else:
            yield line, row


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
        elif fields is None or len(fields) != len(columns):
            source.skip(f"not the {len(columns)} columns that the first line names", line)
        else:
            yield line, dict(zip(columns, fields, strict=True))


def _curve(
    source: Source, uid: str, rows: Iterable[Line], params: Mapping[str, Any]
) -> Curve | None:
    rows = list(rows)
    points, decided = completed(list(_printed(source, rows)), IMAGENET, source, trained=True)
    if not points:
        source.skip(f"no usable row of run {note(uid)}")
        return None
    facts = {key: value for key in FACTS if (value := note(params.get(key))) is not None}
    planned = count(params.get("training.epochs"))
    missing = planned is not None and points[-1].epochs < planned
    schedule = f"_{planned}_epochs" if planned else ""
    return Curve(
        form="ffcv",
        name=uid,
        model=facts.get("model.arch"),
        recipe=f"ffcv{schedule}",
        data=IMAGENET,
        date=_date(source, *rows[0]),
        source=f"{source.name}, run {note(uid)}, {REPOSITORY}",
        points=points,
        whole=not missing,
        detail=f"{decided}; the log ends before its {planned} epochs" if missing else decided,
        config={**facts, "clock": "relative_time less val_time"},
    )


def _printed(source: Source, rows: Iterable[Line]) -> Iterator[Row]:
    evaluated_seconds = 0.0
    for line, row in rows:
        epochs, spent = epochs_in(row.get("epoch")), seconds_in(row.get("relative_time"))
        top1, top5 = fraction(row.get("top_1"), 1), fraction(row.get("top_5"), 1)
        evaluation = seconds_in(row.get("val_time"))
        evaluated_seconds += evaluation or 0.0
        if epochs is None or spent is None or spent < evaluated_seconds:
            source.skip("epoch, relative_time or val_time is no possible number", line)
            yield Row(line, epochs, None)
        elif top1 is None or top5 is None:
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
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:12]


def _date(source: Source, line: int, row: Mapping[str, Any]) -> str | None:
    """ISO date of a log's time (seconds since 1970) or of a table's (in words); else named."""
    timestamp = row.get("timestamp")
    seconds = decimal(timestamp)
    try:
        if seconds is not None:
            return datetime.fromtimestamp(seconds, UTC).date().isoformat()
        return date.fromisoformat(str(timestamp)[: len("2022-01-17")]).isoformat()
    except (ValueError, OverflowError, OSError):
        source.skip(f"timestamp {note(timestamp)!r} is no time: the entry has no date", line)
        return None
