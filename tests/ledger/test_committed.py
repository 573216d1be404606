"""What every entry in the repository must have; the ledger itself may be empty."""

import json
from pathlib import Path

import pytest

from tests.ledger.recorded import LEDGER

COMMITTED = Path(__file__).parents[2] / "runs" / "ledger"


@pytest.mark.parametrize("folder", [COMMITTED, LEDGER], ids=["runs/ledger", "recorded"])
def test_every_committed_entry_has_its_log_and_names_no_folder_of_a_machine(folder):
    entries = {path.stem for path in folder.glob("*.json")}
    assert entries == {p.name.removesuffix(".jsonl.gz") for p in folder.glob("events/*.jsonl.gz")}
    for run_id in entries:
        text = (folder / f"{run_id}.json").read_text()
        assert json.loads(text)["tier"] == "measured"
        assert json.loads(text)["provenance"]["dirty"] is False
        assert '"/' not in text, f"{run_id} names a folder of a machine"
