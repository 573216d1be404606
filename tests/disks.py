"""Disks that fail: a small one that fills up, and a read-only one."""

import os
import subprocess

import pytest


def mounted(folder, options):
    """Mount a memory disk; if that fails, skip the test with the reason."""
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"cannot mount a small disk: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 64 KiB."""
    folder = tmp_path / "small"
    mounted(folder, "size=64k")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def read_only_folder(tmp_path):
    """A folder that rejects every file, even from root."""
    folder = tmp_path / "with_entry_digest"
    if os.geteuid() != 0:
        folder.mkdir(mode=0o500)
        yield folder
        folder.chmod(0o700)
        return
    mounted(folder, "size=64k,ro")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
