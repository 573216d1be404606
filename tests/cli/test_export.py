"""`ledger export` as a user types it: one table to standard output, or a folder with all."""

import json
from subprocess import run as subprocess_run

import pytest

from efficiency_bench.ledger import read as read_ledger
from efficiency_bench.report.export.tables import TABLES
from tests.cli.users import refused
from tests.commands import PROGRAM, command
from tests.ledger.recorded import LEDGER
from tests.report.exported import lines_of, opened


def test_rows_are_those_of_the_fit(small_ledger, typed):
    entries = read_ledger(small_ledger.folder).entries
    found = [line for line in lines_of(TABLES["rows"](entries)) if line["estimand"] == "anytime"]
    shown = typed("fit", str(small_ledger.folder), "--estimand", "anytime", "--json")
    fitted = json.loads(shown.stdout)["rows"]
    by_runs = {tuple(row["run_ids"]): row for row in fitted}
    assert len(found) == len(fitted) == 6
    for line in found:
        row = by_runs[tuple(line["run_ids"].split())]
        assert (line["model"], line["recipe"]) == (row["model"], row["recipe"])
        for name in ("on_frontier", "fitted", "censoring", "reduction_factor"):
            assert line[name] == row[name]
        assert line["compute_tfs_days"] == row["compute"]
    by_id = {entry.run_id: entry for entry in entries}
    for line in found:
        runs = [by_id[run_id] for run_id in line["run_ids"].split()]
        assert line["seeds"] == len(runs) == 1
        charged = runs[0].paper3x_to_target_tfs_days
        assert line["compute_tfs_days"] == (charged and pytest.approx(charged))
        assert line["compute_spent_tfs_days"] == pytest.approx(runs[0].paper3x_tfs_days)
    (missed,) = [line for line in found if line["model"] == "squeezenet1_1"]
    assert (missed["censoring"], missed["reached_seeds"]) == ("above", 0)
    assert missed["compute_at_most_tfs_days"] is None
    assert missed["compute_at_least_tfs_days"] == missed["compute_spent_tfs_days"]


def test_the_command_prints_one_table_or_writes_all(tmp_path):
    folder = ("--ledger", str(LEDGER))
    runs = command("ledger", "export", *folder, cwd=tmp_path)
    curves = command("ledger", "export", "--table", "curves", *folder, cwd=tmp_path)
    words = [PROGRAM, "ledger", "export", "--format", "parquet", *folder]
    binary = subprocess_run(words, cwd=tmp_path, capture_output=True, check=True).stdout
    assert opened(runs.stdout, binary)[1].num_rows == 3
    assert command("ledger", "export", *folder, "--out", "out", cwd=tmp_path).returncode == 0
    assert (tmp_path / "out/runs.csv").read_text() == runs.stdout
    assert (tmp_path / "out/curves.csv").read_text() == curves.stdout
    assert (tmp_path / "out/runs.parquet").read_bytes() == binary


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--table", "rums"), ("'rums'", "did you mean runs?", "curves")),
        (("--format", "xml"), ("'xml'", "parquet")),
        (("--table", "curves", "--format", "openai"), ("--table curves", "leave out --table")),
        (("--out", "out", "--table", "runs"), ("--out out", "leave out")),
        (("--out", "/proc/none"), ("/proc/none", "--out DIR")),
    ],
)
def test_a_user_error_is_one_readable_message(words, named, typed):
    refused(typed("ledger", "export", "--ledger", str(LEDGER), *words), *named)
