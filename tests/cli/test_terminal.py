"""Verbs that print data: 80 columns, only JSON with --json, no colour unless wanted."""

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

from tests.cli.users import SHORT
from tests.tiny import TINY

ANYTIME = ("--estimand", "anytime")
VERBS = {
    "fit": ("fit", "LEDGER", *ANYTIME),
    "fit published": ("fit", "published"),
    "fit in seconds": ("fit", "LEDGER", *ANYTIME, "--currency", "seconds"),
    "sweep": ("fit", "LEDGER", *ANYTIME, "--sweep", "0.3:0.5:0.1"),
    "conventions": ("conventions", "LEDGER", *ANYTIME),
    "decompose": ("decompose", "LEDGER", *ANYTIME),
    "list": ("ledger", "list", "--ledger", "LEDGER"),
    "costs": ("ledger", "costs", "--ledger", "LEDGER"),
    "crossings": ("ledger", "crossings", "--ledger", "LEDGER"),
    "verify": ("verify", "alexnet-digits-s0", "--ledger", "LEDGER"),
}


@pytest.fixture
def words_of(small_ledger):
    """The words of a verb, with the place of a ledger of real runs in them."""
    return lambda verb: [str(small_ledger.folder) if w == "LEDGER" else w for w in VERBS[verb]]


COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;\d+)*m")


@pytest.mark.parametrize("verb", VERBS)
def test_output_fits_80_columns_and_json_prints_only_json(verb, words_of, typed, monkeypatch):
    words = words_of(verb)
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


def in_a_terminal(*words: str, cwd: Path | None = None, **environment: str) -> str:
    """What the installed command shows a person: a real terminal of 80 columns."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    program = Path(sys.executable).with_name("efficiency-bench")
    plain = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(
        [program, *words],
        stdin=there,
        stdout=there,
        stderr=there,
        env={**plain, **environment},
        cwd=cwd,
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


def lines_of(seen: str) -> list[str]:
    """What was drawn, redrawn lines included, without colours and moves of the cursor."""
    return re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen))


def test_a_sweep_in_a_terminal_has_a_line_for_the_run_and_one_for_the_whole(tmp_path):
    swept = ("experiment=shufflenet_v2_x1_0", "seed=0,1", *TINY, *SHORT, "ledger_dir=ledger")
    drawn = lines_of(in_a_terminal("train", "-m", *swept, cwd=tmp_path, TERM="xterm-256color"))
    assert max(map(len, drawn)) <= 80
    run = r"━+ epoch 0\.3\d/0\.3  top1 \d+\.\d of 100\.0 %  [\d.]+ images/s  ≤ 0:00 left"
    assert [line for line in drawn if re.fullmatch(run, line.strip())]
    first, second = (
        [line for line in drawn if f": {done} of 2 runs done, ends about" in line]
        for done in (0, 1)
    )
    assert first
    assert second
    # a finished run leaves its last line, no bar
    assert [line.split(":")[0].strip() for line in drawn if "NOT reached" in line] == [
        "shufflenet_v2_x1_0 seed 0",
        "shufflenet_v2_x1_0 seed 1",
    ]


def test_colour_follows_terminal_and_environment(words_of):
    assert COLOUR.search("\x1b[1;32mok\x1b[0m")
    assert not COLOUR.search("\x1b[1mok\x1b[0m")
    for words in (words_of("fit"), words_of("costs")):
        for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            seen = in_a_terminal(*words, **{"TERM": "xterm-256color", **environment})
            assert not COLOUR.search(seen), environment
            assert max(map(len, lines_of(seen))) <= 80
    assert "\x1b[" in in_a_terminal(*words_of("fit"), TERM="xterm-256color"), "bold at least"
