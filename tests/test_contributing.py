"""What those who carry it on are given: hooks that lint as `make lint` does, forms that parse."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent


def test_the_hooks_are_those_of_make_lint():
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    linters = {line.strip().removesuffix(" .") for line in recipe.group(1).splitlines()}
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"
    assert {hook["entry"].replace(".venv/bin", "$(BIN)") for hook in local["hooks"]} == linters
    assert {hook["language"] for hook in local["hooks"]} == {"system"}


@pytest.mark.parametrize("form", ["fault", "wrong_number"])
def test_a_form_has_what_github_asks_of_one(form):
    parsed = yaml.safe_load((ROOT / f".github/ISSUE_TEMPLATE/{form}.yml").read_text())
    assert {"name", "description", "body"} <= set(parsed)
    ids = [part["id"] for part in parsed["body"]]
    assert len(ids) == len(set(ids))
    assert all(part["attributes"]["label"] for part in parsed["body"])


def test_a_new_row_is_asked_for_its_evidence():
    template = (ROOT / ".github/PULL_REQUEST_TEMPLATE.md").read_text()
    for word in ("runs/ledger/RUN_ID.json", "events/RUN_ID.jsonl.gz", "verify", "date", "source"):
        assert word in template
