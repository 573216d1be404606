"""What every test shares: one thread (golden losses pin it), no tracking, no colour."""

import os

os.environ.setdefault("WANDB_MODE", "disabled")
os.environ["NO_COLOR"] = "1"

import pytest
import torch

pytest_plugins = ["tests.data_at_hand", "tests.disks"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What is marked gpu needs one."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)
