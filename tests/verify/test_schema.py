"""Which keys an entry may have, by its schema."""

import dataclasses
import json
from pathlib import Path

import pytest

from efficiency_bench.config import RunConfig
from efficiency_bench.identity import LOADING, RESULTS
from efficiency_bench.records import SCHEMA_VERSION
from efficiency_bench.verify.schema import CONFIG_KEYS, dotted, unknown_keys
from tests.ledger.recorded import LEDGER

OLD = Path(__file__).parents[1] / "ledger/entry_before_costs.json"


def test_the_newest_schema_has_the_settings_that_a_run_is_measured_with():
    """Red where a setting was added, or taken away, and the schema does not say so."""
    settings = dataclasses.asdict(RunConfig())
    for name in RESULTS:
        del settings[name]
    for name in LOADING:
        del settings["data"][name.removeprefix("data.")]
    assert set(dotted(settings)) == CONFIG_KEYS[SCHEMA_VERSION]


@pytest.mark.parametrize("path", [*sorted(LEDGER.glob("*.json")), OLD])
def test_what_was_written_has_the_keys_of_its_schema(path):
    entry = json.loads(path.read_text())
    assert list(unknown_keys(entry, entry["schema_version"], True)) == []


def test_a_key_is_judged_by_the_schema_of_its_entry():
    old = json.loads(OLD.read_text())
    assert "near" in old["config"]["evaluation"]
    assert list(unknown_keys(old, 3, True)) == ["config.evaluation.near"]
    old["provenance"]["network_digest"] = None
    assert list(unknown_keys(old, 2, True)) == ["provenance.network_digest"]
    config = {"config": {"model": {"arguments": {"anything": 1}, "name": "x", "weights": "y"}}}
    assert list(unknown_keys(config, 2, True)) == ["config.model.weights"]
    assert list(unknown_keys(config, 2, False)) == [], "an imported file has its own keys"
    assert list(unknown_keys(config, 1, True)) == [
        f"config.model.{name}" for name in ("arguments", "name", "weights")
    ]
