"""Import other people's measurements from four public formats as ledger entries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from efficiency_bench.errors import UserError, unknown
from efficiency_bench.ledger.importers import dawnbench, ffcv, mllog, openai
from efficiency_bench.ledger.importers.imported import Wanted, check
from efficiency_bench.ledger.importers.reading import SkippedLine, Source, files_under
from efficiency_bench.records import Entry, Metric

Parser = Callable[[Source, Wanted], Iterator[Entry]]

_PARSERS: dict[str, tuple[Parser, tuple[str, ...]]] = {
    "openai": (openai.entries, openai.PATTERNS),
    "dawnbench": (dawnbench.entries, dawnbench.PATTERNS),
    "ffcv": (ffcv.entries, ffcv.PATTERNS),
    "mllog": (mllog.entries, mllog.PATTERNS),
}

FORMATS = tuple(_PARSERS)
"""Names of the formats: OpenAI's leaderboard, DAWNBench, FFCV's logs, MLPerf's logs."""


@dataclass(frozen=True)
class Imported:
    """The result of an import: entries with distinct run ids, and what was skipped and why."""

    entries: tuple[Entry, ...]
    skipped: tuple[SkippedLine, ...]


def import_file_or_folder(
    form: str,
    path: Path,
    *,
    metric: Metric | None = None,
    target: float | None = None,
    model: str | None = None,
    data: str | None = None,
) -> Imported:
    """Return the entries in ``path``, a file or a folder to search, in format ``form``.

    A learning curve becomes an entry of tier ``imported``, a single number one of tier
    ``published``; nothing is written.  ``metric`` and ``target`` (a fraction) select the crossing.
    By default the metric is top-5 if the file has it and the dataset has 100 classes or more, else
    top-1, and the target is that of ``OWN_TARGETS``.  A curve whose crossing may depend on a
    skipped line is not imported.  ``model`` is a network of the reference file: its exact counts at
    224 px then give the compute of the files that name the same network; other files are skipped.
    ``data`` names the dataset of DAWNBench's tables if they do not say it.

    Raises UserError for an unknown format, network or dataset, an invalid target, and a path
    without a file of the format.  Problems inside a file are listed in ``skipped``.
    """
    if form not in _PARSERS:
        raise unknown("import format", form, FORMATS)
    parse, patterns = _PARSERS[form]
    if model is not None and form == "openai":
        raise UserError(
            "--model names the network of a curve, but the rows of openai have their compute\n"
            "leave it out: efficiency-bench ledger import openai PATH"
        )
    if data is not None and form != "dawnbench":
        raise UserError(
            f"--data names the dataset of DAWNBench's tables, but the files of {form} name theirs\n"
            f"leave it out: efficiency-bench ledger import {form} PATH"
        )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    wanted = Wanted(metric, target, model, now, data)
    check(wanted)
    found: dict[str, Entry] = {}
    skipped: list[SkippedLine] = []
    for source in _sources(form, path, patterns):
        if not source.skipped:  # else it was rejected before it was opened
            for entry in parse(source, wanted):
                if found.setdefault(entry.run_id, entry) is not entry:
                    source.skip(f"a second {entry.run_id}: the first is kept")
        skipped += source.skipped
    return Imported(tuple(found.values()), tuple(skipped))


def _sources(form: str, path: Path, patterns: tuple[str, ...]) -> list[Source]:
    if not path.exists():
        raise UserError(f"no file or folder {path}\nname one: ledger import {form} PATH")
    sources = files_under(dawnbench.table_of(path) if form == "dawnbench" else path, patterns)
    if not sources:
        raise UserError(
            f"no {form} file in {path}: one is called {' or '.join(patterns)};\n"
            f"name the file or its folder: ledger import {form} PATH"
        )
    return sources
