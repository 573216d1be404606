"""Races of whole commands: the turns, the rows, and programs that fail or are missing."""

from __future__ import annotations

import importlib
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
    return races.Race("resnet18", 2, 64, 1, 100, 20, tmp_path, tmp_path)


def test_the_programs_take_turns_and_are_compared(
    races: ModuleType, race: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = []

    def program(name: str, whole: float) -> object:
        return lambda race, folder: order.append(name) or races.Turn(whole, 2.0)

    def failing(race: object, folder: Path) -> object:
        raise races.CommandError("no such option")

    monkeypatch.setattr(races, "ours", program("ours", 12.0))
    rows = list(races.raced(race, {"a": program("a", 22.0), "b": failing}, 3))
    assert order == ["ours", "a", "a", "ours", "ours", "a"]
    assert [(row["name"], row["ours"], row["other"], row["ratio"]) for row in rows] == [
        ("races/resnet18, a, whole command", 12.0, 22.0, 12 / 22),
        ("races/resnet18, a, start to first step", 2.0, 2.0, 1.0),
        ("races/resnet18, a, after the first step", 20.0, 10.0, 2.0),  # 2 x 100 images
    ]


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
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    script = tmp_path / "train.py"
    script.write_text("pass\n")
    assert dict(races.opponents(str(python), script)).keys() == {"timm"}
    told = capsys.readouterr().err
    assert "lightning: not run: not installed" in told
    assert f"{script}, sha256 9f56e761d79b, timm" in told
    assert list(races.opponents(str(python), None)) == []
