"""Freed memory that stays: the system's own count of pages that it had to hand out."""

import ctypes
import json
import subprocess
import sys

import pytest

from efficiency_bench.campaign import device as devices
from efficiency_bench.training import allocator
from efficiency_bench.training.allocator import keep_freed_memory
from tests.campaign.tiny import tiny

FAULTS = """
import json, resource, sys, torch
from efficiency_bench.training.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
count = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
faults = []
for _ in range(12):
    before = count()
    blocks = [torch.empty(25_000).fill_(1) for _ in range(600)]  # 14,648 pages of 4 KiB
    del blocks
    faults.append(count() - before)
print(json.dumps(faults))
"""

glibc = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc")


def _faults(how: str) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@glibc
def test_memory_is_handed_out_once_and_not_at_every_step() -> None:
    given_back, kept = _faults("given back"), _faults("kept")
    assert min(given_back) > 1000, "glibc gives a part back: there is something to keep"
    assert kept[0] > 1000
    assert max(kept[-3:]) < 100


@glibc
def test_a_second_call_changes_nothing() -> None:
    assert keep_freed_memory()
    assert keep_freed_memory()


def test_another_c_library_is_no_error_but_a_note(monkeypatch, tmp_path) -> None:
    """A stand-in: no other C library can be had in this process."""
    config = devices.resolve(tiny(tmp_path, "experiment=resnet18"))
    assert config.device != "cpu" or not devices.notes(config)
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: object())
    assert not keep_freed_memory()
    assert devices.notes(config)
