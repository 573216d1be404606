"""The account of a profiled run as lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from efficiency_bench.report.sentences import number, percent

PARTS = {
    "data": "batches from the data set",
    "forward": "network and loss",
    "backward": "gradients",
    "optimizer": "update and average of weights",
    "evaluation": "validation set",
    "harness": "log, meter, progress, checkpoints",
}


def profile_lines(event: Mapping[str, Any], peak_flops_per_second: float | None) -> Iterator[str]:
    """Milliseconds a step by part, and the rate against the measured peak (None: unknown)."""
    trace = event["trace"] or "none, the run was too short"
    yield f"  trace of {event['traced_steps']} steps: {trace}"
    steps = event["steps"]
    if steps == 0:
        yield "  no account: the run has no step after the traced ones; raise recipe.epochs"
        return
    seconds = event["seconds"]
    whole = sum(seconds.values())
    yield f"  where the time of the {steps} steps after it went:"
    for part, words in PARTS.items():
        taken = seconds.get(part, 0.0)
        if part == "evaluation":
            words = f"{words}, {event['evaluations']} times"
        share = percent(round(taken / whole, 3))
        yield f"    {part:<11}{1e3 * taken / steps:>10.3f} ms a step {share:>7}   {words}"
    yield f"    {'all':<11}{1e3 * whole / steps:>10.3f} ms a step"
    rate = event["flops_per_second"]
    held = ""
    if peak_flops_per_second is not None:
        share = percent(round(rate / peak_flops_per_second, 3))
        held = f", {share} of the measured peak ({number(peak_flops_per_second / 1e9)} GFLOP/s)"
    yield f"  {number(rate / 1e9)} GFLOP/s without the evaluations{held}"
