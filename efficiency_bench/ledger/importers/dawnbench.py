"""DAWNBench's training entries: NAME.json says what ran, NAME.tsv has a row an epoch.

Format: README of github.com/stanford-futuredata/dawn-bench-entries.  ImageNet's tables have
``top5Accuracy``, CIFAR-10's do not; accuracies are in percent, hours count from the start of
training and may contain evaluation.  Public tables are separated by tabs or by spaces, three on
ImageNet begin with the hours, and one on CIFAR-10 has a first line that exchanges the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

from efficiency_bench.dataset_facts import CIFAR10, IMAGENET, DataSet
from efficiency_bench.ledger.importers.curve import (
    Curve,
    Point,
    Row,
    completed,
    epochs_in,
    seconds_in,
)
from efficiency_bench.ledger.importers.imported import Wanted, to_entry
from efficiency_bench.ledger.importers.reading import Source, fraction, json_object, note
from efficiency_bench.records import Entry

PATTERNS = ("*.tsv", "*.json")
"""The files of a folder that belong to the format."""

REPOSITORY = "DAWNBench, github.com/stanford-futuredata/dawn-bench-entries"

NEEDED = ("epoch", "hours", "top1Accuracy")
FACTS = ("version", "author", "framework", "codeURL", "model", "hardware", "costPerHour")
"""The fields of an entry's JSON that are kept with it, besides its ``timestamp``."""

HOUR_SECONDS = 3600.0


def entries(source: Source, wanted: Wanted) -> Iterator[Entry]:
    """The entry of NAME.tsv, or of NAME.json where no table lies beside it: that is named."""
    if source.path.suffix == ".json":
        if source.path.with_suffix(".tsv").is_file():
            return  # told with its table
        source.skip("no table of the same name (.tsv) beside it")
        return
    table = list(source.lines())
    columns = table[0][1].split() if table else []
    if missing := [name for name in NEEDED if columns.count(name) != 1]:
        source.skip(f"no training table: its first line has not once each {', '.join(missing)}")
        return
    about = _about(source)
    if about is None:
        return
    data = IMAGENET if "top5Accuracy" in columns else CIFAR10
    rows = [_row(source, line, text, columns) for line, text in table[1:]]
    if _exchanged(rows):
        source.skip("hours go 1, 2, 3, ... and epochs do not: the first line exchanges them?")
        return
    points, decided = completed(rows, data, source)
    if not points:
        source.skip("no usable row")
    elif entry := to_entry(_curve(source, about, data, points, decided), wanted, source):
        yield entry


def beside(path: Path) -> Path:
    """The table of an entry that was named by its JSON, where there is one."""
    table = path.with_suffix(".tsv")
    return table if path.suffix == ".json" and table.is_file() else path


def _row(source: Source, line: int, text: str, columns: list[str]) -> Row:
    fields = text.split()
    printed = dict(zip(columns, fields, strict=False))
    epochs = epochs_in(printed.get("epoch"))
    if len(fields) != len(columns):
        source.skip(f"{len(fields)} columns, the first line names {len(columns)}", line)
        return Row(line, epochs, None)
    seconds = seconds_in(printed["hours"], HOUR_SECONDS)
    top1 = fraction(printed["top1Accuracy"], 100)
    top5 = fraction(printed.get("top5Accuracy"), 100)
    if epochs is None or seconds is None:
        source.skip("epoch or hours is no number of at least 0", line)
    elif top1 is None or (top5 is None and "top5Accuracy" in printed):
        source.skip("an accuracy is no number from 0 to 100", line)
    else:
        return Row(line, epochs, Point(epochs, top1, top5, seconds))
    return Row(line, epochs, None)


def _exchanged(rows: list[Row]) -> bool:
    """Whether the hours count the rows while the epochs are fractions: no run is like that."""
    points = [row.point for row in rows if row.point]
    hours = [round(point.train_seconds / HOUR_SECONDS, 9) for point in points]
    counting = len(hours) > 2 and all(b - a == 1 for a, b in pairwise(hours))
    return counting and not all(point.epochs.is_integer() for point in points)


def _about(source: Source) -> Mapping[str, Any] | None:
    """What NAME.json says, or None: then it is noted what is wrong with it."""
    path = source.path.with_suffix(".json")
    if not path.is_file() or path.is_symlink():
        source.skip(f"no {path.name} beside it to say which network it is")
        return None
    text = "\n".join(text for _, text in source.beside(path.name).lines())
    about = json_object(text)
    if about is None or not note(about.get("model")):
        source.skip(f"{path.name} is no JSON object that names its model")
        return None
    return about


def _curve(
    source: Source, about: Mapping[str, Any], data: DataSet, points: list[Point], decided: str
) -> Curve:
    name = source.path.stem
    facts = {key: value for key in FACTS if (value := note(about.get(key))) is not None}
    return Curve(
        form="dawnbench",
        name=name if data is IMAGENET else f"{data.name}-{name}",
        model=facts.pop("model"),
        recipe=note(name) or "dawnbench",
        data=data,
        date=_date(source, about.get("timestamp")),
        source=f"{source.name}, {REPOSITORY}",
        points=points,
        detail=decided,
        config={**facts, "clock": "hours as printed; evaluation may be part of them"},
    )


def _date(source: Source, timestamp: object) -> str | None:
    """The ISO date of submission; a missing one is unknown, a malformed one is named."""
    try:
        return date.fromisoformat(str(timestamp)).isoformat()
    except ValueError:
        source.skip(f"timestamp {note(timestamp)!r} is no date (yyyy-mm-dd): the entry has none")
        return None
