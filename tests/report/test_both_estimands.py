"""A ledger with both estimands: each set's headline tells the other's fit beside its own."""

from efficiency_bench.report.page.page import write_page
from efficiency_bench.report.page.results import set_results
from efficiency_bench.report.page.sections import parts
from tests.ledger.factory import make_entry, make_evaluation, make_segment

NETWORKS = {
    "vgg11": ("2014-09-04", 8),
    "resnet18": ("2015-12-10", 4),
    "mobilenet_v2": ("2018-01-13", 2),
}


def ledger():
    for name, (date, epochs) in NETWORKS.items():
        known = {"model": name, "date": date}
        yield make_entry(name, crossing_images=500.0 * epochs, **known)
        for length, accuracy in ((epochs // 2, 0.8), (epochs, 0.9), (2 * epochs, 0.95)):
            yield make_entry(
                f"{name}-{length}",
                **known,
                estimand="budgeted",
                end_reason="schedule",
                crossing_images=None,
                segments=(make_segment(1000 * length),),
                evaluations=(make_evaluation(1000 * length, accuracy, val_images=10_000),),
                config={"recipe": {"epochs": length}},
            )


def test_both_fits_and_each_networks_epochs_stand_side_by_side(tmp_path):
    results = set_results(list(ledger()), "ledger")
    assert [result.group.estimand for result in results] == ["anytime", "budgeted"]
    anytime = parts(results[0])[0].lines
    assert any(line.startswith("anytime: ") and "; budgeted: " in line for line in anytime)
    # half the epochs at the crossing inside a long schedule, by construction
    (epochs,) = [line for line in anytime if line.startswith("Epochs, anytime and budgeted")]
    assert "vgg11 4 and 8" in epochs
    assert "mobilenet_v2 1 and 2" in epochs
    assert write_page(list(ledger()), "ledger", tmp_path).exists()
