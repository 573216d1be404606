"""`fit`, `conventions` and `decompose`: keys and golden values."""

import json
import subprocess
import sys

import pytest

from efficiency_bench.ledger import store
from tests.cli.users import refused
from tests.commands import command
from tests.fitting import rungs
from tests.fitting.curve_factory import planted
from tests.ledger.factory import make_baseline, make_entry, make_target

FIT_KEYS = {
    "halving_months",
    "low_months",
    "high_months",
    "reduction_factor",
    "r_squared",
    "n",
    "method",
    "variant",
    "rows",
}


def test_fit_published_gives_the_golden_halving_time(tmp_path):
    result = command("fit", "published", "--json", cwd=tmp_path)
    fitted = json.loads(result.stdout)
    assert set(fitted) >= FIT_KEYS
    assert round(fitted["halving_months"], 1) == 15.7
    assert fitted["n"] == 6
    assert len(fitted["rows"]) == 16


COMMAND_LINE = {"typer"}
"""Of the libraries below, what the command line itself needs."""
FIT = {"typer", "rich", "pydantic", "numpy", "scipy"}
"""What a fit needs to compute and print its result."""
LIBRARIES = {"torch", "torchvision", "fvcore", "hydra", "omegaconf", "yaml", "numpy", "scipy"}
LIBRARIES |= {"sklearn", "pydantic", "rich", "typer", "altair", "jinja2", "vl_convert", "wandb"}
LIBRARIES |= {"PIL", "pandas", "timm", "submitit"}


def test_a_fit_imports_only_the_libraries_that_it_needs(tmp_path):
    code = (
        "import sys; from efficiency_bench.cli import main; sys.argv = ['efficiency-bench', 'fit',"
        " 'published']; before = set(sys.modules)\n"
        "try: main()\nexcept SystemExit: print(*before, file=sys.stderr);"
        " print('|', *sys.modules, file=sys.stderr)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    before, after = (set(part.split()) for part in run.stderr.split("|"))
    assert before & LIBRARIES == COMMAND_LINE
    assert after & LIBRARIES == FIT


def test_fit_on_a_ledger_joins_the_baseline_at_its_whole_schedule(tmp_path):
    target = make_target(source="baseline", baseline_run_ids=("a0",))
    store.append(tmp_path, make_baseline("a0"))
    for name, date in (("vgg11", "2014-09-04"), ("resnet18", "2015-12-10")):
        store.append(tmp_path, make_entry(name, model=name, date=date, target=target))
    result = command("fit", str(tmp_path), "--json", "--chart", "chart", cwd=tmp_path)
    assert json.loads(result.stdout)["n"] == 3, result.stderr
    assert {p.suffix for p in (tmp_path / "chart").iterdir()} == {".png", ".svg", ".html"}


def test_too_few_points_for_a_fit(tmp_path):
    store.append(tmp_path, make_entry("one"))
    refused(command("fit", str(tmp_path), cwd=tmp_path), "at least 3 rows")


def test_fits_in_other_currencies(typed):
    refused(typed("fit", "published", "--currency", "seconds"), "only compute", "paper3x")
    refused(typed("fit", "published", "--hardware", "H100"), "--currency seconds")
    options = ("--currency", "energy", "--sweep", "0.5:0.9")
    refused(typed("fit", "published", *options), "a sweep reads compute only")
    same = ("fit", "published", "--json")
    assert typed(*same, "--currency", "compute").stdout == typed(*same).stdout


def test_conventions_from_the_published_rows(typed):
    rows = json.loads(typed("conventions", "published", "--json").stdout)["rows"]
    factors = {round(row["reduction_factor"], 1) for row in rows}
    months = [row["halving_months"] for row in rows]
    assert {44.9, 44.4, 41.7, 40.7} <= factors
    assert min(months) == pytest.approx(13.7, abs=0.05)
    assert max(months) == pytest.approx(17.3, abs=0.05)
    assert "over" in typed("conventions", "published").stdout


def test_a_sweep_of_the_published_rows_and_of_a_ledger(typed, tmp_path):
    rows = json.loads(typed("fit", "published", "--sweep", "0.5:0.93", "--json").stdout)["rows"]
    assert [round(row["halving_months"], 1) for row in rows] == [15.7]
    refused(typed("fit", "published", "--sweep", "nonsense"), "LOW:HIGH")
    refused(typed("fit", "published", "--sweep", "0.5:0.9", "--chart", "x"), "--chart")
    for entry in planted(18.0):
        store.append(tmp_path / "planted", entry)
    swept = typed("fit", str(tmp_path / "planted"), "--sweep", "0.6:0.8:0.1", "--json")
    rows = json.loads(swept.stdout)["rows"]
    assert [round(row["halving_months"], 1) for row in rows] == [18.0] * 3


def test_the_decomposition_of_the_published_rows(typed):
    rows = json.loads(typed("decompose", "published", "--json").stdout)
    last = rows[-1]
    assert last["model"] == "efficientnet_b0"
    assert typed("decompose", "published", "--from", "alexnet,small").returncode == 2


def test_scale_chooses_the_forms_that_are_compared(tmp_path):
    for number, entry in enumerate(rungs.planted(lambda scale: 0.5 * scale)):
        store.append(tmp_path, entry.model_copy(update={"run_id": f"run{number}"}))
    for scale, arrival in ((1, 0.5), (2, 1.0)):
        result = command("fit", str(tmp_path), "--scale", str(scale), "--json", cwd=tmp_path)
        rows = json.loads(result.stdout)["rows"]
        found = [row["compute"] for row in rows if row["model"] != "alexnet"]
        assert found == pytest.approx([arrival * rungs.WHOLE] * 3, rel=0.01), result.stderr
    refused(command("fit", str(tmp_path), "--scale", "3", cwd=tmp_path), "--scale 0.5")
