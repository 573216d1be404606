"""Keeping freed memory, checked against the kernel's count of page faults."""

import ctypes
import json
import subprocess
import sys

import pytest

from efficiency_bench.run import device
from efficiency_bench.run import device as devices
from efficiency_bench.run.device import keep_freed_memory
from tests.tiny import tiny

FAULTS = """
import ctypes, json, resource, sys
from efficiency_bench.run.device import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
libc, size = ctypes.CDLL(None), 100_000
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes, libc.free.restype = [ctypes.c_void_p], None
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
blocks, faults = (ctypes.c_void_p * 2000)(), []
count = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    before = count()
    for i in range(2000):
        blocks[i] = libc.malloc(size)
        libc.memset(blocks[i], 1, size)
    for i in range(2000):
        libc.free(blocks[i])
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
def test_memory_is_faulted_in_once_and_not_at_every_step() -> None:
    """200 MB in blocks of 100 kB, 48,828 pages of 4 KiB: glibc by itself keeps at most 64 MiB."""
    given_back, kept = _faults("given back"), _faults("kept")
    assert min(given_back) > 10_000, "glibc returns some memory, so there is something to keep"
    assert kept[0] > 10_000
    assert max(kept[-3:]) < 100


@glibc
def test_a_second_call_changes_nothing() -> None:
    assert keep_freed_memory()
    assert keep_freed_memory()


def test_without_glibc_there_is_a_note_and_no_error(monkeypatch, tmp_path) -> None:
    """Uses a stand-in, since this process cannot load another C library."""
    config = devices.resolve(tiny(tmp_path, "experiment=resnet18"))
    assert config.device != "cpu" or not devices.notes(config)
    monkeypatch.setattr(device.ctypes, "CDLL", lambda name: object())
    assert not keep_freed_memory()
    assert devices.notes(config)
