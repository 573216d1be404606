"""Choose the learning rate of each network from a ledger of trials (``suite=tuning``)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from efficiency_bench.errors import UserError
from efficiency_bench.provenance import digest_json
from efficiency_bench.records import Entry
from efficiency_bench.stop_rule import better_than_guessing, metric_of_entry
from efficiency_bench.tuned_rates import TunedRate, TunedRates

STEP = math.sqrt(10)
"""Ratio of neighbouring learning rates in the search."""


def chosen_rates(entries: Iterable[Entry]) -> TunedRates:
    """Return the best rate of each network, by final accuracy on the inner validation images.

    The trials are the budgeted runs with ``data.inner_split``; other entries are ignored.  Seeds of
    one rate are averaged; a diverged run counts as accuracy 0.  A tie, such as of rates that all
    stay at chance, goes to the rate nearest to the middle of those that all networks tried, then to
    the lower one.  Raises UserError if there are no trials, if they differ in anything but network,
    rate and seed, or if a trial failed for another reason than divergence.
    """
    trials = [entry for entry in entries if is_trial(entry)]
    if not trials:
        raise UserError(
            "this ledger has no trials of a rate: budgeted runs with data.inner_split\n"
            "measure them: efficiency-bench train -m suite=tuning ledger_dir=runs/tuning"
        )
    if failed := [entry.run_id for entry in trials if entry.end_reason == "failed"]:
        raise UserError(
            f"{len(failed)} trials failed, so the search is not complete: {', '.join(failed)}\n"
            "train each again with repeat=1, and remove its entry"
        )
    settings = {digest_json(_common(entry)): _common(entry) for entry in trials}
    if len(settings) > 1:
        raise UserError(
            f"the trials in this ledger have {len(settings)} different settings:"
            f" {_differing(list(settings.values()))}\n"
            "all networks must be searched with the same settings; put each search in its own"
            " ledger: ledger_dir=DIR"
        )
    first = trials[0]
    data, recipe = first.config["data"], first.config["recipe"]
    of_model: dict[str, list[Entry]] = {}
    for entry in trials:
        of_model.setdefault(entry.model, []).append(entry)
    common = set.intersection(*({_rate(entry) for entry in own} for own in of_model.values()))
    middle = math.fsum(map(math.log, common)) / len(common) if common else None
    return TunedRates(
        ledger_digest=digest_json(sorted(str(entry.entry_digest) for entry in trials)),
        recipe=first.recipe,
        batch_size=recipe["batch_size"],
        data=first.config["data"]["name"],
        metric=metric_of_entry(first),
        budget=first.config["budget"],
        inner_split=data["inner_split"],
        rates={model: _chosen(own, middle) for model, own in sorted(of_model.items())},
    )


def is_trial(entry: Entry) -> bool:
    """Return whether an entry is a trial: budgeted, and validated on held-out training images."""
    data = entry.config.get("data")
    inner = data.get("inner_split", 0.0) if isinstance(data, Mapping) else 0.0
    return entry.tier == "measured" and entry.budget_asked is not None and inner > 0


def _chosen(trials: Sequence[Entry], middle: float | None) -> TunedRate:
    """Return the best rate of one network's trials; ``middle``: log of the rate that wins ties."""

    def rank(rate: float) -> tuple[float, float, float]:
        return means[rate], -round(abs(math.log(rate) - (middle or 0.0)), 2), -rate

    accuracies: dict[float, list[float]] = {}
    for entry in trials:
        accuracies.setdefault(_rate(entry), []).append(_final(entry))
    means = {rate: math.fsum(found) / len(found) for rate, found in sorted(accuracies.items())}
    best = max(means, key=rank)
    return TunedRate(
        rate=best,
        accuracy=means[best],
        at_edge=best in (min(means), max(means)),
        tried=tuple(means),
        trials=len(trials),
        search_tfs_days=math.fsum(entry.paper3x_tfs_days or 0.0 for entry in trials),
    )


def at_chance(entries: Iterable[Entry]) -> list[str]:
    """Return the networks of which no trial was better than guessing: nothing chose their rate."""
    trials = [entry for entry in entries if is_trial(entry)]
    learned = {e.model for e in trials if better_than_guessing(e, metric_of_entry(e))}
    return sorted({entry.model for entry in trials} - learned)


def extensions(rates: TunedRates, entries: Iterable[Entry], ledger_dir: str) -> list[str]:
    """Return the commands that extend the search by one rate where the best rate is at an edge.

    A network that has already tried more rates than the common ones is not extended again.
    """
    common = set.intersection(*(set(found.tried) for found in rates.rates.values()))
    of_model = {entry.model: entry for entry in entries if is_trial(entry)}
    commands = []
    for model, found in rates.rates.items():
        if found.at_edge and set(found.tried) <= common:
            up = found.rate == max(found.tried)
            rate = float(f"{found.rate * STEP if up else found.rate / STEP:.6g}")
            commands.append(_command(of_model[model], rate, ledger_dir))
    return commands


def _command(entry: Entry, rate: float, ledger_dir: str) -> str:
    """Return the command that trains ``entry`` with another learning rate."""
    config = entry.config
    data, target = config["data"], config["target"]
    settings: dict[str, Any] = {
        "model": entry.model,
        "model.scale": config["model"].get("scale"),
        "recipe": entry.recipe,
        "recipe.batch_size": config["recipe"]["batch_size"],
        "recipe.optimizer.lr": rate,
        "data": data["name"],
        "data.train_images": data["train_images"],
        "data.inner_split": data["inner_split"],
        "budget": config["budget"],
        "target.baseline_epochs": target["baseline_epochs"],
        "seed": config["seed"],
        "ledger_dir": ledger_dir,
    }
    typed = [f"{key}={value}" for key, value in settings.items() if value is not None]
    return " ".join(["efficiency-bench train", *typed])


def _common(entry: Entry) -> dict[str, Any]:
    """Return the settings that all trials of a search must share."""
    config = entry.config
    recipe = {
        key: value
        for key, value in config["recipe"].items()
        if key not in ("epochs", "citation", "expects", "departures")
    }
    recipe["optimizer"] = {k: v for k, v in recipe["optimizer"].items() if k != "lr"}
    return {
        "recipe": recipe,
        "data_digest": entry.data_digest,
        "budget": config["budget"],
        "baseline_epochs": config["target"]["baseline_epochs"],
        "scale": config["model"].get("scale", 1.0),
        "metric": metric_of_entry(entry),
    }


def _differing(kinds: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(
        f"{key}: {', '.join(str(value)[:40] for value in values)}"
        for key in kinds[0]
        if len(values := list(dict.fromkeys(str(kind[key]) for kind in kinds))) > 1
    )


def _rate(entry: Entry) -> float:
    return float(entry.config["recipe"]["optimizer"]["lr"])


def _final(entry: Entry) -> float:
    if entry.end_reason == "diverged" or not entry.evaluations:
        return 0.0
    return entry.evaluations[-1].accuracy(metric_of_entry(entry))
