"""Which runs are seeds of one row, for every field of the configuration; digests of old entries."""

import copy
import dataclasses
import json
import typing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from efficiency_bench import identity
from efficiency_bench.bounds import SMALLEST_FLOAT
from efficiency_bench.config import RunConfig, load, measured_part
from efficiency_bench.identity import (
    ADDED_LATER,
    FOLLOWS_FROM_BUDGET,
    NOT_OF_A_ROW,
    ONLY_WITH_BUDGET,
    SCHEDULE_LENGTH,
    config_digest,
    decided_digest,
    row_date,
    row_key,
    row_settings,
    run_id,
)
from tests.ledger.factory import make_entry, make_target

RECORDED = json.loads((Path(__file__).parent / "recorded_run.json").read_text("utf-8"))
"""Configuration, digest and run id of a run as one of the first versions wrote them."""

MEASURED = {
    "the network, and the loss of its auxiliary heads": (
        *("model.name", "model.arguments", "model.auxiliary_loss_weight", "form"),
        *("model.scale", "model.width"),
        "recipe.model_arguments",
    ),
    "the dates that place the row on the time axis": ("model.published", "recipe.date"),
    "the recipe's name, by which tables and decompositions know the row": ("recipe.name",),
    "the training procedure": (
        *("recipe.epochs", "budget", "recipe.batch_size", "recipe.label_smoothing"),
        "recipe.ema_decay",
        *("recipe.optimizer", "recipe.schedule", "recipe.augmentation", "recipe.progressive"),
    ),
    "the images: which, how large, how normalised, by which decoder": (
        *("data.name", "data.image_px", "data.resize_px", "data.mean", "data.std"),
        *("data.crop_pad_px", "data.flip_keeps_class", "data.train_images", "data.val_images"),
        *("data.decode", "data.inner_split"),
    ),
    "the level to reach, and what counts as reaching it": ("target", "estimand"),
    "when the run is looked at, and so where it stops": ("evaluation",),
}
"""Every field that affects the measurement, by reason; a field includes all below it."""


def leaves(of=RunConfig, place=""):
    """Yield (dotted name, type) of every field of the configuration."""
    hints = typing.get_type_hints(of)
    for field in dataclasses.fields(of):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from leaves(hints[field.name], f"{place}{field.name}.")
        else:
            yield f"{place}{field.name}", hints[field.name]


LEAVES = dict(leaves())


def under(names):
    """Return the leaves covered by ``names``."""
    return {leaf for leaf in LEAVES for name in names if f"{leaf}.".startswith(f"{name}.")}


MEASURED_LEAVES = under([name for names in MEASURED.values() for name in names])


def within_bounds(largest):
    """Floats that are 0 or within the bounds of a record, up to ``largest``."""
    positive = st.floats(SMALLEST_FLOAT, largest)
    return st.just(0.0) | positive | positive.map(lambda value: -value)


def text(most):
    """Strings of up to ``most`` characters without surrogates."""
    return st.text(st.characters(codec="utf-8"), max_size=most)


def value_of(kind):
    """Strategy for any value of a field's type."""
    options = typing.get_args(kind)
    if type(None) in options:
        return st.none() | value_of(options[0])
    return {
        bool: st.booleans(),
        int: st.integers(0, 10**6),
        float: within_bounds(1e6),
        str: text(8),
        list[str]: st.lists(text(4), max_size=3),
        list[float]: st.lists(within_bounds(10), max_size=3),
        dict[str, typing.Any]: st.dictionaries(
            st.text(st.characters(codec="utf-8"), max_size=3),
            st.integers(-(2**63) + 1, 2**63 - 1),
            max_size=2,
        ),
    }[kind]


def at(config, leaf):
    for name in leaf.split("."):
        config = getattr(config, name)
    return config


def changed(config, leaf, value):
    """Return a copy of ``config`` with another value at ``leaf``."""
    config = copy.deepcopy(config)
    *parents, name = leaf.split(".")
    setattr(at(config, ".".join(parents)) if parents else config, name, value)
    return config


def entry_of(config, **overrides):
    measured = measured_part(config)
    fields = {
        "experiment": config.experiment,
        "model": config.model.name,
        "recipe": config.recipe.name,
        "data": config.data.name,
        "date": row_date(measured),
        "seed": config.seed,
        "repeat": config.repeat,
        "config": measured,
        "config_digest": config_digest(measured),
    }
    return make_entry(**{**fields, **overrides})


@pytest.fixture(scope="module")
def config():
    return load(OmegaConf.create(RECORDED["config"]))


def test_every_field_of_the_configuration_is_classified():
    """A new field goes into one of the named sets of ``identity``, or into ``MEASURED`` here."""
    ignored = under(NOT_OF_A_ROW)
    assert ignored & MEASURED_LEAVES == set()
    assert ignored | MEASURED_LEAVES == set(LEAVES)
    for name in (*NOT_OF_A_ROW, *ADDED_LATER, *SCHEDULE_LENGTH):
        assert under([name]), f"{name} is no field of the configuration"


