"""A real Slurm for the tests that need one; they skip with the reason where it cannot be."""

import os

import pytest

from efficiency_bench.run.run import run
from tests.cluster import slurm
from tests.cluster.sweeps import RUN, Cluster
from tests.tiny import tiny


@pytest.fixture(scope="session")
def slurm_environment(tmp_path_factory):
    """A cluster for this session: what its commands need in their environment."""
    if reason := slurm.why_not():
        pytest.skip(f"no Slurm here: {reason}")
    folder = tmp_path_factory.mktemp("slurm")
    environment = slurm.start(folder)
    try:
        yield environment
    finally:
        slurm.stop(folder)


@pytest.fixture
def cluster(slurm_environment, tmp_path):
    """The cluster as a user in an empty folder finds it; ends what the test has left running."""
    with Cluster(tmp_path, {**os.environ, **slurm_environment}) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The digest of the weights that the tests' run ends with when nothing disturbs it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    outcome = run(tiny(folder, *RUN, f"run_dir={folder / 'run'}"))
    return outcome.entry.weights_digest
