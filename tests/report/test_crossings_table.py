"""Crossings of a ledger's runs: each its own, and the seeds of a row together."""

import math

import pytest

from efficiency_bench.report.tables.crossings import crossing_rows, crossings_table
from efficiency_bench.report.tables.layout import print_table
from tests.ledger.factory import make_baseline, make_entry, make_evaluation, make_target
from tests.report.printing import printed


def seed(number, shift):
    """A logistic curve that meets 80 % at 2,000 images, times ``shift``, without noise."""
    images = (500, 1000, 1500, 1900, 2200, 2600, 3200)
    accuracies = [1 / (1 + (2000 * shift / n) ** 2 / 4) for n in images]
    return make_entry(
        f"run-{number}",
        seed=number,
        config_digest="c" * 64,
        target=make_target(value=0.8),
        evaluations=tuple(
            make_evaluation(n, round(a * 10_000) / 10_000, val_images=10_000)
            for n, a in zip(images, accuracies, strict=True)
        ),
    )


def test_seeds_are_listed_alone_and_combined():
    shifts = (0.9, 1.0, 1.1)
    ledger = [make_baseline("own"), *(seed(i, shift) for i, shift in enumerate(shifts))]
    *alone, together = crossing_rows(ledger)
    for row, shift in zip(alone, shifts, strict=True):
        assert row["sustained_epochs"] == pytest.approx(2 * shift, rel=0.01)
        assert row["low_epochs"] < row["sustained_epochs"] < row["high_epochs"]
        assert row["seeds"] == 1
    assert together["run"] == "resnet18 small_plain: 3 seeds"
    assert together["seeds"] == 3
    logs = [math.log(row["sustained_epochs"]) for row in alone]
    assert together["sustained_epochs"] == pytest.approx(math.exp(sum(logs) / 3))
    # Student's t for three seeds is 4.303, their scatter 0.1
    assert math.log(together["high_epochs"] / together["sustained_epochs"]) == pytest.approx(
        4.303 * 0.1003 / math.sqrt(3), rel=0.05
    )


def test_other_machines_join_a_row_but_other_learning_rates_do_not():
    def run(number, device, lr):
        config = {"recipe": {"optimizer": {"lr": lr}}, "device": device}
        update = {"config": config, "config_digest": device.ljust(64, "0")}
        return seed(number, 1.0).model_copy(update=update)

    rows = list(crossing_rows([run(0, "cpu", 0.1), run(1, "cuda", 0.1), run(2, "cpu", 0.3)]))
    assert [row["run_ids"] for row in rows if row["seeds"] > 1] == [["run-0", "run-1"]]


@pytest.mark.parametrize("wide", [False, True])
def test_the_table_fits_and_names_every_run(wide):
    entries = [seed(0, 1.0), seed(1, 1.2)]
    table = crossings_table(crossing_rows(entries), entries, wide)
    text = printed(lambda console: print_table(table, console, wide))
    assert wide or max(map(len, text.splitlines())) <= 80
    first = [line.split("  ")[0].strip() for line in text.splitlines()[4:7]]
    assert first == ["run-0", "run-1", "resnet18 small_plain: 2 seeds" if wide else ""]


def test_wide_prints_whole_run_ids():
    run_id = f"{'long' * 15}-digits-s0-5d1ceabc6e"
    entries = [seed(0, 1.0).model_copy(update={"run_id": run_id})]
    for wide in (False, True):
        table = crossings_table(crossing_rows(entries), entries, wide)
        text = printed(lambda console, t=table, w=wide: print_table(t, console, w))
        assert (run_id in text) == wide
        assert ("s0-5d1cea " in text) != wide
