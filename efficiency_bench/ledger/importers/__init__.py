"""Measurements of others, read from four public formats into entries of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from efficiency_bench.errors import UserError, unknown
from efficiency_bench.ledger.importers import dawnbench, ffcv, mllog, openai
from efficiency_bench.ledger.importers.imported import Wanted, check
from efficiency_bench.ledger.importers.reading import Skipped, Source, files_under
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
    """What was found: entries with distinct run ids, and what was not taken, and why."""

    entries: tuple[Entry, ...]
    skipped: tuple[Skipped, ...]


def import_file_or_folder(
    form: str,
    path: Path,
    *,
    metric: Metric | None = None,
    target: float | None = None,
    model: str | None = None,
    data: str | None = None,
) -> Imported:
    """The entries in ``path``, a file or a folder that is searched, in format ``form``.

    A curve becomes an entry of tier ``imported``, a number one of tier ``published``; none is
    written anywhere.  ``metric`` and ``target`` (a fraction) say which crossing is meant.  Left
    out, it is top-5 where the file has it and the set 100 classes, else top-1, at the level of
    ``OWN_TARGETS``.  A curve whose crossing may hang on a skipped line is not taken.
    ``model`` is a network of the reference file: its exact counts at 224 px then give the
    compute of the files that name the same network; the others are skipped.  ``data`` names the
    set of DAWNBench's tables where these do not say it.

    Raises UserError for a format, a network, a set or a target that does not exist, and for a path
    with no file of the format.  Whatever is wrong inside a file is in ``skipped``.
    """
    if form not in _PARSERS:
        raise unknown("import format", form, FORMATS)
    parse, patterns = _PARSERS[form]
    if model is not None and form == "openai":
        raise UserError(
            "--model gives a curve its network; the rows of openai have their compute\n"
            "leave it out: efficiency-bench ledger import openai PATH"
        )
    if data is not None and form != "dawnbench":
        raise UserError(
            f"--data names the set of DAWNBench's tables; the files of {form} say it themselves\n"
            f"leave it out: efficiency-bench ledger import {form} PATH"
        )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    wanted = Wanted(metric, target, model, now, data)
    check(wanted)
    found: dict[str, Entry] = {}
    skipped: list[Skipped] = []
    for source in _sources(form, path, patterns):
        if not source.skipped:  # else it was refused before it was opened
            for entry in parse(source, wanted):
                if found.setdefault(entry.run_id, entry) is not entry:
                    source.skip(f"a second {entry.run_id}: the first is kept")
        skipped += source.skipped
    return Imported(tuple(found.values()), tuple(skipped))


def _sources(form: str, path: Path, patterns: tuple[str, ...]) -> list[Source]:
    if not path.exists():
        raise UserError(f"no file or folder {path}\nname one: ledger import {form} PATH")
    sources = files_under(dawnbench.beside(path) if form == "dawnbench" else path, patterns)
    if not sources:
        raise UserError(f"no {form} file in {path}: one is called {' or '.join(patterns)}")
    return sources
