"""Rules about budgets: the share that was spent, and the schedule that the budget pays for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from efficiency_bench.verify.evidence import Evidence
from efficiency_bench.verify.findings import Failure, Finding, close, equal
from efficiency_bench.verify.recount import StepPlan, plan_of

SINCE = 4
"""First schema with budgets, classes and the search for the rate."""


def budget(evidence: Evidence) -> Iterator[Finding]:
    """Check the share spent, and that no other number of steps comes nearer to the share asked."""
    entry, start = evidence.entry, evidence.start
    if entry.schema_version < SINCE:
        return
    asked, logged = entry.config.get("budget"), start.get("budget")
    yield from equal("budget: asked", asked, entry.budget_asked)
    if asked is None or logged is None:
        yield from equal("budget: start event", None, logged)
        yield from equal("budget: share", None, entry.budget)
        return
    yield from equal("budget: estimand", "budgeted", entry.estimand)
    yield from equal("budget: asked at the start", asked, logged["asked"])
    length = entry.config["target"]["baseline_epochs"]
    yield from equal("budget: epochs of the baseline", length, logged["baseline_epochs"])
    plan = plan_of(evidence)
    whole = 3 * logged["baseline_forward_macs"] * length * plan.train_images
    spent = sum(3 * s.images * s.passes * s.forward_macs for s in entry.segments)
    yield from close("budget: share", spent / whole, entry.budget)
    steps = plan.total_steps
    misses = {
        near: abs(_macs(plan, near, start["counts"]) - asked * whole)
        for near in (steps - 1, steps, steps + 1)
        if near > 0
    }
    if min(misses.values()) < misses[steps]:
        nearest = min(misses, key=lambda near: misses[near])
        yield Failure("budget: steps", nearest, steps)


def _macs(plan: StepPlan, steps: int, counts: Mapping[str, Any]) -> int:
    """Return the sum of images * 3F of a whole schedule of ``steps`` steps."""
    recipe = dict(plan.config["recipe"]) | {"epochs": steps / plan.steps_per_epoch}
    other = dataclasses.replace(plan, config={**plan.config, "recipe": recipe})
    return other.threefold_macs([steps], counts)[0]


def facts(evidence: Evidence) -> Iterator[Finding]:
    """Check classes, parameters, and where the learning rate comes from, against the log."""
    entry, start = evidence.entry, evidence.start
    if entry.schema_version < SINCE:
        return
    yield from equal("facts: classes", start["classes"], entry.classes)
    yield from equal("facts: parameters", start.get("parameters"), entry.parameters)
    rates = entry.rates and entry.rates.model_dump(mode="json")
    yield from equal("facts: rates", start.get("rates"), rates)
