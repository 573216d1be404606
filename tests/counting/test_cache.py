"""Kept counts: found again for the same network alone, and never believed for their file's sake."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import logging
import sys

import pytest
import torch
from torch import nn

from efficiency_bench.counting import audited_count, cache, kept_or_audited_count

SHAPE = (3, 8, 8)


class Net(nn.Module):
    """A convolution and a linear layer; ``repeats`` is in no printed structure."""

    def __init__(self, width: int = 4, repeats: int = 1) -> None:
        super().__init__()
        self.repeats = repeats
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.mix = nn.Conv2d(width, width, 1)
        self.head = nn.Linear(width, 5)

    def forward(self, images):
        features = self.conv(images)
        for _ in range(self.repeats):
            features = self.mix(features)
        return self.head(features.mean((2, 3)))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "efficiency-bench" / "counts"


@pytest.fixture
def audits(monkeypatch):
    """The networks that were really counted."""
    counted = []

    def watched(model, shape):
        counted.append(shape)
        return audited_count(model, shape)

    monkeypatch.setattr(cache, "audited_count", watched)
    return counted


def test_a_second_run_finds_the_whole_count_and_says_so(audits, folder):
    first, second = (kept_or_audited_count(Net(), SHAPE) for _ in range(2))
    assert audits == [SHAPE]
    assert (first.from_cache, second.from_cache) == (False, True)
    assert dataclasses.replace(second, from_cache=False) == audited_count(Net(), SHAPE)
    assert [path.suffix for path in folder.iterdir()] == [".json"]


@pytest.mark.parametrize(
    "other",
    [
        lambda: (Net(width=6), SHAPE),
        lambda: (Net(repeats=2), SHAPE),
        lambda: (Net(), (3, 16, 16)),
        lambda: (freeze(Net()), SHAPE),
        lambda: (nn.Sequential(Net()), SHAPE),
    ],
    ids=["wider", "same parameters, other work", "larger images", "frozen layer", "wrapped"],
)
def test_another_network_is_counted_anew(other, audits):
    kept_or_audited_count(Net(), SHAPE)
    model, shape = other()
    found = kept_or_audited_count(model, shape)
    assert len(audits) == 2
    assert found == audited_count(model, shape)


def freeze(model):
    model.conv.requires_grad_(False)
    return model


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("package_versions", lambda: {"torch": "9.9.9"}),
        ("code_digest", lambda: "another"),
        ("_timm", lambda: {"timm": "9.9.9"}),
    ],
)
def test_other_versions_or_other_code_count_anew(name, value, audits, monkeypatch):
    kept_or_audited_count(Net(), SHAPE)
    monkeypatch.setattr(cache, name, value)
    kept_or_audited_count(Net(), SHAPE)
    assert len(audits) == 2


MODEL_FILE = """
from torch import nn

class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 5, 3)

    def forward(self, images):
        return self.layer(images).mean((2, 3))
"""


def test_a_changed_model_file_counts_anew_though_the_network_prints_the_same(tmp_path, audits):
    twice = MODEL_FILE.replace("self.layer(images)", "(self.layer(images) + self.layer(images))")
    counts, printed = [], set()
    for source in (MODEL_FILE, twice):
        (tmp_path / "own.py").write_text(source)
        spec = importlib.util.spec_from_file_location("own", tmp_path / "own.py")
        module = importlib.util.module_from_spec(spec)
        exec(compile(source, spec.origin, "exec"), module.__dict__)
        module.Own.__module__ = "own"
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "own", module)
            counts.append(kept_or_audited_count(module.Own(), SHAPE).forward_macs)
        printed.add(repr(module.Own()))
    assert len(printed) == 1
    assert counts == [36 * 5 * 27, 2 * 36 * 5 * 27]


def spoiled(content: str, **changes) -> str:
    return json.dumps({**json.loads(content), **changes})


SPOILS = {
    "cut": lambda content: content[:40],
    "empty": lambda content: "",
    "a list": lambda content: "[]",
    "text for a number": lambda content: spoiled(content, forward_macs="7000"),
    "negative": lambda content: spoiled(content, backward_macs=-1),
    "a field more": lambda content: spoiled(content, note=""),
    "another key": lambda content: spoiled(content, key="0" * 64),
    "another side": lambda content: spoiled(content, resolution_px=9),
    "F alone": lambda content: spoiled(content, forward_macs=1_000_000),
    "B alone": lambda content: spoiled(content, backward_macs=1),
}


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_spoiled_file_is_named_counted_anew_and_replaced(spoil, folder, audits, caplog):
    right = kept_or_audited_count(Net(), SHAPE)
    (path,) = folder.iterdir()
    whole = path.read_text()
    path.write_text(SPOILS[spoil](whole))
    with caplog.at_level(logging.WARNING):
        found = kept_or_audited_count(Net(), SHAPE)
    assert found == right
    assert not found.from_cache
    assert len(audits) == 2
    assert str(path) in caplog.text
    assert path.read_text() == whole


def test_a_folder_that_cannot_be_made_is_said_and_costs_nothing_else(tmp_path, caplog):
    (tmp_path / "efficiency-bench").write_text("a file in the way")
    with caplog.at_level(logging.WARNING):
        assert kept_or_audited_count(Net(), SHAPE) == audited_count(Net(), SHAPE)
    assert "is not kept" in caplog.text


def test_a_relative_cache_home_is_ignored(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    assert cache.cache_folder().is_absolute()


def test_weights_do_not_move_the_key():
    one, other = Net(), Net()
    assert not torch.equal(one.head.weight, other.head.weight)
    assert cache.count_key(one, SHAPE) == cache.count_key(other, SHAPE)
