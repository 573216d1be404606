"""The sentences on how much the widths of the small forms matter."""

from __future__ import annotations

from efficiency_bench.report.page.results import NoResult, SetResults


def width_sentences(results: SetResults) -> tuple[str, ...]:
    """How much the widths of the small forms matter; empty for runs without budgets."""
    width = results.width
    if not results.ladders:
        return ()
    if isinstance(width, NoResult):
        return (f"How much the widths of the networks matter was not measured: {width.reason}.",)
    if width.slope is None:
        return ("How much the widths of the networks matter is not identified by these rows.",)
    low, high = ("open" if end is None else f"{end:.2f}" for end in (width.low, width.high))
    if width.large:
        verdict = (
            "the widths of the networks are a large part of any trend here, and this halving time "
            "is also a statement about them"
        )
    elif width.small:
        verdict = "the widths of the networks matter little here"
    else:
        verdict = "too uncertain to say how much the widths of the networks matter"
    return (
        f"Width elasticity {width.slope:.2f} (95 % interval {low} to {high}, {width.rows} rows of "
        f"{len(width.models)} networks at several scales): {verdict}.",
    )
