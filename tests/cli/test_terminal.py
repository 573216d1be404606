"""Verbs that print data: 80 columns, JSON alone with --json, no colour where none is wanted."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

LEDGER = str(Path(__file__).parents[2] / "runs" / "ledger")
"""The committed one: real run ids, real curves."""

VERBS = {
    "fit": ("fit", LEDGER),
    "fit published": ("fit", "published"),
    "fit in seconds": ("fit", LEDGER, "--currency", "seconds", "--hardware", "EPYC"),
    "sweep": ("fit", LEDGER, "--sweep", "0.4:0.6:0.1"),
    "conventions": ("conventions", LEDGER),
    "decompose": ("decompose", LEDGER),
    "list": ("ledger", "list", "--ledger", LEDGER),
    "costs": ("ledger", "costs", "--ledger", LEDGER),
    "crossings": ("ledger", "crossings", "--ledger", LEDGER),
    "verify": ("verify", "alexnet-cifar10-s0", "--ledger", LEDGER, "--data-root", "nowhere"),
}
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;\d+)*m")


@pytest.mark.parametrize("words", VERBS.values(), ids=VERBS)
def test_a_narrow_terminal_is_enough_and_json_is_json_alone(words, typed, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = typed(*words)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.strip()
    too_long = [line for line in shown.stdout.splitlines() if len(line) > 80]
    assert too_long == []
    assert "\x1b" not in shown.stdout, "a pipe is no terminal"
    as_json = typed(*words, "--json")
    assert as_json.returncode == 0, as_json.stderr
    assert json.loads(as_json.stdout)


def in_a_terminal(*words: str, **environment: str) -> str:
    """What the installed command shows a person: a real terminal of 80 columns."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    program = Path(sys.executable).with_name("efficiency-bench")
    plain = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(
        [program, *words], stdin=there, stdout=there, stderr=there, env={**plain, **environment}
    )
    os.close(there)
    seen = b""
    while True:
        try:
            part = os.read(here, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        seen += part
    os.close(here)
    assert process.wait() == 0, seen.decode()
    return seen.decode()


def test_colour_is_for_those_who_want_it():
    assert COLOUR.search("\x1b[1;32mok\x1b[0m")
    assert not COLOUR.search("\x1b[1mok\x1b[0m")
    for verb in (VERBS["fit"], VERBS["costs"]):
        for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            seen = in_a_terminal(*verb, **{"TERM": "xterm-256color", **environment})
            assert not COLOUR.search(seen), environment
            plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen)
            assert max(map(len, plain.replace("\r", "").splitlines())) <= 80
    assert "\x1b[" in in_a_terminal(*VERBS["fit"], TERM="xterm-256color"), "bold at least"
