"""Budgeted runs with given final accuracies: rungs, ladders, and a small ledger of them."""

from tests.ledger.factory import make_rung, make_segment

BUDGETS = (0.125, 0.25, 0.5, 1.0)
WHOLE = 3e6 * 5000 / 8.64e16
"""Compute of a budget of 1: 5,000 images of 1 MMAC, tfs-days."""


def rung(model, budget, accuracy, date, seed=0, recipe="small_2020", **overrides):
    target = {"metric": None, "baseline_model": "alexnet", "baseline_recipe": "small_alexnet"}
    config = {
        "target": target,
        "data": {"name": "digits"},
        "estimand": "budgeted",
        "budget": budget,
        "model": {"name": model, "published": date},
        "recipe": {"name": recipe, "date": None, "epochs": 5 * budget},
    }
    config["model"] |= overrides.pop("model_config", {})
    config["recipe"] |= overrides.pop("recipe_config", {})
    return make_rung(
        f"{model}-{recipe}-{budget}-{seed}",
        budget,
        accuracy,
        model=model,
        recipe=recipe,
        seed=seed,
        date=config["recipe"]["date"] or date,
        config=config,
        **overrides,
    )


def ladder(model, date, accuracies, **overrides):
    return [
        rung(model, budget, accuracy, date, **overrides)
        for budget, accuracy in zip(BUDGETS, accuracies, strict=True)
    ]


def baselines(*finals):
    return [
        rung("alexnet", 1.0, final, "2012-06-01", seed=seed) for seed, final in enumerate(finals)
    ]


def ledger():
    """The level is 0.8: reached at a half by one, at all budgets by another, by a third at none."""
    return [
        *baselines(0.79, 0.80, 0.81),
        *ladder("vgg11", "2014-09-04", (0.5, 0.6, 0.7, 0.75)),
        *ladder("resnet18", "2015-12-10", (0.6, 0.75, 0.85, 0.9)),
        *ladder("mobilenet_v2", "2018-01-13", (0.85, 0.9, 0.92, 0.93)),
    ]


NETWORKS = {"resnet18": "2015-12-10", "mobilenet_v2": "2018-01-13", "vgg11": "2014-09-04"}
SCALES = (0.5, 1.0, 2.0)


def arriving(model, scale, at):
    """A ladder at ``scale`` that reaches the level of 80 % at the budget ``at`` (None: never)."""
    return [
        rung(
            model,
            budget,
            0.85 if at is not None and budget >= at else 0.6,
            NETWORKS[model],
            model_config={"scale": scale},
            macs=round(scale * 1e6),
            segments=(make_segment(round(5000 * budget / scale), round(scale * 1e6)),),
        )
        for budget in BUDGETS
    ]


def planted(arrival):
    """Each network at each scale, arriving at the budget ``arrival(scale)``."""
    rows = [arriving(model, scale, arrival(scale)) for model in NETWORKS for scale in SCALES]
    return [*baselines(0.8, 0.8, 0.8), *(entry for row in rows for entry in row)]
