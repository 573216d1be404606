"""Learning-rate search: from trials to a run with the chosen rate."""

import pytest
import yaml

from efficiency_bench.cli.train import train
from efficiency_bench.errors import UserError
from efficiency_bench.hydra_app import compose
from efficiency_bench.ledger import store
from efficiency_bench.ledger.export import row
from efficiency_bench.records import RateSearch
from efficiency_bench.reproducibility.data_and_counts import verify_ledger
from tests.tiny import TINY

COMMON = ("recipe=small_2020", "recipe.batch_size=16", "target.baseline_epochs=12", *TINY)
COMMON += ("tracking.wandb=false",)


@pytest.fixture
def searched(tmp_path, monkeypatch):
    """A ledger of two trials of AlexNet's rate, the second far too high to learn."""
    monkeypatch.chdir(tmp_path)
    rates = "recipe.optimizer.lr=0.0125,5.0"
    trials = ("model=alexnet", "budget=0.5", "data.inner_split=0.2", rates, "ledger_dir=tuning")
    entries, _ = train(["-m", *COMMON, *trials])
    return entries


def test_trials_choose_the_rate_and_the_entry_records_the_search(searched, typed, tmp_path):
    assert [v.verdict for v in verify_ledger("tuning", None, None)] == ["verified"] * 2
    assert {entry.evaluations[0].val_images for entry in searched[:1]} == {60}
    told = typed("ledger", "rates", "tuning", "--out", "found.yaml")
    assert told.returncode == 0
    assert "alexnet: 0.0125 of 2 rates" in told.stdout
    assert "model=alexnet" in told.stderr, "the better of two is at an edge: extend the search"
    written = yaml.safe_load((tmp_path / "found.yaml").read_text())
    spent = sum(entry.paper3x_tfs_days for entry in searched)
    assert written["rates"]["alexnet"]["search_tfs_days"] == pytest.approx(spent)

    entries, code = train(["model=alexnet", "budget=0.5", "rates=found.yaml", *COMMON])
    assert (len(entries), code) == (1, 0)
    (entry,) = entries
    assert isinstance(entry.rates, RateSearch)
    assert (entry.rates.name, entry.rates.trials, entry.rates.at_edge) == ("found", 2, True)
    assert entry.rates.search_tfs_days == pytest.approx(spent)
    assert row(entry)["recipe_lr"] == 0.0125
    assert "rates" not in entry.config
    assert [v.verdict for v in verify_ledger("runs/ledger", None, None)] == ["verified"]

    again = typed("reproduce", entry.run_id)
    assert (again.returncode, again.stdout.strip()) == (0, f"{entry.run_id}: bit-exact")

    by_hand, _ = train(["model=alexnet", "budget=0.5", "recipe.optimizer.lr=0.0125", *COMMON])
    assert by_hand == entries, "the same rate set by hand is the same run"
    assert len(store.read(tmp_path / "runs/ledger").entries) == 1
    with pytest.raises(UserError, match=r"recipe\.optimizer\.lr=0\.1 cannot be used with rates="):
        compose(["model=alexnet", "rates=found.yaml", "recipe.optimizer.lr=0.1", *COMMON])
