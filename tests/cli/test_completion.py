"""Completion in a real bash, and by the requests that zsh and fish send."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
BASH = """
eval "$(efficiency-bench --show-completion bash)"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_efficiency_bench_completion efficiency-bench
printf '%s\\n' "${COMPREPLY[@]}"
"""


def in_bash(*words: str) -> list[str]:
    """What bash would offer for the last word; it breaks words at ``=``."""
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH, "bash", "efficiency-bench", *words],
        env={
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return [line for line in done.stdout.splitlines() if line]


def in_zsh(line: str) -> str:
    done = subprocess.run(
        [BIN / "efficiency-bench"],
        env={
            **os.environ,
            "_EFFICIENCY_BENCH_COMPLETE": "complete_zsh",
            "_TYPER_COMPLETE_ARGS": line,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def files(group: str) -> set[str]:
    return {file.stem for file in (ROOT / "configs" / group).glob("*.yaml")}


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_hydras_keys_and_names():
    assert set(in_bash("train", "experiment", "=")) == files("experiment")
    assert in_bash("train", "-m", "suite", "=", "history_m") == ["history_modern"]
    two = in_bash("train", "-m", "experiment", "=", "alexnet,resnet1")
    assert two == ["alexnet,resnet18"]
    assert in_bash("plan", "hardware", "=", "h100x8") == ["h100x8"]
    assert set(in_bash("train", "recip")) >= {"recipe=", "recipe.epochs=", "recipe.batch_size="}
    assert set(in_bash("train", "exp")) == {f"experiment={name}" for name in files("experiment")}
    assert in_bash("train", "experiment", "=", "nothing-like-it") == []


def test_zsh_and_fish_ask_for_the_whole_word():
    said = in_zsh("efficiency-bench train experiment=resnet1")
    assert "experiment=resnet18" in said
    assert "resnet34" not in said


def test_every_named_group_is_a_folder_of_files():
    from efficiency_bench.cli.completion import GROUPS

    assert all(files(group) for group in GROUPS)
