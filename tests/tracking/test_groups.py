"""Under which group the runs of a command line stand together, as Hydra composes them."""

import re

import pytest

from efficiency_bench.hydra_app import launch

ONE = ("experiment=resnet18", "data=digits")


def groups(*arguments):
    found = []
    launch(arguments, lambda config, place: found.append(config.tracking.group))
    return found


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # Hydra makes a sweep's folder


def test_a_run_alone_has_none():
    assert groups(*ONE) == [None]


def test_the_runs_of_a_sweep_share_one_by_its_time():
    first, second = groups("-m", *ONE, "seed=0,1")
    assert first == second
    assert re.fullmatch(r"sweep \d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", first)


def test_a_suite_names_it_and_a_name_given_goes_before():
    assert set(groups("-m", "suite=smoke", "data=digits")) == {"smoke"}
    assert groups("-m", *ONE, "seed=0,1", "tracking.group=mine") == ["mine"] * 2
