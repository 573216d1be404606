"""Races of whole commands: the turns, the rows, and programs that fail or are missing."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def races(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("races")


@pytest.fixture
def race(races: ModuleType, tmp_path: Path) -> object:
    return races.Race(races.Contest("resnet18", 100), 64, 1, tmp_path, tmp_path)


def test_the_programs_take_turns_and_are_compared(
    races: ModuleType, race: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = []

    def program(name: str, whole: float) -> object:
        return lambda race, folder: order.append(name) or races.Turn(whole, 2.0)

    def failing(race: object, folder: Path) -> object:
        raise races.CommandError("no such option")

    monkeypatch.setattr(races, "ours", program("ours", 12.0))
    others = [
        races.Opponent("a", program("a", 22.0), "a 1.0"),
        races.Opponent("b", failing, "b 2.0"),
    ]
    rows = list(races.raced(race, others, 3))
    assert order == ["ours", "a", "a", "ours", "ours", "a"]
    assert [(row["name"], row["ours"], row["other"], row["ratio"]) for row in rows] == [
        ("races/resnet18, a, whole command", 12.0, 22.0, 12 / 22),
        ("races/resnet18, a, start to first step", 2.0, 2.0, 1.0),
        ("races/resnet18, a, after the first step", 10.0, 5.0, 2.0),  # 100 images
    ]
    assert {row["opponent"] for row in rows} == {"a 1.0"}


def test_only_the_contest_that_was_asked_for_is_raced(
    races: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    everywhere = races.Opponent("a", None, "a 1.0")
    on_cifar = races.Opponent("b", None, "b 2.0", races.CIFAR_PX)
    started = []

    def raced(race: object, others: list, rounds: int) -> list:
        started.append((race.contest.name, race.contest.images, [other.name for other in others]))
        return []

    monkeypatch.setattr(races, "opponents", lambda python, script: [everywhere, on_cifar])
    monkeypatch.setattr(races, "raced", raced)
    monkeypatch.setattr(races, "plant", lambda contest, cifar, folder: folder)
    asked = argparse.Namespace(
        python="", timm_train=None, only=None, images=1000, cifar=tmp_path, batch=64, threads=1,
        rounds=3,
    )  # fmt: skip
    assert list(races.rows(asked)) == []
    both = ["a", "b"]
    assert started == [
        ("mobilenetv3_small_050", 1000, both),
        ("efficientnet_b0", 1000, both),
        ("resnet18", 1000, both),
        ("mobilenetv3_small_100 on photographs", 400, ["a"]),
    ]
    started.clear()
    asked.only = "resnet18"
    assert list(races.rows(asked)) == []
    assert started == [("resnet18", 1000, both)]


def test_the_first_step_is_the_first_line_with_the_sign(
    races: ModuleType, race: object, tmp_path: Path
) -> None:
    lines = f"print('begins', flush=True); print('{races.FIRST_STEP}', flush=True)"
    turn = races.run([sys.executable, "-c", lines], race, tmp_path, races.FIRST_STEP)
    assert 0 < turn.first_step <= turn.whole
    fails = "print('the last line'); raise SystemExit(3)"
    with pytest.raises(races.CommandError, match="the last line"):
        races.run([sys.executable, "-c", fails], race, tmp_path, races.FIRST_STEP)


def test_a_program_that_is_not_installed_is_named(
    races: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\ncase "$2" in "import timm"*) echo 9.9;; *) exit 1;; esac\n')
    python.chmod(0o755)
    script = tmp_path / "train.py"
    script.write_text("pass\n")
    (timm,) = races.opponents(str(python), script)
    assert timm.version == "timm 9.9, train.py with sha256 9f56e761d79b"
    assert "lightning: not run: not installed" in capsys.readouterr().err
    assert list(races.opponents(str(python), None)) == []
    assert "timm's train.py: not run: give its path" in capsys.readouterr().err
    python.write_text("#!/bin/sh\nexit 1\n")
    assert list(races.opponents(str(python), script)) == []
    assert "timm's train.py: not run: not installed" in capsys.readouterr().err


def test_a_tracked_script_is_named_with_its_commit(races: ModuleType, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("pass\n")

    def git(*words: str) -> str:
        own = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
        return subprocess.run([*own, *words], capture_output=True, text=True, check=True).stdout

    git("init")
    git("commit", "--allow-empty", "--message=none")
    assert races.revision(script) == "train.py with sha256 9f56e761d79b"
    git("add", "train.py")
    git("commit", "--message=one")
    commit = git("rev-parse", "--short=12", "HEAD").strip()
    assert races.revision(script) == f"train.py with sha256 9f56e761d79b of commit {commit}"
