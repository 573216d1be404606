"""Preregistration: what is decided before the first run, and departures from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from efficiency_bench.errors import UserError
from efficiency_bench.ledger import store
from efficiency_bench.records import Entry
from efficiency_bench.reproducibility.data_and_counts import verify_ledger
from efficiency_bench.run.run import run
from efficiency_bench.verify import LedgerIndex, preregistration, verify
from efficiency_bench.verify.preregistration import register
from tests.fitting import rungs
from tests.tiny import composed, tiny

SETTINGS = ("experiment=resnet18", "recipe.epochs=1", "target.value=0.3", "target.metric=top1")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a registration of two seeds, and a ledger with the first, trained afterwards."""
    folder = tmp_path_factory.mktemp("registered")
    file = folder / "decided.yaml"
    register([tiny(folder, *SETTINGS, f"seed={seed}") for seed in (0, 1)], file)
    run(tiny(folder, *SETTINGS, "threads=1", f"run_dir={folder / 'run'}"))
    return file, folder / "ledger"


def test_a_registered_run_passes_and_missing_runs_are_listed(kept: tuple[Path, Path]) -> None:
    file, ledger = kept
    (result,) = verify_ledger(str(ledger), None, None, [preregistration.read(file)])
    assert result.failures == ()
    decided = preregistration.read(file)
    assert decided.commit is not None
    missing = preregistration.missing(decided, store.read(ledger).entries)
    assert missing == ["resnet18 small_smoothed seed 1"]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"seed": 7}, "registered: seed"),
        ({"repeat": 1}, "registered: repeat"),
        ({"estimand": "budgeted"}, "registered: estimand"),
        ({"created_utc": "2020-05-08T00:00:00+00:00"}, "registered: before the run"),
        ({"target": {"value": 0.2}}, "registered: target.value"),
        ({"target": {"confirmations": 0}}, "registered: target.confirmations"),
        ({"target": {"tolerance": 0.01}}, "registered: target.tolerance"),
        ({"recipe": {"batch_size": 8}}, "registered: settings"),
        ({"evaluation": {"per_epoch": 9}}, "registered: settings"),
    ],
    ids=str,
)
def test_a_departure_from_the_registration_is_a_failure(
    kept: tuple[Path, Path], change: dict[str, object], rule: str
) -> None:
    file, ledger = kept
    (entry,) = store.read(ledger).entries
    departed = _departed(entry, change)
    check = preregistration.registration_rule([preregistration.read(file)])
    result = verify(ledger, departed, LedgerIndex([departed]), [check])
    assert rule in {failure.rule for failure in result.failures}


def _departed(entry: Entry, change: dict[str, object]) -> Entry:
    (name, value), *_ = change.items()
    if name == "target":
        return entry.model_copy(update={"target": entry.target.model_copy(update=value)})
    if isinstance(value, dict):
        part = {**entry.config[name], **value}
        return entry.model_copy(update={"config": {**entry.config, name: part}})
    return entry.model_copy(update=change)


def test_a_seed_may_be_repeated_only_after_a_failed_run(kept: tuple[Path, Path]) -> None:
    file, ledger = kept
    (entry,) = store.read(ledger).entries
    again = entry.model_copy(update={"repeat": 1, "run_id": "again"})
    check = preregistration.registration_rule([preregistration.read(file)])
    for reason, allowed in (("failed", True), ("target", False), ("diverged", False)):
        first = entry.model_copy(update={"end_reason": reason})
        result = verify(ledger, again, LedgerIndex([first, again]), [check])
        rules = {failure.rule for failure in result.failures}
        assert ("registered: repeat" not in rules) is allowed
    other = {**entry.config, "recipe": {**entry.config["recipe"], "batch_size": 8}}
    first = entry.model_copy(update={"end_reason": "failed", "config": other})
    result = verify(ledger, again, LedgerIndex([first, again]), [check])
    rules = {failure.rule for failure in result.failures}
    assert "registered: repeat" in rules, "a fault of another configuration excuses nothing"


def test_machine_settings_are_free_and_unregistered_rows_are_noted(
    kept: tuple[Path, Path],
) -> None:
    file, ledger = kept
    (entry,) = store.read(ledger).entries
    check = preregistration.registration_rule([preregistration.read(file)])
    elsewhere = entry.config | {"precision": "bf16", "device": "cuda", "threads": 4, "seed": 1}
    other = entry.model_copy(update={"config": elsewhere})
    result = verify(ledger, other, LedgerIndex([other]), [check])
    assert not [f for f in result.failures if f.rule.startswith("registered")]
    exploring = entry.model_copy(update={"recipe": "of my own"})
    result = verify(ledger, exploring, LedgerIndex([exploring]), [check])
    assert any("is not in the registration" in note.text for note in result.notes)


