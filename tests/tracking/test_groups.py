"""The tracking group of the runs of a command line."""

from efficiency_bench.hydra_app import compose
from efficiency_bench.sweep.manifest import planned

ONE = ("experiment=resnet18", "data=digits")


def sweep_of(*arguments):
    jobs = compose(["-m", *arguments])
    return planned([(job.config, job.overrides) for job in jobs], " ".join(arguments))


def groups(sweep):
    return {sweep.config(number).tracking.group for number in sweep.numbers}


def test_a_single_run_has_no_group():
    (alone,) = compose(ONE)
    assert alone.config.tracking.group is None


def test_the_runs_of_a_sweep_are_grouped_by_its_name():
    sweep = sweep_of(*ONE, "seed=0,1")
    assert groups(sweep) == {sweep.name}


def test_a_suite_sets_the_group_and_a_configured_group_has_priority():
    assert groups(sweep_of("suite=smoke", "data=digits")) == {"smoke"}
    assert groups(sweep_of(*ONE, "seed=0,1", "tracking.group=mine")) == {"mine"}