@settings(deadline=None)
@given(st.data())
def test_fields_that_are_not_measured_never_change_the_row(config, data):
    shuffled = config
    for leaf in sorted(LEAVES.keys() - MEASURED_LEAVES):
        shuffled = changed(shuffled, leaf, data.draw(value_of(LEAVES[leaf]), leaf))
    assert row_key(entry_of(shuffled)) == row_key(entry_of(config))


@settings(deadline=None, max_examples=10)
@pytest.mark.parametrize("leaf", sorted(MEASURED_LEAVES))
@given(data=st.data())
def test_measured_fields_always_change_the_row(config, leaf, data):
    if leaf in ONLY_WITH_BUDGET:
        config = changed(config, "budget", 0.25)
    value = data.draw(value_of(LEAVES[leaf]).filter(lambda new: new != at(config, leaf)))
    moved = measured_part(changed(config, leaf, value))
    assert row_settings(moved) != row_settings(measured_part(config))
    key = row_key(make_entry(config=moved))
    assert key != row_key(make_entry(config=measured_part(config)))


def test_other_images_and_another_level_are_another_row(config):
    own = row_key(entry_of(config))
    assert row_key(entry_of(config, data_digest="e" * 64)) != own
    assert row_key(entry_of(config, target=make_target(value=0.8))) != own
    tolerant = make_target(source="own_schedule")
    other = make_target(source="own_schedule", value=0.8)
    # a baseline's level is its result
    assert row_key(entry_of(config, target=tolerant)) == row_key(entry_of(config, target=other))


def test_a_caller_may_ignore_further_fields(config):
    longer = changed(config, "recipe.epochs", 99.0)
    assert row_key(entry_of(longer)) != row_key(entry_of(config))
    assert row_key(entry_of(longer), SCHEDULE_LENGTH) == row_key(entry_of(config), SCHEDULE_LENGTH)


def test_all_budgets_of_one_ladder_are_one_row(config):
    rungs = [changed(config, "budget", share) for share in (0.25, 0.5)]
    one, other = (row_key(entry_of(rung), SCHEDULE_LENGTH) for rung in rungs)
    assert one == other
    assert row_key(entry_of(rungs[0])) != row_key(entry_of(rungs[1]))


@pytest.mark.parametrize("digest", [config_digest, decided_digest, row_settings])
def test_a_budget_replaces_the_epochs_and_baseline_epochs_count_only_with_a_budget(config, digest):
    """The planned configuration and the one that ran are the same run; old digests stay."""
    (epochs,), (length,) = FOLLOWS_FROM_BUDGET, ONLY_WITH_BUDGET
    budgeted = changed(config, "budget", 0.25)
    same = [measured_part(changed(budgeted, epochs, n)) for n in (6.0, 2.34)]
    assert digest(same[0]) == digest(same[1])
    assert same[1]["recipe"]["epochs"] == 2.34, "recorded all the same"
    assert digest(measured_part(changed(config, length, 15.0))) == digest(measured_part(config))
    assert digest(measured_part(changed(budgeted, length, 15.0))) != digest(same[0])


def test_a_row_without_a_configuration_is_identified_by_its_names():
    printed = {"tier": "imported", "config": {"batch": 256}}
    one, other = make_entry("a", **printed), make_entry("b", **{**printed, "config": {}})
    assert row_key(one) == row_key(other)
    assert row_key(one).settings is None
    assert row_key(make_entry("c", **printed, recipe="another")) != row_key(one)
    assert row_key(make_entry("d", **printed, date="2016-01-01")) != row_key(one)


def test_an_old_entry_keeps_digest_and_run_id_when_its_configuration_is_read_today(config):
    """A new field at its default must leave no trace, or old runs would be trained again."""
    today = measured_part(config)
    assert today == RECORDED["config"]
    assert config_digest(today) == RECORDED["config_digest"]
    assert run_id(today, "cifar10", RECORDED["data_digest"], None) == RECORDED["run_id"]


def test_fields_added_later_have_the_default_of_the_configuration():
    plain = RunConfig()
    assert {name: at(plain, name) for name in ADDED_LATER} == dict(ADDED_LATER)


def test_a_field_added_later_is_recorded_only_if_not_at_its_default(config, monkeypatch):
    monkeypatch.setitem(identity.ADDED_LATER, "data.flip_keeps_class", True)
    without = copy.deepcopy(RECORDED["config"])
    del without["data"]["flip_keeps_class"]
    assert measured_part(config) == without
    for digest in (config_digest, identity.decided_digest, row_settings):
        assert digest(without) == digest(RECORDED["config"])
    other = measured_part(changed(config, "data.flip_keeps_class", False))
    assert other["data"]["flip_keeps_class"] is False
    assert row_settings(other) != row_settings(without)
