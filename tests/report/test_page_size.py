"""A page of 500 long runs stays small enough to send."""

from efficiency_bench.config import measured_part
from efficiency_bench.report.page.page import write_page
from tests.fitting.curve_factory import iso, straight
from tests.report.page_ledger import PROVENANCE
from tests.tiny import composed

RUNS, SEEDS, EVALUATIONS = 500, 3, 120
MOST_BYTES = 3_000_000


def test_500_runs_of_120_evaluations_are_under_3_mb(tmp_path):
    plain = measured_part(composed("experiment=resnet18", "data=digits"))
    entries = []
    for i in range(RUNS):
        row = i // SEEDS
        recipe = {**plain["recipe"], "epochs": 1 + row / 7}
        entry = straight(
            f"network-{row}-digits-s{i % SEEDS}-0123456789",
            1e9 * 2 ** (-row / 30) * (1 + 0.1 * (i % SEEDS)),
            EVALUATIONS,
            date=iso(13 * row),
            config={**plain, "recipe": recipe, "seed": i % SEEDS},
            config_digest=f"{row:064d}",
            provenance=PROVENANCE,
        ).model_copy(update={"model": f"network-{row}", "seed": i % SEEDS})
        entries.append(entry)
    page = write_page(entries, str(tmp_path / "ledger"), tmp_path / "out")
    assert page.stat().st_size < MOST_BYTES
    text = page.read_text(encoding="utf-8")
    assert text.count('data-run="network-') == RUNS
