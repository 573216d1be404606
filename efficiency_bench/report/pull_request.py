"""The text of a pull request that brings a row: the sections of its template, filled in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path

from rich.console import Console

from efficiency_bench.fitting.currencies import machine
from efficiency_bench.ledger import store
from efficiency_bench.ledger.verification import Verification
from efficiency_bench.records import Entry
from efficiency_bench.report.layout import ABSENT
from efficiency_bench.report.repeat_command import repeat_command
from efficiency_bench.report.verification_lines import print_verifications

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
