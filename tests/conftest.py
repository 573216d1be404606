"""Settings of all tests: one thread (golden losses need it), no tracking, no colour."""

import os
import signal

os.environ.setdefault("WANDB_MODE", "disabled")
os.environ["NO_COLOR"] = "1"

import pytest
import torch

for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:
        # by nohup, or by a shell in the background; a run under test would inherit it, but it does
        # not inherit a handler that does nothing
        signal.signal(number, lambda *_: None)

pytest_plugins = ["tests.data_fixtures", "tests.disks", "tests.small_ledger"]

SLOW = (
    *("tests/accelerator", "tests/benchmarks", "tests/cluster", "tests/distributed"),
    *("tests/cli/test_any_ledger", "tests/cli/test_completion", "tests/cli/test_plan"),
    *("tests/cli/test_report", "tests/cli/test_sweeps", "tests/cli/test_terminal"),
    *("tests/cli/test_verify", "tests/cli/test_whole", "tests/cli/test_zip"),
    *("tests/counting/test_audit", "tests/counting/test_by_shape"),
    "tests/counting/test_torchvision",
    "tests/counting/test_published.py::test_torchvisions",
    *("tests/report/test_ladders.py::test_the_page", "tests/report/test_large_ledger"),
    *("tests/data/ffcv", "tests/data/test_crops", "tests/data/test_memmap"),
    *("tests/data/test_skipped_files", "tests/docs/test_commands"),
    *("tests/docs/test_notebook", "tests/docs/test_site"),
    "tests/fitting/robustness/test_checks.py::test_ten_thousand",
    *("tests/ledger/test_entry_from_log", "tests/ledger/test_store.py::test_if_two_processes"),
    *("tests/report/test_account", "tests/report/test_page", "tests/reproducibility"),
    *("tests/run", "tests/sweep/test_sweeps", "tests/test_configs.py::test_the_history"),
    *("tests/test_formatting.py::test_the_commands", "tests/test_interface"),
    *("tests/test_rehearsal", "tests/test_signals", "tests/test_strangers_entries"),
    *("tests/test_wheel.py::test_the", "tests/tracking/test_run_table", "tests/tracking/test_sync"),
    *("tests/tracking/test_wandb", "tests/training/test_compiling"),
    *("tests/verify/test_preregistration", "tests/verify/test_verification"),
)
"""Prefixes of test ids that need a browser, Slurm, FFCV or many seconds."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tests, which `make check` leaves out."""
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker("slow")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests marked gpu if there is no GPU."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)
