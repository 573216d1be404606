"""A real Slurm for the tests that need one; without it they are skipped with the reason."""

import os

import pytest

from efficiency_bench.run.run import run
from tests.cluster import slurm
from tests.cluster.sweeps import RUN, Cluster
from tests.tiny import tiny


@pytest.fixture(scope="session")
def slurm_environment(tmp_path_factory):
    """The environment variables of a cluster for this session."""
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
    """The cluster as seen by a user in an empty folder; ends what the test left running."""
    with Cluster(tmp_path, {**os.environ, **slurm_environment}) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The weights digest of the tests' run without any disturbance."""
    folder = tmp_path_factory.mktemp("undisturbed")
    outcome = run(tiny(folder, *RUN, f"run_dir={folder / 'run'}"))
    return outcome.entry.weights_digest
