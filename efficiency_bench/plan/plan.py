"""Plans the runs of a command line before any is started."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from efficiency_bench import hydra_app
from efficiency_bench.config import RunConfig
from efficiency_bench.config_checks import check
from efficiency_bench.errors import UserError
from efficiency_bench.plan.budget import RULE, Budget, Candidate, order, parse_budget, runs_bought
from efficiency_bench.plan.hardware import HERE, Hardware, load_hardware
from efficiency_bench.plan.row import Place, RunPlanner
from efficiency_bench.plan.sizes import set_size
from efficiency_bench.run import device as devices
from efficiency_bench.run.budgeted import TooFewSteps
from efficiency_bench.verify.preregistration import register

Json = dict[str, Any]


def plan(
    arguments: Sequence[str],
    probe_seconds: float,
    budget: str | None,
    tell: Callable[[str], None],
    registration: Path | None = None,
) -> Json:
    """The plan for Hydra's ``arguments``, including ``hardware=NAME``, as JSON values.

    Only the probe trains, and only cached counts and the preregistration file ``registration`` are
    written.  Raises UserError for anything that ``train`` would reject, an unknown machine, and an
    invalid budget.
    """
    asked, rest = _hardware_asked(arguments)
    machine = None if asked == HERE else load_hardware(asked)
    limits = None if budget is None else parse_budget(budget)
    configs = [job.config for job in hydra_app.compose(rest)]
    if not configs:
        raise UserError("plan does not print settings: leave --cfg out")
    for config in configs:
        check(config)
    price = configs[0].price_usd_per_hour
    if price is None and machine is not None:
        price = machine.price_usd_per_hour
    _check_budget(limits, price, asked, configs[0], machine)
    if registration is not None:
        decided = register(configs, registration)
        tell(
            f"registered {len(decided.rows)} rows in {registration}; commit it before the first run"
        )
    planner = RunPlanner(Place(machine, probe_seconds), price, tell)
    rows, planned, left_out = [], [], []
    for config in configs:
        try:
            rows.append(planner(config))
            planned.append(config)
        except TooFewSteps as error:
            left_out.append(str(error).splitlines()[0])
    if not rows:
        raise UserError("\n".join(left_out))
    ordered = _ordered(rows, planned, limits)
    return {
        "hardware": {"name": asked} | (machine.model_dump() if machine else {}),
        "price_usd_per_hour": price,
        "data_set": asdict(set_size(configs[0].data)),
        "runs": ordered,
        "left_out": left_out,
        "total": _total(ordered),
        "budget": None if limits is None else _budget_row(limits, ordered),
    }


def _hardware_asked(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The machine's name, and the arguments for Hydra; a suite is always a sweep."""
    key = "hardware="
    named = [text.removeprefix(key) for text in arguments if text.startswith(key)]
    rest = [text for text in arguments if not text.startswith(key)]
    if any(text.startswith("suite=") for text in rest) and not hydra_app.is_sweep(rest):
        rest = ["-m", *rest]
    return (named[-1] if named else HERE), rest


def _check_budget(
    budget: Budget | None,
    price: float | None,
    asked: str,
    config: RunConfig,
    machine: Hardware | None,
) -> None:
    if budget is None:
        return
    if budget.unit == "usd" and price is None:
        raise UserError(
            f"--budget in usd needs a price, and hardware={asked} has none; type"
            " price_usd_per_hour=2.5,\nthe price of everything that one run uses"
        )
    if budget.unit == "gpu-hours" and machine is None and devices.resolve(config).device == "cpu":
        raise UserError("--budget in gpu-hours: this machine has no GPU; name one with hardware=")


def _ordered(
    rows: Sequence[Json], configs: Sequence[RunConfig], budget: Budget | None
) -> list[Json]:
    """The rows; with a budget, in the order in which it pays for them."""
    if budget is None:
        return list(rows)
    candidates = [
        Candidate(
            row=f"{row['model']} at {row['scale']} {row['recipe']} {row['data']}",
            is_first=(row["model"], row["recipe"])
            == (config.target.baseline_model, config.target.baseline_recipe),
            day=date.fromisoformat(row["date"]).toordinal(),
            compute=row["paper3x_tfs_days"],
            hours=row["hours"],
        )
        for row, config in zip(rows, configs, strict=True)
    ]
    return [rows[place] for place in order(candidates)]


def _budget_row(budget: Budget, ordered: Sequence[Json]) -> Json:
    key = "cost_usd" if budget.unit == "usd" else "device_hours"
    costs = [row[key] for row in ordered]
    count = runs_bought(costs, budget.amount)
    return {
        "amount": budget.amount,
        "unit": budget.unit,
        "runs_bought": count,
        "spent": sum(costs[:count]),
        "rule": RULE,
    }


def _total(rows: Sequence[Json]) -> Json:
    """Totals of all runs, one after the other; only one run's checkpoints exist at a time."""

    def whole(key: str) -> float | None:
        values = [row[key] for row in rows]
        return None if None in values else sum(values)

    summed = ("paper3x_tfs_days", "hours", "device_hours", "energy_kilowatt_hours", "cost_usd")
    logs = sum(row["event_log_bytes"] + row["wandb_bytes"] for row in rows)
    return {key: whole(key) for key in summed} | {
        "logs_bytes": logs,
        "most_checkpoint_bytes": max(row["checkpoint_bytes"] for row in rows),
    }
