"""The horizon search: trains the trials that the search asks for, each a run with an entry.

The ledger is its memory.  A search that was killed asks from the beginning, finds the finished
trials by their run ids, and takes up the unfinished one from its checkpoint.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from efficiency_bench import hydra_app, identity
from efficiency_bench.config import RunConfig, measured_part
from efficiency_bench.config_checks import check
from efficiency_bench.errors import UserError
from efficiency_bench.fitting.horizon import horizon_cost
from efficiency_bench.horizon.decide import Done, Next, Plan, decide
from efficiency_bench.ledger import store
from efficiency_bench.records import Entry
from efficiency_bench.run.processes import leave, this_process
from efficiency_bench.run.signals import STOPPED, Stop, stop_on_signal
from efficiency_bench.run.terminal import Terminal, run_with_progress

SEEDS = 3
"""Seeds a rung at most, unless seeds=N says otherwise: as the suites have."""

Json = dict[str, Any]


@dataclass
class Search:
    """A search under way: what it may try, and what it has found so far."""

    config: RunConfig
    plan: Plan
    data_name: str
    data_digest: str
    trials: list[tuple[Next, Entry]] = field(default_factory=list)

    @property
    def outcomes(self) -> dict[int, list[float | None]]:
        """Final accuracies as ``horizon_search`` takes them."""
        found: dict[int, list[float | None]] = {}
        for step, entry in self.trials:
            ended = entry.end_reason == "schedule"
            accuracy = entry.evaluations[-1].accuracy(self.plan.target.metric) if ended else None
            found.setdefault(step.rung, []).append(accuracy)
        return found

    def trial(self, step: Next) -> RunConfig:
        """The run that ``step`` asks for."""
        recipe = dataclasses.replace(self.config.recipe, epochs=self.plan.epochs(step.rung))
        return dataclasses.replace(self.config, recipe=recipe, seed=self.config.seed + step.seed)

    def finished(self, config: RunConfig) -> Entry | None:
        """The ledger's entry of that run, without building its data again."""
        run_id = identity.run_id(
            measured_part(config), self.data_name, self.data_digest, self.plan.target
        )
        ledger = Path(config.ledger_dir)
        return store.find(ledger, run_id) if store.entry_path(ledger, run_id).exists() else None


def search(arguments: Sequence[str], here: Terminal) -> tuple[Json | None, int]:
    """Search as Hydra's ``arguments``, ``seeds=N`` and ``budget=...`` say; the answer, exit code.

    No answer and exit code 75 where a signal stopped it.  Raises UserError.
    """
    try:
        with stop_on_signal(leaving=True) as stop:
            return _search(arguments, here, stop)
    finally:
        leave()


def _search(arguments: Sequence[str], here: Terminal, stop: Stop) -> tuple[Json | None, int]:
    process = this_process()
    if process.world_size > 1:
        raise UserError("a horizon search runs in one process; leave torchrun or srun out")
    overrides, seeds, budget = own_settings(arguments)
    if hydra_app.is_sweep(overrides):
        raise UserError("a horizon search is of one network: leave -m out")
    jobs = hydra_app.compose(overrides)
    if not jobs:  # Hydra has only shown something
        return None, 0
    found = prepared(jobs[0].config, seeds, budget)
    while isinstance(step := decide(found.plan, found.outcomes), Next):
        config = found.trial(step)
        entry = found.finished(config)
        if entry is None:
            entry = run_with_progress(config, here, stop).entry
        if entry is None:
            stop.hand_over()
            return None, STOPPED
        found.trials.append((step, entry))
        if stop and isinstance(decide(found.plan, found.outcomes), Next):
            stop.hand_over()
            return None, STOPPED
    row = answer_row(found, step)
    _say(row, here)
    return row, 1 if step.reason == "faults" else 0


