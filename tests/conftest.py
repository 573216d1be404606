"""What every test shares: one thread (golden losses pin it), no tracking, no colour."""

import os

os.environ.setdefault("WANDB_MODE", "disabled")
os.environ["NO_COLOR"] = "1"

import pytest
import torch

pytest_plugins = ["tests.data_fixtures", "tests.disks", "tests.small_ledger"]

SLOW = (
    *("tests/cluster", "tests/distributed", "tests/docs/test_commands"),
    *("tests/tracking/test_wandb", "tests/run", "tests/reproducibility"),
    *("tests/test_signals", "tests/test_rehearsal", "tests/test_interface", "tests/benchmarks"),
    *("tests/counting/test_audit", "tests/cli/test_sweeps", "tests/cli/test_verify"),
    *("tests/cli/test_terminal", "tests/cli/test_any_ledger", "tests/report/test_page"),
    *("tests/data/ffcv", "tests/verify/test_verification"),
)
"""What needs a browser, Slurm, FFCV or many seconds, by the beginning of a test's id."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tests, which `make check` leaves out."""
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker("slow")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What is marked gpu needs one."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)
