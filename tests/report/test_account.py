"""MACs by operator and currencies on the page: of a real run, and of a fit by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from efficiency_bench.fitting.fit import fit
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.ledger import store
from efficiency_bench.ledger.kept_log import macs_by_operator
from efficiency_bench.models.registry import build_model
from efficiency_bench.records import Entry
from efficiency_bench.report.page.currencies import operators_table, rates_table
from efficiency_bench.report.page.results import set_results
from efficiency_bench.report.tables.layout import one_decimal
from efficiency_bench.run.run import run
from tests.small_ledger import SmallLedger
from tests.tiny import tiny


def cells(table: object) -> list[list[str]]:
    columns = [list(column.cells) for column in table.columns]
    return [list(map(str, row)) for row in zip(*columns, strict=True)]


def test_the_operators_of_a_run_are_those_of_its_layers(tmp_path: Path) -> None:
    """A linear layer costs inputs x outputs; what is left of F are AlexNet's convolutions."""
    short = ("experiment=alexnet", "recipe.epochs=0.5", "target.value=0.99")
    run(tiny(tmp_path, *short, f"run_dir={tmp_path / 'run'}"))
    (entry,) = store.read(tmp_path / "ledger").entries
    (results,) = set_results([entry], str(tmp_path / "ledger"))
    (by_operator,) = results.operators.values()
    layers = build_model("alexnet", form="small", num_classes=10, image_px=16).modules()
    linear = sum(m.in_features * m.out_features for m in layers if isinstance(m, nn.Linear))
    assert sorted(by_operator.values()) == sorted([linear, int(entry.forward_macs) - linear])
    shares = [float(row[3]) for row in cells(operators_table(results))]
    assert sum(shares) == pytest.approx(100, abs=0.011)
    assert shares == sorted(shares, reverse=True)

    for garbled in ({}, {"counts": 1}, {"counts": {}}, {"counts": {"x": {}}}, {"counts": {"8": 2}}):
        assert macs_by_operator(garbled) == {}, "the page goes on without"


def test_the_currencies_match_the_fit_command(small_ledger: SmallLedger) -> None:
    """The runs come from two kinds of machine: the one with the most runs stands."""
    entries = [on_another_machine(entry) for entry in store.read(small_ledger.folder).entries]
    source = str(small_ledger.folder)
    results = next(r for r in set_results(entries, source) if r.group.estimand == "anytime")
    here = entries[0].provenance.hardware["cpu"]
    as_typed = Selection(estimand="anytime", axis="architecture")  # the command's default axis
    months = fit(entries, as_typed, currency="seconds", hardware=here).halving_months
    (seconds,) = [row for row in cells(rates_table(results)) if row[0] == "seconds"]
    assert seconds[1] == one_decimal(months)


def on_another_machine(entry: Entry) -> Entry:
    """The run that misses, as if it had been trained elsewhere; the others as they are."""
    if entry.model != "squeezenet1_1":
        return entry
    hardware = {**entry.provenance.hardware, "cpu": "another"}
    return entry.model_copy(
        update={"provenance": entry.provenance.model_copy(update={"hardware": hardware})}
    )
