"""A row that is offered to the common ledger, judged as its referee would judge it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from rich.console import Console

from efficiency_bench.fitting.currencies import machine
from efficiency_bench.ledger import store
from efficiency_bench.records import Entry
from efficiency_bench.report.page.repeat_command import repeat_command
from efficiency_bench.report.tables.layout import ABSENT
from efficiency_bench.reproducibility.data_and_counts import verify_ledger
from efficiency_bench.verify import Verification
from efficiency_bench.verify.lines import print_verifications

LEAST_SEEDS = 3
"""Two leave one degree of freedom: Student's interval would be 12.7 standard errors wide."""

LOCATOR = re.compile(r"arXiv:\d{4}\.\d{4,5}|doi:10\.|https?://", re.IGNORECASE)
"""What makes a citation one that can be looked up."""


@dataclass(frozen=True)
class Proposal:
    """The runs that a pull request brings, and what it still lacks."""

    seeds: tuple[Entry, ...]
    """The row: every run of one configuration that was held to one target, in order of seed."""
    baselines: tuple[Entry, ...]
    """The runs that set this target, as far as the ledger has them."""
    verifications: tuple[Verification, ...]
    """Of the seeds, then of the baselines."""
    missing: tuple[str, ...]
    """What a referee would send it back for; none: it can be offered."""


def propose(ledger_dir: Path, run_id: str, data_root: Path | None) -> Proposal:
    """Gather the row of ``run_id`` (a unique beginning is enough) and judge it.

    ``data_root`` holds the data sets, None: the default place.  Raises UserError where the ledger
    or the run is not there.
    """
    read = store.read(ledger_dir)
    entries = read.entries
    asked = store.matching(entries, run_id)
    seeds = sorted((e for e in entries if _row(e) == _row(asked)), key=_place)
    named = {name for entry in seeds for name in entry.target.baseline_run_ids}
    baselines = [entry for entry in entries if entry.run_id in named]
    offered = [*seeds, *baselines]
    checked = [verify_ledger(str(ledger_dir), e.run_id, data_root)[0] for e in offered]
    missing = [
        *(f"{e.run_id}: {lack}" for e in offered for lack in _lacks(ledger_dir, e)),
        *(f"{v.run_id}: verify fails: {_rules(v)}" for v in checked if not v.ok),
        *_lacks_of_the_row(seeds),
        *(f"{problem.path} cannot be read: {problem.reason}" for problem in read.problems),
    ]
    if absent := sorted(named - {entry.run_id for entry in baselines}):
        missing.append(f"runs that set the target are not in this ledger: {', '.join(absent)}")
    return Proposal(tuple(seeds), tuple(baselines), tuple(checked), tuple(missing))


def _row(entry: Entry) -> tuple[object, ...]:
    """Seeds of one row share this; an entry without a configuration stands alone."""
    alone = entry.run_id if entry.config_digest is None else entry.config_digest
    return alone, entry.date, entry.data_digest, entry.target.metric, entry.target.threshold


def _place(entry: Entry) -> tuple[int, int]:
    return (-1 if entry.seed is None else entry.seed), entry.repeat


def _lacks(ledger_dir: Path, entry: Entry) -> Iterator[str]:
    """What one entry lacks beyond what ``verify`` recomputes."""
    if entry.tier != "measured":
        yield f"tier {entry.tier}: only rows that were measured with this harness are taken"
        return
    log = store.log_path(ledger_dir, entry.run_id)
    if not log.is_file():
        yield f"its event log {log} is missing"
    facts = entry.provenance
    if facts is None or facts.commit is None:
        yield "measured outside a git repository: its code cannot be looked up; train in a clone"
    elif facts.dirty is not False:
        yield "measured with local changes: commit them and train again with repeat=1"
    if entry.end_reason == "failed":
        yield "ended by a fault: train again with repeat=1"


def _lacks_of_the_row(seeds: Sequence[Entry]) -> Iterator[str]:
    """What the seeds lack together, and the row's date."""
    found = {entry.seed for entry in seeds}
    if len(found) < LEAST_SEEDS:
        further = [seed for seed in range(LEAST_SEEDS) if seed not in found]
        wanted = further[: LEAST_SEEDS - len(found)]
        yield (
            f"{len(found)} of {LEAST_SEEDS} seeds: the same command with "
            f"{' and '.join(f'seed={seed}' for seed in wanted)}"
        )
    entry = seeds[0]
    if entry.date is None:
        yield "the row has no date: write the first publication's into configs/model"
    if entry.tier == "measured":
        yield from _lacks_a_source(entry, "model", "paper", "published")
        yield from _lacks_a_source(entry, "recipe", "citation", "date")


def _lacks_a_source(entry: Entry, part: str, source: str, date: str) -> Iterator[str]:
    fields = entry.config.get(part, {})
    text = str(fields.get(source))
    if fields.get(date) is not None and not LOCATOR.search(text):
        yield f"no source for the {part}'s date: {text!r} has no arXiv number, DOI or address"


def _rules(result: Verification) -> str:
    return ", ".join(sorted({failure.rule for failure in result.failures}))


WIDE = 200
"""Columns of ``verify``'s lines: none is wrapped inside the text."""


def pull_request(
    ledger_dir: Path,
    seeds: Sequence[Entry],
    baselines: Sequence[Entry],
    results: Sequence[Verification],
) -> str:
    """Markdown, its first line the title; ``seeds`` are measured entries of one row."""
    return "\n".join(_lines(ledger_dir, seeds, baselines, results)) + "\n"


def _lines(
    ledger_dir: Path,
    seeds: Sequence[Entry],
    baselines: Sequence[Entry],
    results: Sequence[Verification],
) -> Iterator[str]:
    first, offered = seeds[0], [*seeds, *baselines]
    target = f"{first.target.metric} >= {first.target.value:.6g}"
    yield f"# New row: {first.model} with {first.recipe} on {first.data}, {target}"
    yield ""
    yield "| run | seed | reached | epochs to target | teraflop/s-days to target | code |"
    yield "|---|---:|---|---:|---:|---|"
    for entry in offered:
        commit = entry.provenance.commit if entry.provenance else None
        yield (
            f"| {entry.run_id} | {entry.seed} | {'yes' if entry.reached else 'no'} "
            f"| {_number(entry.sustained_crossing_epochs)} "
            f"| {_number(entry.paper3x_to_target_tfs_days)} | {commit or ABSENT} |"
        )
    yield ""
    yield "Files:"
    yield ""
    for entry in offered:
        yield f"- `{store.entry_path(ledger_dir, entry.run_id)}`"
        yield f"- `{store.log_path(ledger_dir, entry.run_id)}`"
    yield ""
    model, recipe = first.config["model"], first.config["recipe"]
    yield "| | date | source |"
    yield "|---|---|---|"
    yield f"| {first.model} | {model['published']} | {model['paper']} |"
    yield f"| {first.recipe} | {recipe['date'] or 'none'} | {recipe['citation']} |"
    yield ""
    yield f"Machine: {'; '.join(sorted({machine(entry) for entry in offered}))}"
    yield ""
    yield from _block(str(repeat_command(first, str(ledger_dir))))
    shown = StringIO()
    print_verifications(results, Console(file=shown, width=WIDE, no_color=True))
    yield from _block(shown.getvalue().rstrip())


def _block(text: str) -> tuple[str, ...]:
    return "```", text, "```", ""


def _number(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.4g}"
