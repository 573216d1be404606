"""Format the results of `efficiency-bench verify` as JSON rows and as terminal lines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from efficiency_bench.ledger.store import printable
from efficiency_bench.verify import Failure, Verification
from efficiency_bench.verify.verify import RULES_VERSION

WIDEST_VERDICT = len("not confirmed")

LONGEST_VALUE = 60
"""Characters shown of a value; a rule and two values fit on two terminal lines."""


def as_row(result: Verification) -> dict[str, Any]:
    """Return one entry's verification as JSON values."""
    return {
        "run_id": result.run_id,
        "verdict": result.verdict,
        "ok": result.ok,
        "rules_version": RULES_VERSION,
        "failures": [
            {"rule": f.rule, "expected": _json_value(f.expected), "found": _json_value(f.found)}
            for f in result.failures
        ],
        "not_confirmed": [f"{left.rule}: {left.reason}" for left in result.unconfirmed],
        "skipped": [f"{skipped.rule}: {skipped.reason}" for skipped in result.skipped],
        "notes": [f"{note.rule}: {note.text}" for note in result.notes],
    }


def print_verifications(results: Sequence[Verification], console: Console) -> None:
    """Print every entry with verdict and reasons, then skipped checks and notes, then a summary."""
    width = max((len(result.short_id or "") for result in results), default=0)
    for result in results:
        verdict = result.verdict.upper() if result.failures else result.verdict
        # the name of an unreadable file may hold anything
        run = printable(result.run_id)
        if result.short_id is not None:
            run = f"{result.short_id:<{width}}  {result.name}"
        console.print(f"{verdict:<{WIDEST_VERDICT}} {run}", highlight=False, markup=False)
        for failure in result.failures:
            console.print(f"         {_line(failure)}", highlight=False, markup=False)
        for left in result.unconfirmed:
            console.print(f"         {left.rule}: {left.reason}", highlight=False, markup=False)
    remarks = Counter(
        f"{kind} {finding}"
        for result in results
        for kind, finding in (
            *(("skipped", f"{s.rule}: {s.reason}") for s in result.skipped),
            *(("note", f"{n.rule}: {n.text}") for n in result.notes),
        )
    )
    for remark, times in remarks.items():
        console.print(f"{remark} ({times} entries)", highlight=False, markup=False)
    passed = sum(result.ok for result in results)
    console.print(
        f"{passed} of {len(results)} entries follow from their evidence (rules version"
        f" {RULES_VERSION})",
        style="bold",
        highlight=False,
    )


def _line(failure: Failure) -> str:
    return f"{failure.rule}: expected {_short(failure.expected)}, found {_short(failure.found)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def _json_value(value: Any) -> Any:
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        return repr(value)
