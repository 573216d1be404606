"""The simulated design is the one that is measured, and the tables say what was drawn."""

import re
from pathlib import Path

import pytest
import yaml

from benchmarks import estimator_coverage

ROOT = Path(__file__).parents[2]


def test_the_design_has_the_suites_networks_dates_and_macs():
    suite = yaml.safe_load((ROOT / "configs" / "suite" / "history.yaml").read_text())
    names = suite["hydra"]["sweeper"]["params"]["experiment"].split(",")
    assert sorted(names) == sorted(estimator_coverage.NETWORKS)
    for name, (day, macs) in estimator_coverage.NETWORKS.items():
        text = (ROOT / "configs" / "model" / f"{name}.yaml").read_text()
        assert yaml.safe_load(text)["published"] == day
        counted = re.search(r"([0-9_]+) forward MACs per image", text)
        assert int(counted[1]) / 1e6 == pytest.approx(macs, rel=0.01)


def test_rungs_under_50_steps_are_left_out():
    budgets = dict(
        zip(estimator_coverage.NETWORKS, estimator_coverage.design().budgets, strict=True)
    )
    # 4,687.5 steps of AlexNet are 440 of VGG-11: 55 at an eighth, 27 at a sixteenth
    assert budgets["vgg11"] == (1 / 8, 1 / 4, 1 / 2, 1)
    assert budgets["shufflenet_v1"] == estimator_coverage.BUDGETS


def test_a_few_draws_give_both_tables():
    rows = list(estimator_coverage.coverage(20))
    assert [row["true_months"] for row in rows[::2]] == [12, 16, 28, 50, None]
    for row in rows:
        assert row["coverage"] + row["too_fast"] + row["too_slow"] == pytest.approx(1)
        assert row["median_low_months"] < (row["true_months"] or 1e9)
    text = estimator_coverage.markdown(rows)
    assert text.count("| 16 months |") == 4
    assert "no fall" in text
