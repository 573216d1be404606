"""`audit` and `verify`: keys, exit codes, and what they find."""

import json

from efficiency_bench.ledger import store
from tests.commands import command
from tests.ledger.factory import make_entry

AUDIT_KEYS = {
    "model",
    "resolution_px",
    "forward_macs",
    "backward_macs",
    "first_layer_macs",
    "independent_forward_macs",
    "independent_backward_macs",
    "operators",
    "uncounted",
}


def test_audit_shows_both_counters(typed):
    result = typed("audit", "alexnet", "--json")
    row = json.loads(result.stdout)
    assert result.returncode == 0
    assert set(row) >= AUDIT_KEYS
    assert row["forward_macs"] == row["independent_forward_macs"] == 714_188_480
    assert row["backward_macs"] == row["independent_backward_macs"] == 1_358_100_160
    assert sum(row["operators"].values()) == row["forward_macs"]
    shown = typed("audit", "torchvision:mobilenet_v3_large", "--resolution", "64")
    assert shown.returncode == 0
    assert "agree to the integer" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80


def test_an_audit_that_finds_an_unknown_operator_lists_it_and_exits_1(typed, monkeypatch):
    from torch import nn

    from efficiency_bench.counting import by_name

    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.recurrent = nn.GRU(3 * 8, 5, batch_first=True)

        def forward(self, x):
            return self.recurrent(x.permute(0, 2, 3, 1).flatten(2))[0][:, -1]

    monkeypatch.setattr(by_name, "build_model", lambda name, **settings: Recurrent())
    result = typed("audit", "anything", "--resolution", "8", "--json")
    assert result.returncode == 1
    unknown = json.loads(result.stdout)["unknown"]
    assert {"operator": "aten::gru", "module": "recurrent", "reason": "on no list"} in unknown


def test_verify_a_trained_ledger_and_an_edited_one(trained):
    folder, _, _ = trained
    good = command("verify", "--ledger", "ledger", "--json", cwd=folder)
    (row,) = json.loads(good.stdout)
    assert good.returncode == 0, good.stdout
    assert row["ok"]
    assert (row["failures"], row["skipped"]) == ([], [])
    (path,) = (folder / "ledger").glob("*.json")
    before = path.read_text()
    content = json.loads(before)
    path.write_text(json.dumps({**content, "images": content["images"] + 1}))
    try:
        bad = command("verify", row["run_id"], "--ledger", "ledger", "--json", cwd=folder)
    finally:
        path.write_text(before)
    (edited,) = json.loads(bad.stdout)
    assert bad.returncode == 1
    assert not edited["ok"]
    found = {failure["rule"]: failure for failure in edited["failures"]}
    assert found["images: entry"]["expected"] == content["images"]
    assert found["images: entry"]["found"] == content["images"] + 1


def test_verify_names_entries_by_the_short_ids_of_the_ledgers_list(typed, tmp_path):
    run_ids = [f"alexnet-digits-s{seed}-5d1ceabc6e" for seed in (0, 1)]
    for seed, run_id in enumerate(run_ids):
        store.append(tmp_path / "ledger", make_entry(run_id, seed=seed, experiment="alexnet"))
    (tmp_path / "ledger" / "broken-s0-5d1ceabc6e.json").write_text("{")
    shown = typed("verify", "--ledger", "ledger").stdout.splitlines()
    assert shown[0] == "FAILED        broken-s0-5d1ceabc6e"  # the name of a file to look at
    lines = [line for line in shown[1:] if line.startswith("FAILED")]
    assert lines == [
        "FAILED        digits-s0-5d1ceabc6e  alexnet",  # s0-5d1cea could be the broken file's
        "FAILED        s1-5d1cea             alexnet",
    ]
    listed = typed("ledger", "list", "--ledger", "ledger").stdout
    assert " s1-5d1cea " in listed
    alone = typed("verify", "s1-5d1cea", "--ledger", "ledger").stdout.splitlines()
    assert alone[0].split() == ["FAILED", "s1-5d1cea", "alexnet"]


def test_verify_the_published_rows(typed):
    result = typed("verify", "--ledger", "published")
    assert result.returncode == 0
    assert "16 of 16 entries" in result.stdout
