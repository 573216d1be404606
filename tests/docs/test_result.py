"""The result's page and the README's line of it are what the committed ledger gives."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.docs.pages import ROOT


def check() -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "docs" / "make_result.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_figure_of_the_result_comes_out_of_the_committed_ledger() -> None:
    done = check()
    assert done.returncode == 0, f"{done.stdout}{done.stderr}; make result"


def test_every_committed_entry_has_its_log_beside_it_and_names_no_place() -> None:
    files = sorted((ROOT / "runs" / "ledger").glob("*.json"))
    assert files
    for file in files:
        assert (file.parent / "events" / f"{file.stem}.jsonl.gz").is_file(), file.name
        entry = json.loads(file.read_text())
        assert entry["tier"] == "measured"
        assert entry["provenance"]["dirty"] is False
        assert '"/' not in file.read_text(), f"{file.name} names a folder of a machine"
