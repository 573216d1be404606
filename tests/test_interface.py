"""The functions of `import efficiency_bench`: known answers, equal to the command line's."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import efficiency_bench
from efficiency_bench.cli import train
from efficiency_bench.ledger import store
from tests.commands import command
from tests.fitting.curve_factory import planted, straight
from tests.ledger.factory import make_baseline, make_entry, make_target
from tests.tiny import TINY

DOCS = Path(__file__).parent.parent / "docs"
EXAMPLE = DOCS / "examples" / "three_networks.py"


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Run the example as a script; return its folder and its output."""
    folder = tmp_path_factory.mktemp("example")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLE],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return folder, ran.stdout


def test_the_example_prints_what_the_commands_print(shown):
    folder, printed = shown
    ledger = "runs/three/ledger"
    fitted = json.loads(command("fit", ledger, "--json", cwd=folder).stdout)
    assert fitted["n"] >= 3
    assert f"digits: {fitted['verdict']}, {fitted['n']} rows" in printed
    assert f"halving_months: {round(fitted['halving_months'], 1)}" in printed
    crossings = command("ledger", "crossings", "--ledger", ledger, "--json", cwd=folder)
    rows = {row["run"]: row for row in json.loads(crossings.stdout)}
    entries = store.read(folder / ledger).entries
    for entry in (entry for entry in entries if entry.model != "alexnet"):
        row = rows[entry.run_id]
        assert f"{entry.model}: {row['sustained_epochs']:.2f} ({row['low_epochs']:.2f}" in printed
    (alexnet,) = (entry for entry in entries if entry.model == "alexnet")
    assert f"alexnet: set the level, top-1 {alexnet.evaluations[-1].top1:.1%}" in printed
    assert "halving_months: 15.7" in printed  # the published rows


def test_the_page_shows_the_example_verbatim():
    assert f"```python\n{EXAMPLE.read_text()}```" in (DOCS / "python.md").read_text()


def test_fit_finds_the_planted_rate_and_has_the_keys_of_the_command(tmp_path):
    for entry in planted(18.0):
        store.append(tmp_path, entry)
    found = efficiency_bench.fit(efficiency_bench.ledger.read(tmp_path).entries)
    assert found.halving_months == pytest.approx(18.0, rel=1e-6)
    assert found.methods[0].halving_months == pytest.approx(18.0, rel=1e-6)
    typed = command("fit", str(tmp_path), "--json", cwd=tmp_path)
    assert found.model_dump(mode="json") == json.loads(typed.stdout)


def test_fit_uses_the_frontier_by_default():
    published = efficiency_bench.ledger.read("published").entries
    assert efficiency_bench.fit(published).n == 6
    assert efficiency_bench.fit(published, variant="all").n == 16


def test_fit_uses_the_selected_set():
    both = [*planted(18.0), *planted(12.0, data="cifar10", data_digest="c" * 64)]
    assert efficiency_bench.fit(both, data="cifar10").halving_months == pytest.approx(12.0)
    with pytest.raises(efficiency_bench.UserError, match="choose one"):
        efficiency_bench.fit(both)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"variant": "fronteir"}, "did you mean frontier"),
        ({"crossing": "isotonic"}, "unknown crossing"),
        ({"currency": "compute"}, "unknown currency"),
        ({"hardware": "H100"}, "compute does not depend on the machine"),
        ({"target": 0.123}, "no run matches"),
    ],
)
def test_fit_rejects_unknown_choices(choice, words):
    with pytest.raises(efficiency_bench.UserError, match=words):
        efficiency_bench.fit(planted(18.0), **choice)


def test_crossing_is_where_the_synthetic_curve_crosses():
    run = straight("run", 1e9)  # logit(top-1) = -3 + images / 1e9, and logit(0.9) = 2.1972
    for kind in ("first", "sustained", "isotonic"):
        found = efficiency_bench.crossing(run, kind)
        assert found.value == pytest.approx(5.1972e9, rel=1e-4)
        assert found.low <= found.value <= found.high


def test_crossing_is_none_without_a_curve_or_target():
    assert efficiency_bench.crossing(make_baseline("alexnet")) is None
    assert efficiency_bench.crossing(make_entry(evaluations=())) is None
    high = straight("high", 1e9, target=make_target(value=0.9999))
    never = efficiency_bench.crossing(high)
    assert (never.value, never.high) == (None, None)
    with pytest.raises(efficiency_bench.UserError, match="did you mean sustained"):
        efficiency_bench.crossing(make_entry(), "sustaned")


def test_read_lists_invalid_files(tmp_path):
    store.append(tmp_path, make_entry("good"))
    (tmp_path / "bad.json").write_text("{")
    found = efficiency_bench.ledger.read(str(tmp_path))
    assert [entry.run_id for entry in found.entries] == ["good"]
    assert [problem.path.name for problem in found.problems] == ["bad.json"]
    assert len(efficiency_bench.ledger.read("published").entries) == 16
    with pytest.raises(efficiency_bench.UserError, match="no ledger"):
        efficiency_bench.ledger.read(tmp_path / "nowhere")


def test_train_returns_existing_entries_without_training_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    short = ("recipe.epochs=0.3", "target.value=1.0", "tracking.wandb=false", "ledger_dir=ledger")
    arguments = ("experiment=shufflenet_v2_x1_0", *TINY, *short)
    entries = efficiency_bench.train(*arguments)
    assert entries == efficiency_bench.ledger.read("ledger").entries
    assert entries[0].end_reason == "schedule"
    log = tmp_path / "runs" / entries[0].run_id / "events.jsonl"
    written = log.read_bytes()
    assert efficiency_bench.train(*arguments) == entries
    assert log.read_bytes() == written


def test_train_raises_for_each_exit_code_of_the_command_line(monkeypatch):
    with pytest.raises(efficiency_bench.UserError, match="resnet18"):
        efficiency_bench.train("experiment=resnet81")
    for code, raised in ((75, efficiency_bench.Stopped), (2, efficiency_bench.UserError)):
        # how runs come to these codes: tests/test_signals.py and tests/cli/test_sweeps.py
        monkeypatch.setattr(train, "train", lambda arguments, code=code: ([], code))
        with pytest.raises(raised):
            efficiency_bench.train("experiment=resnet18")


def test_train_requires_the_main_thread():
    raised = []

    def elsewhere():
        try:
            efficiency_bench.train("experiment=resnet18")
        except efficiency_bench.UserError as error:
            raised.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert "main thread" in raised[0]


def test_only_train_imports_torch_and_the_package_imports_almost_nothing():
    code = (
        "import sys, efficiency_bench as eb; heavy = {'torch', 'numpy', 'pydantic', 'hydra'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules);"
        "entries = eb.ledger.read('published').entries; eb.fit(entries); eb.crossing(entries[0]);"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
