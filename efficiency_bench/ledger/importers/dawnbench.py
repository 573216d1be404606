"""Import DAWNBench's training entries: NAME.json says what ran, NAME.tsv has a row per epoch.

Format: README of github.com/stanford-futuredata/dawn-bench-entries.  ImageNet's tables should have
``top5Accuracy`` and CIFAR-10's should not, but the column alone does not identify the dataset.
Accuracies are in percent; hours count from the start of training and may include evaluation.
Public tables are separated by tabs or by spaces, three on ImageNet begin with the hours, and one
on CIFAR-10 has a header that swaps epochs and hours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

from efficiency_bench.dataset_facts import CIFAR10, IMAGENET, DataSet
from efficiency_bench.ledger.baseline import CHANCE_STANDARD_ERRORS
from efficiency_bench.ledger.importers.curve import (
    MOST_ON_IMAGENET,
    Completed,
    Curve,
    Point,
    Row,
    completed,
    epochs_in,
    errors_above_chance,
    seconds_in,
)
from efficiency_bench.ledger.importers.imported import SETS, Wanted, counted_models, to_entry
from efficiency_bench.ledger.importers.reading import Source, fraction, json_object, note
from efficiency_bench.records import Entry

PATTERNS = ("*.tsv", "*.json")
"""The files of a folder that belong to the format."""

REPOSITORY = "DAWNBench, github.com/stanford-futuredata/dawn-bench-entries"

NEEDED = ("epoch", "hours", "top1Accuracy")
FACTS = ("version", "author", "framework", "codeURL", "model", "hardware", "costPerHour")
"""The fields of an entry's JSON that are kept with it, besides its ``timestamp``."""

HOUR_SECONDS = 3600.0

LEAST_IN_PERCENT = 0.01
"""If no accuracy of a table is over 1 %, its numbers are taken to be fractions."""

_SET = re.compile(r"(?<![A-Za-z])(imagenet|cifar[-_ ]?100?)(?![A-Za-z0-9])", re.IGNORECASE)
"""The name of a dataset, as a folder's name or in a model's name."""

REMARK = "#"
"""Prefix of a comment line."""

_SHORT_DATE = re.compile(r"(?P<year>[0-9]{4})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})")


def entries(source: Source, wanted: Wanted) -> Iterator[Entry]:
    """Yield the entry of NAME.tsv; a NAME.json without a table is skipped with the reason."""
    if source.path.suffix == ".json":
        if source.path.with_suffix(".tsv").is_file():
            return  # read with its table
        source.skip("no table of the same name (.tsv) in its folder")
        return
    table = list(source.lines())
    columns = table[0][1].split() if table else []
    if missing := [name for name in NEEDED if columns.count(name) != 1]:
        source.skip(f"no training table: its first line must have once each {', '.join(missing)}")
        return
    about = _about(source)
    if about is None:
        return
    rows = list(_rows(source, table[1:], columns))
    if _exchanged(rows):
        source.skip("hours go 1, 2, 3, ... and epochs do not: does the first line swap them?")
        return
    if _in_fractions(rows):
        source.skip("no accuracy is over 1 %: are they fractions? the format uses percent")
        return
    data = SETS[wanted.data] if wanted.data else _data_set(source, about, columns, rows)
    if data is None:
        return
    read = completed(rows, data, source)
    if not read.points:
        source.skip("no usable row")
    elif entry := to_entry(_curve(source, about, data, read, wanted), wanted, source):
        yield entry


def table_of(path: Path) -> Path:
    """Return the table that belongs to ``path``, the JSON of an entry, if there is one."""
    table = path.with_suffix(".tsv")
    return table if path.suffix == ".json" and table.is_file() else path


def _rows(source: Source, table: Iterable[tuple[int, str]], columns: list[str]) -> Iterator[Row]:
    for line, text in table:
        if text.startswith(REMARK):
            source.skip("a comment", line)
        else:
            yield _row(source, line, text, columns) if text else Row(line, None, None)


def _row(source: Source, line: int, text: str, columns: list[str]) -> Row:
    fields = text.split()
    if len(fields) != len(columns):
        source.skip(f"{len(fields)} columns, the first line names {len(columns)}", line)
        return Row(line, None, None)  # which column is missing is unknown, so is the epoch
    printed = dict(zip(columns, fields, strict=True))
    epochs = epochs_in(printed["epoch"])
    seconds = seconds_in(printed["hours"], HOUR_SECONDS)
    top1 = fraction(printed["top1Accuracy"], 100)
    top5 = fraction(printed.get("top5Accuracy"), 100)
    if epochs is None or seconds is None:
        source.skip("epoch or hours is not a number of at least 0", line)
    elif top1 is None or (top5 is None and "top5Accuracy" in printed):
        source.skip("an accuracy is not a number from 0 to 100", line)
    else:
        return Row(line, epochs, Point(epochs, top1, top5, seconds))
    return Row(line, epochs, None)


