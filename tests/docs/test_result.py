"""The measured tables of the result page and the README are those of the committed ledger."""

import json
import re
import runpy
from statistics import mean

import pytest

from tests.docs.pages import ROOT

COMMAND = "python docs/write_result.py"


def test_the_tables_are_as_generated():
    script = runpy.run_path(str(ROOT / "docs" / "write_result.py"))
    pages = script["pages"]()
    assert {path.name for path in pages} == {"result.md", "README.md"}
    for path, text in pages.items():
        assert path.read_text("utf-8") == text, COMMAND


def test_every_cell_of_the_ladder_is_the_last_accuracy_in_the_files_of_its_runs():
    page = (ROOT / "docs" / "result.md").read_text("utf-8")
    for data, metric in (("cifar10", "top1"), ("cifar100", "top5")):
        assert in_table(page, f"{data} ladder") == recounted(data, metric)


def test_every_cell_of_the_widths_is_the_last_accuracy_in_the_files_of_its_runs():
    page = (ROOT / "docs" / "result.md").read_text("utf-8")
    narrow, wide = (recounted("cifar10", "top1", scale=scale) for scale in (0.5, 2))
    several = {model for model, _ in (*narrow, *wide)}
    found = {k: v for k, v in recounted("cifar10", "top1").items() if k[0] in several}
    found |= {(f"{model} at 0.5", budget): final for (model, budget), final in narrow.items()}
    found |= {(f"{model} at 2", budget): final for (model, budget), final in wide.items()}
    assert in_table(page, "cifar10 widths") == found


def test_the_first_sentence_says_that_widths_matter_if_the_protocol_asks_for_it():
    page = (ROOT / "docs" / "result.md").read_text("utf-8")
    (slope,) = re.findall(r"The width elasticity is \*\*(-?[\d.]+)\*\*", page)
    first = re.search(r"\n\n(.*?)\.\*\*", page, re.DOTALL)[1]
    assert ("widths" in first) is (float(slope) > 0.5)


def in_table(page, place):
    """Return (network, budget) -> accuracy in %, from a table that the script wrote."""
    section = page.partition(f"<!-- {place}: ")[2].partition("<!-- end -->")[0]
    head, *lines = re.findall(r"^\| (.*?) \|$", section, re.MULTILINE) or [""]
    found = {}
    for line in lines:
        name, _, *cells = line.split(" | ")
        for share, cell in zip(head.split(" | ")[2:], cells, strict=True):
            top, _, bottom = share.partition("/")
            if cell.strip():
                found[name, int(top) / int(bottom or 1)] = float(cell)
    return found


def test_the_picture_of_the_ladder_has_every_mean_of_the_ledger_and_fits_a_page():
    picture = (ROOT / "docs" / "ladder.svg").read_text("utf-8")
    label = r"compute: ([\d.]+); accuracy: ([\d.]+); network: (\w+), \d{4};"
    found = {
        (name, float(budget)): float(accuracy)
        for budget, accuracy, name in re.findall(label, picture)
    }
    command = "python docs/write_pictures.py ladder"
    assert found == pytest.approx(recounted("cifar10", "top1", digits=3), abs=0.0011), command
    (width,) = re.findall(r'<svg [^>]*?\bwidth="([\d.]+)"', picture)
    assert float(width) < 900, "the legend takes several rows"


def recounted(data, metric, digits=1, scale=1):
    """Return (network, budget) -> mean final accuracy in %, from the ledger's JSON itself."""
    finals = {}
    for path in (ROOT / "runs" / "ledger").glob("*.json"):
        entry = json.loads(path.read_text("utf-8"))
        asked = entry["recipe"], entry["config"]["model"].get("scale", 1)
        if entry["data"] == data and asked == ("small_2020", scale):
            last = entry["evaluations"][-1][metric]
            finals.setdefault((entry["model"], entry["budget_asked"]), []).append(last)
    return {key: round(100 * mean(some), digits) for key, some in finals.items()}
