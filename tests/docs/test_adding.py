"""The recipe of docs/adding.md, written where the page says, trains; the citation's file parses."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

import efficiency_bench
from tests.commands import command
from tests.docs.pages import ROOT, blocks
from tests.tiny import TINY


def test_a_users_recipe_trains_from_its_folder(tmp_path: Path) -> None:
    page = blocks(ROOT / "docs" / "adding.md")
    (recipe,) = [block.body for block in page if block.language == "yaml"]
    (typed,) = [block.commands[0] for block in page if block.language == "bash"]
    file = tmp_path / "mine" / "recipe" / "small_mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(recipe)
    short = (*TINY[1:], "recipe.epochs=0.5", "tracking.wandb=false")
    done = command(*typed[1:], *short, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    entry = json.loads(done.stdout)
    assert entry["recipe"] == "small_mine"
    assert entry["config"]["recipe"]["optimizer"]["lr"] == 0.05


def test_the_citation_has_this_version_and_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == efficiency_bench.__version__
    assert citation["license"] in (ROOT / "pyproject.toml").read_text()