def _in_fractions(rows: Sequence[Row]) -> bool:
    """Return whether the table has rows, and none has an accuracy over 1 %."""
    points = [row.point for row in rows if row.point]
    best = (max(point.top1, point.top5 or 0.0) for point in points)
    return bool(points) and max(best) <= LEAST_IN_PERCENT


def _data_set(
    source: Source, about: Mapping[str, Any], columns: list[str], rows: Sequence[Row]
) -> DataSet | None:
    """Return the dataset that folder, model and accuracies agree on, or None and record why not.

    The closest parent folder named like a dataset and the model's name are trusted, unless the
    accuracies rule that dataset out.  If neither names one, the accuracies decide by ruling out the
    other.  If they rule out neither, a network of the 2020 paper in a table with top-5 is taken to
    be on ImageNet.
    """
    named, impossible = dict(_named(source.path, str(about["model"]))), _impossible(rows)
    left = [name for name in SETS if name not in impossible]
    model = _plain(str(about["model"]))
    published = any(model.startswith(_plain(known)) for known in counted_models())
    if not named and not impossible and published and "top5Accuracy" in columns:
        return IMAGENET
    chosen = set(named.values()) or set(left)
    if len(chosen) == 1 and (name := chosen.pop()) in left:
        return SETS[name]
    found = [f"{what} says {name}" for what, name in named.items()]
    found += [f"{why} is not {name}" for name, why in impossible.items()]
    source.skip(
        f"unclear dataset: {', '.join(found) or 'folder, model and accuracies do not say'};"
        f" name it: --data {' or --data '.join(SETS)}"
    )
    return None


def _named(path: Path, model: str) -> Iterator[tuple[str, str]]:
    """Yield what names a dataset, and which one."""
    folders = (_SET.fullmatch(folder.name) for folder in path.absolute().parents)
    if folder := next(filter(None, folders), None):
        yield "its folder", _plain(folder[0])
    if said := _SET.search(model):
        yield f"model {note(model)}", _plain(said[0])


def _impossible(rows: Sequence[Row]) -> dict[str, str]:
    """Return dataset -> an accuracy that rules it out: above the best, or far below chance."""
    points = [row.point for row in rows if row.point]
    found = {}
    if points and (best := max(point.top1 for point in points)) > MOST_ON_IMAGENET:
        found[IMAGENET.name] = f"top-1 of {best:.1%}"
    few = [p for p in points if min(errors_above_chance(p, CIFAR10)) < -CHANCE_STANDARD_ERRORS]
    if few:
        found[CIFAR10.name] = f"top-1 of {few[0].top1:.1%} at epoch {few[0].epochs:g}"
    return found


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _exchanged(rows: list[Row]) -> bool:
    """Return whether the hours count the rows while the epochs are fractional."""
    points = [row.point for row in rows if row.point]
    hours = [round(point.train_seconds / HOUR_SECONDS, 9) for point in points]
    counting = len(hours) > 2 and all(b - a == 1 for a, b in pairwise(hours))
    return counting and not all(point.epochs.is_integer() for point in points)


def _about(source: Source) -> Mapping[str, Any] | None:
    """Return the content of NAME.json, or None and record what is wrong with it."""
    path = source.path.with_suffix(".json")
    if not path.is_file() or path.is_symlink():
        source.skip(f"no {path.name} in its folder to say which network it is")
        return None
    text = "\n".join(text for _, text in source.sibling(path.name).lines())
    about = json_object(text)
    if about is None or not note(about.get("model")):
        source.skip(f"{path.name} is not a JSON object that names its model")
        return None
    return about


def _curve(
    source: Source, about: Mapping[str, Any], data: DataSet, read: Completed, wanted: Wanted
) -> Curve:
    name = source.path.stem
    facts = {key: value for key in FACTS if (value := note(about.get(key))) is not None}
    named = "the set is as the user named it" if wanted.data else ""
    return Curve(
        form="dawnbench",
        name=name if data is IMAGENET else f"{data.name}-{name}",
        model=facts.pop("model"),
        recipe=note(name) or "dawnbench",
        data=data,
        date=_date(source, about.get("timestamp")),
        source=f"{source.name}, {REPOSITORY}",
        points=read.points,
        missing=read.missing,
        detail="; ".join(filter(None, (read.decided, named))),
        config={**facts, "clock": "hours as printed; evaluation may be part of them"},
    )


def _date(source: Source, timestamp: object) -> str | None:
    """Return the ISO date of submission, whose month and day may have one or two digits.

    Returns None and records the timestamp if it does not begin with the year, since day and month
    could then be in either order.
    """
    parts = _SHORT_DATE.fullmatch(str(timestamp))
    try:
        if parts is None:
            raise ValueError
        return date(*(int(parts[name]) for name in ("year", "month", "day"))).isoformat()
    except ValueError:
        source.skip(f"timestamp {note(timestamp)!r} is not a date (yyyy-mm-dd): the entry has none")
        return None
