"""Values derived from an entry's clocks and cost, and the digests of entries without them."""

import json
from pathlib import Path

import pytest

from efficiency_bench.ledger.entry import cost_of
from efficiency_bench.ledger.export import row
from efficiency_bench.ledger.store import content_digest, with_entry_digest
from efficiency_bench.provenance import digest_json
from efficiency_bench.records import Clocks, Cost, Entry
from tests.ledger.factory import make_entry, make_segment

BEFORE = Path(__file__).with_name("entry_before_costs.json")


def make_cost(**overrides):
    fields = {
        "peak_flops_per_second": 2e9,
        "peak_method": "torch.mm",
        "energy_joules": 900.0,
        "evaluation_energy_joules": 100.0,
        "repeated_energy_joules": 0.0,
        "energy_source": "RAPL",
        "price_usd_per_hour": 3.6,
    }
    return Cost(**{**fields, **overrides})


def make_clocks(train_seconds):
    return Clocks(train_seconds=train_seconds, evaluation_seconds=5.0, setup_seconds=1.0)


def test_an_entry_without_cost_fields_keeps_its_digest():
    written = json.loads(BEFORE.read_text())
    assert "cost" not in written
    entry = Entry(**written)
    assert content_digest(entry) == written["entry_digest"]


def test_a_cost_is_part_of_the_digest():
    entry = with_entry_digest(make_entry(cost=make_cost()))
    for cost in (None, make_cost(energy_joules=899.0), make_cost(notes=("profiled",))):
        assert content_digest(entry.model_copy(update={"cost": cost})) != entry.entry_digest


def test_parameters_are_part_of_the_digest_unless_they_were_not_recorded():
    before = make_entry(cost=make_cost())
    fields = before.model_dump(mode="json", exclude={"entry_digest", "parameters"})
    assert content_digest(before) == digest_json(fields)
    after = before.model_copy(update={"parameters": 1000})
    assert content_digest(after) != content_digest(before)


def test_rates_follow_from_the_clock_and_the_cost():
    # 5000 images at 2 (F + B) = 2 (1e6 + 1.9e6) = 5.8e6 FLOP: 2.9e10 in 50 s
    listed = row(
        make_entry(segments=(make_segment(5000),), clocks=make_clocks(50.0), cost=make_cost())
    )
    assert listed["train_seconds"] == 50.0
    assert listed["images_per_second"] == 100.0
    assert listed["achieved_flops_per_second"] == pytest.approx(5.8e8)
    assert listed["share_of_peak"] == pytest.approx(0.29)
    assert listed["energy_joules"] == 900.0
    assert listed["dollars"] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("entry", "unknown"),
    [
        (make_entry(), {"train_seconds", "images_per_second", "share_of_peak", "dollars"}),
        (make_entry(clocks=make_clocks(0.0), cost=make_cost()), {"images_per_second", "dollars"}),
        (make_entry(clocks=make_clocks(9.0)), {"share_of_peak", "energy_joules", "dollars"}),
        (
            make_entry(
                clocks=make_clocks(9.0),
                cost=make_cost(energy_joules=None, price_usd_per_hour=None),
            ),
            {"energy_joules", "dollars"},
        ),
    ],
    ids=["no clocks", "no step", "before costs", "no counter and no price"],
)
def test_unknown_is_none_and_never_zero(entry, unknown):
    listed = row(entry)
    assert {name for name in unknown if listed[name] is not None} == set()


def log(*accounts, end=None):
    """Return the events behind a cost: a start, a resume for each of ``accounts``, and an end."""
    begun = {"energy_source": "RAPL", "notes": []}
    peak = {"flops_per_second": 1e9, "method": "torch.mm"}
    start = {"event": "start", "cost": {**begun, "peak": peak, "price_usd_per_hour": None}}
    resumed = [{"event": "resume", "cost": {**begun, **account}} for account in accounts]
    return [start, *resumed, {"event": "end", **(end or {})}]


MEASURED = {"energy_joules": 50.0, "evaluation_energy_joules": 5.0}


def test_repeated_energy_is_the_sum_over_all_attempts():
    lost = ({**MEASURED, "lost_energy_joules": joules} for joules in (3.0, 4.0))
    cost = cost_of(log(*lost, end={"energy_joules": 60.0, "evaluation_energy_joules": 6.0}))
    assert (cost.energy_joules, cost.evaluation_energy_joules) == (60.0, 6.0)
    assert cost.repeated_energy_joules == 7.0
    assert cost.energy_source == "RAPL"


def test_an_unmeasured_attempt_without_useful_work_makes_only_repeated_energy_unknown():
    unmeasured = {"energy_source": "unknown: no counter"}
    lost = {**MEASURED, "lost_energy_joules": 3.0}
    cost = cost_of(log(unmeasured, lost, end=MEASURED))
    assert cost.energy_joules == 50.0
    assert cost.repeated_energy_joules is None
    assert "unknown: no counter" in cost.energy_source


def test_a_failed_energy_counter_is_distinguished_from_a_missing_one():
    cost = cost_of(log(end={}))
    assert cost.energy_joules is None
    assert cost.energy_source == "unknown: the counter failed on the way"


def test_a_log_without_cost_fields_gives_no_cost():
    assert cost_of([{"event": "start"}, {"event": "end"}]) is None


def test_compile_seconds_sum_over_compilations_and_default_to_zero():
    begun = {"energy_source": "unknown: none", "notes": [], "price_usd_per_hour": None}
    begun["peak"] = {"flops_per_second": 1e9, "method": "torch.mm"}
    events = [{"event": "start", "cost": begun}, {"event": "compiled", "seconds": 20.0}]
    again = [{"event": "resume", "cost": begun}, {"event": "compiled", "seconds": 15.0}]
    assert cost_of([*events, *again, {"event": "end"}]).compile_seconds == 35.0
    assert cost_of([events[0], {"event": "end"}]).compile_seconds == 0.0


def test_stopped_time_is_noted_and_whether_its_energy_is_counted():
    stops = [{"event": "halted", "seconds": 60.0}, {"event": "halted", "seconds": 5.5}]
    for end, energy in ((MEASURED, True), ({}, False)):
        start, over = log(end=end)
        (note,) = cost_of([start, *stops, over]).notes
        assert "stopped for 65.5 s in all" in note
        assert ("the energy used meanwhile is counted" in note) is energy
        assert cost_of([start, over]).notes == ()
