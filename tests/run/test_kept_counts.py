"""A run says whether its counts were kept from an earlier one, and verification never uses them."""

from __future__ import annotations

import json

from efficiency_bench.reproducibility import data_and_counts
from efficiency_bench.reproducibility.data_and_counts import verify_ledger
from efficiency_bench.run.run import run
from tests.tiny import events_of, tiny

SHORT = ("experiment=alexnet", "recipe.epochs=0.5", "target.value=1.0")


def start_of(folder, seed):
    run(tiny(folder, *SHORT, f"seed={seed}", f"run_dir={folder / str(seed)}"))
    return events_of(folder / str(seed))[0]


def test_a_wrong_kept_count_is_marked_in_the_log_and_found_by_verify(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    counted, kept = start_of(tmp_path, 1), start_of(tmp_path, 2)
    assert (counted["counts_from_cache"], kept["counts_from_cache"]) == ([], [16])
    assert counted["counts"] == kept["counts"]
    assert all(result.ok for result in verify_ledger(str(tmp_path / "ledger"), None, None))

    (path,) = (tmp_path / "cache").rglob("*.json")
    path.write_text(json.dumps(doubled(json.loads(path.read_text()))))
    wrong = start_of(tmp_path, 3)
    assert wrong["counts"]["16"]["forward_macs"] == 2 * counted["counts"]["16"]["forward_macs"]
    data_and_counts.counts.cache_clear()
    found = {
        result.run_id: result for result in verify_ledger(str(tmp_path / "ledger"), None, None)
    }
    bad = found.pop(wrong["run_id"])
    assert {failure.rule for failure in bad.failures} == {"counts: at 16 px"}
    assert all(result.ok for result in found.values())


def doubled(value):
    """Twice every count: consistent in itself."""
    if isinstance(value, dict):
        return {k: v if k == "resolution_px" else doubled(v) for k, v in value.items()}
    return 2 * value if isinstance(value, int) else value


def test_macs_that_are_charged_to_another_operator_are_found(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    start_of(tmp_path, 1)
    (path,) = (tmp_path / "cache").rglob("*.json")
    kept = json.loads(path.read_text())
    first, second = sorted(kept["by_operator"])[:2]
    kept["by_operator"][first] += 1
    kept["by_operator"][second] -= 1
    path.write_text(json.dumps(kept))
    wrong = start_of(tmp_path, 2)
    data_and_counts.counts.cache_clear()
    found = {r.run_id: r for r in verify_ledger(str(tmp_path / "ledger"), None, None)}
    bad = found.pop(wrong["run_id"])
    assert {failure.rule for failure in bad.failures} == {"counts: at 16 px"}
    assert all(result.ok for result in found.values())
