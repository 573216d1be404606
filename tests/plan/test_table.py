"""The plan's table at 80 columns: the name of a run is not broken over two lines."""

import re
from pathlib import Path

import pytest

from efficiency_bench.plan.table import plan_table
from tests.report.printing import printed

EXPERIMENTS = sorted(
    path.stem for path in (Path(__file__).parents[2] / "configs/experiment").glob("*.yaml")
)


def plan(known: bool, seeds=(0,)):
    row = {
        **{"model": "m", "recipe": "r", "budget": None, "repeat": 0, "is_baseline": False},
        **{"epochs_to_target": 12.5, "epochs_source": "published", "limit": "loader"},
        "scale": 1.0,
        **{"paper3x_tfs_days": 0.0687, "images_per_second": 22227.0, "hours": 0.0833},
        "energy_kilowatt_hours": 0.466 if known else None,
        "cost_usd": 53.2 if known else None,
        "chance_to_arrive": {"low": 0.05, "high": 0.95} if known else None,
    }
    runs = [{**row, "experiment": name, "seed": s} for name in EXPERIMENTS for s in seeds]
    return {"hardware": {"name": "h100x8"}, "budget": None, "runs": runs}


@pytest.mark.parametrize("known", [False, True])
def test_no_name_is_broken(known):
    text = printed(lambda console: console.print(plan_table(plan(known))))
    assert max(map(len, text.splitlines())) <= 80
    *_, body = re.split("─+", text)
    assert [line.split()[0] for line in body.splitlines() if line.strip()] == EXPERIMENTS


def test_with_several_seeds_a_name_breaks_at_its_space_only():
    text = printed(lambda console: console.print(plan_table(plan(True, seeds=(0, 1)))))
    words = text.split()
    for name in EXPERIMENTS:
        assert words.count(name) == 2


def test_scale_and_budget_tell_runs_apart():
    planned = plan(True)
    run = planned["runs"][0] | {"experiment": ""}
    rows = [run | {"scale": scale, "budget": 0.5} for scale in (0.5, 1.0, 2.0)]
    names = plan_table(planned | {"runs": rows}).columns[0].cells
    assert list(names) == ["m at 0.5 r 1/2", "m at 1 r 1/2", "m at 2 r 1/2"]
    assert list(plan_table(planned | {"runs": rows[:1]}).columns[0].cells) == ["m r 1/2"]
