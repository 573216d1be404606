"""What every test shares: one thread (golden losses pin it), no tracking, no colour."""

import os

os.environ.setdefault("WANDB_MODE", "disabled")
os.environ["NO_COLOR"] = "1"

import pytest
import torch

pytest_plugins = ["tests.data_at_hand", "tests.disks"]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)