def test_a_network_at_another_scale_is_a_row_of_its_own(
    kept: tuple[Path, Path], tmp_path: Path
) -> None:
    """Forms of half and twice the MACs are registered in a file of their own."""
    file, ledger = kept
    widths = tmp_path / "widths.yaml"
    register([tiny(tmp_path, *SETTINGS, f"model.scale={s}") for s in (0.5, 2)], widths)
    decided = [preregistration.read(path) for path in (file, widths)]
    (entry,) = store.read(ledger).entries
    for scale, known in ((1.0, True), (0.5, True), (2.0, True), (4.0, False)):
        other = _departed(entry, {"model": {"scale": scale}})
        check = preregistration.registration_rule(decided)
        result = verify(ledger, other, LedgerIndex([other]), [check])
        rules = {failure.rule for failure in result.failures}
        noted = any("is not in the registration" in note.text for note in result.notes)
        assert noted is not known
        assert "registered: settings" not in rules
        if scale == 4:
            assert any("resnet18 at 4 small_smoothed" in note.text for note in result.notes)
    assert preregistration.missing(decided[1], [_departed(entry, {"model": {"scale": 2.0}})]) == [
        "resnet18 at 0.5 small_smoothed seed 0"
    ]
    assert preregistration.missing(decided[1], [entry]) == [
        "resnet18 at 0.5 small_smoothed seed 0",
        "resnet18 at 2 small_smoothed seed 0",
    ]


def test_a_run_on_a_folder_is_checked_against_the_registration_of_its_loader(
    kept: tuple[Path, Path],
) -> None:
    """ImageNet's loaders name the data of other classes ``folder`` in the entry."""
    file, ledger = kept
    (entry,) = store.read(ledger).entries
    decided = preregistration.read(file)
    named = entry.model_copy(update={"data": "folder", "seed": 7})
    result = verify(
        ledger, named, LedgerIndex([named]), [preregistration.registration_rule([decided])]
    )
    assert "registered: seed" in {failure.rule for failure in result.failures}
    there = entry.model_copy(update={"data": "folder"})
    assert preregistration.missing(decided, [there]) == ["resnet18 small_smoothed seed 1"]


def test_a_registration_is_never_overwritten_and_must_be_consistent(tmp_path: Path) -> None:
    one = composed(*SETTINGS)
    file = tmp_path / "decided.yaml"
    register([one], file)
    before = file.read_bytes()
    with pytest.raises(UserError, match="a registration is never overwritten"):
        register([one], file)
    assert file.read_bytes() == before
    two_levels = [one, composed(*SETTINGS[:-2], "target.value=0.2", "seed=1")]
    two_settings = [one, composed(*SETTINGS, "recipe.batch_size=8", "seed=1")]
    for runs, words in (
        (two_levels, "combinations of data set, target and estimand"),
        (two_settings, "one configuration"),
        ([one, one], "each seed once"),
        ([composed(*SETTINGS, "repeat=1")], "repeat"),
    ):
        with pytest.raises(UserError, match=words):
            register(runs, tmp_path / "other.yaml")
    assert not (tmp_path / "other.yaml").exists()


def test_the_error_for_an_invalid_registration_says_how_to_write_one(tmp_path: Path) -> None:
    file = tmp_path / "decided.yaml"
    register([composed(*SETTINGS)], file)
    content = yaml.safe_load(file.read_text())
    for broken in ({**content, "rows": 3}, {**content, "sedes": 1}, []):
        file.write_text(json.dumps(broken))
        with pytest.raises(UserError, match=r"not a valid registration.*\n.*--register FILE"):
            preregistration.read(file)
    file.write_text("a: [")
    with pytest.raises(UserError, match="is not valid YAML"):
        preregistration.read(file)
    with pytest.raises(UserError, match="cannot read"):
        preregistration.read(tmp_path / "absent.yaml")


def test_rungs_that_are_missing_are_named_apart_from_those_that_are_not_needed(
    kept: tuple[Path, Path],
) -> None:
    """The level is 80 %: ResNet-18 passed it at a half, VGG-11 nowhere."""
    decided = preregistration.read(kept[0])
    rows = tuple(
        decided.rows[0].model_copy(
            update={"model": model, "recipe": "small_2020", "budget": budget, "seeds": (0, 1)}
        )
        for model in ("resnet18", "vgg11")
        for budget in (*rungs.BUDGETS, 2.0)
    )
    ladders = decided.model_copy(update={"rows": rows})
    assert preregistration.missing(ladders, rungs.ledger()) == [
        "resnet18 small_2020 seed 0: not needed after 0.5: 2",
        "resnet18 small_2020 seed 1: budgets 0.125, 0.25, 0.5; not needed after 0.5: 1, 2",
        "vgg11 small_2020 seed 0: budgets 2",
        "vgg11 small_2020 seed 1: budgets 0.125, 0.25, 0.5, 1, 2",
    ]