def own_settings(arguments: Sequence[str]) -> tuple[list[str], int, tuple[float, str] | None]:
    """Hydra's part of the arguments, the seeds, and the budget with its unit; UserError."""
    left, seeds, budget = [], SEEDS, None
    for text in arguments:
        key, _, value = text.partition("=")
        if key == "seeds":
            if not (value.isdecimal() and int(value) >= 1):
                raise UserError(f"{text}: give a whole number of seeds from 1, as in seeds=3")
            seeds = int(value)
        elif key == "budget":
            read = re.fullmatch(r"(\d+(?:\.\d+)?(?:e\d+)?)(epochs|images)", value)
            if read is None or not 0 < float(read[1]) < float("inf"):
                raise UserError(f"{text}: say a unit, as in budget=200epochs or budget=5e7images")
            budget = float(read[1]), read[2]
        elif key in ("estimand", "run_dir"):
            why = "its trials are budgeted" if key == "estimand" else "each trial has its folder"
            raise UserError(f"{key}= cannot be set for a horizon search: {why}; leave it out")
        else:
            left.append(text)
    return left, seeds, budget


def prepared(config: RunConfig, seeds: int, budget: tuple[float, str] | None) -> Search:
    """The search before its first trial: the target resolved, the data looked at once."""
    config = dataclasses.replace(config, estimand="budgeted")
    check(config)
    import torch  # a mistake is told before its seconds

    from efficiency_bench.data import build_data
    from efficiency_bench.run import device as devices
    from efficiency_bench.run.target import resolve_target

    config = devices.resolve(config)
    data = build_data(config.data, config.recipe, config.seed, torch.device(config.device))
    target = resolve_target(config, data)
    assert target is not None  # a budgeted run never sets its own
    epochs = None
    if budget is not None:
        epochs = budget[0] / (data.train_images if budget[1] == "images" else 1)
    if epochs is not None and epochs < config.recipe.epochs:
        raise UserError(
            f"the budget of {epochs:.4g} epochs is under one trial of {config.recipe.epochs:g};"
            " raise it, or begin lower with recipe.epochs=N"
        )
    plan = Plan(
        target=target,
        own_epochs=config.recipe.epochs,
        steps_per_epoch=data.steps_per_epoch(config.recipe.batch_size),
        val_images=data.val_images,
        seeds=seeds,
        budget_epochs=epochs,
    )
    name = identity.data_name(config.data.name, len(data.classes))
    return Search(config, plan, name, data.digest)


def answer_row(found: Search, done: Done) -> Json:
    """The answer as JSON values."""
    entries = [entry for _, entry in found.trials]
    cost = horizon_cost(entries, lambda entry: entry.paper3x_tfs_days)
    horizon, target = cost.horizon, found.plan.target
    return {
        "experiment": found.config.experiment,
        "model": found.config.model.name,
        "recipe": found.config.recipe.name,
        "target": {"metric": target.metric, "value": target.value},
        "epochs": horizon.epochs,
        "low_epochs": horizon.low_epochs,
        "high_epochs": horizon.high_epochs,
        "paper3x_tfs_days": cost.compute,
        "decided": done.decided,
        "reason": done.reason,
        "trials": [
            {
                "run_id": entry.run_id,
                "epochs": entry.epochs,
                "seed": entry.seed,
                "accuracy": entry.evaluations[-1].accuracy(target.metric)
                if entry.evaluations
                else None,
                "reached": entry.reached,
                "paper3x_tfs_days": entry.paper3x_tfs_days,
            }
            for _, entry in found.trials
        ],
    }


REASONS = {
    "decided": "the interval is as narrow as asked for",
    "seeds": "every seed near it is used; more with seeds=N",
    "budget": "the budget is used; the same command with a larger one goes on",
    "too long": "the longest schedule tried does not arrive",
    "too short": "the shortest schedule tried arrives",
    "faults": "trials ended by a fault",
}


def _say(row: Json, here: Terminal) -> None:
    """The answer in two lines."""
    high = "open" if row["high_epochs"] is None else f"{row['high_epochs']:.3g}"
    interval = f"95 % interval {row['low_epochs']:.3g} to {high}"
    name = row["experiment"] or row["model"]
    best = "unknown" if row["epochs"] is None else f"{row['epochs']:.3g} epochs"
    cost = "" if row["epochs"] is None else f", {row['paper3x_tfs_days']:.3g} tfs-days"
    goal = f"{row['target']['metric']} {100 * row['target']['value']:.2f} %"
    state = "decided" if row["decided"] else "NOT decided"
    here.console.print(
        f"horizon of {name} to {goal}: {best} ({interval}){cost}\n"
        f"  {len(row['trials'])} trials, {state}: {REASONS[row['reason']]}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
