"""Paths of the CIFAR subsets and of third-party files, for all tests."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

DATA_FOLDER = Path(
    os.environ.get("EFFICIENCY_BENCH_TEST_DATA")
    or Path(__file__).resolve().parents[2] / "shared" / "data"
)
"""Holds cifar10-subset/cifar10-subset.tar.xz and cifar100-subset/cifar100-subset.tar.xz."""


CASES_FOLDER = DATA_FOLDER.parent / "cases"
"""Holds small files of strangers by kind: dawn/, mllog/, openai/."""


@pytest.fixture(scope="session")
def cases() -> Path:
    """Return the folder of third-party files, which are read in place."""
    if not CASES_FOLDER.is_dir():
        pytest.skip(f"no {CASES_FOLDER}; it lies beside EFFICIENCY_BENCH_TEST_DATA's folder")
    return CASES_FOLDER


@pytest.fixture(scope="session")
def cifar10_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with cifar-10-batches-py: 10,000 training and 2,000 test images, balanced."""
    return _unpacked("cifar10-subset", tmp_path_factory)


@pytest.fixture(scope="session")
def cifar100_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with cifar-100-python: 20,000 training and 4,000 test images, balanced."""
    return _unpacked("cifar100-subset", tmp_path_factory)


def _unpacked(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = DATA_FOLDER / name / f"{name}.tar.xz"
    if not archive.is_file():
        pytest.skip(f"no {archive}; EFFICIENCY_BENCH_TEST_DATA names the folder of {name}/")
    root = tmp_path_factory.mktemp(name)
    with tarfile.open(archive, "r:xz") as tar:
        tar.extractall(root, filter="data")
    return root
