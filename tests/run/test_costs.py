"""Costs that a run records: the peak, training and evaluation energy, and resuming.

The energy counter is a stand-in: files in the layout of Linux's powercap that a test increments,
since few test machines let a user read the real one.
"""

import json
import math
from pathlib import Path

import pytest

from efficiency_bench.ledger.store import with_entry_digest
from efficiency_bench.reproducibility.data_and_counts import verify_ledger
from efficiency_bench.run import cost as costs
from efficiency_bench.run import cost as energy
from efficiency_bench.run.cost import EnergyAccount, NvmlMeter, RaplMeter, open_meter
from efficiency_bench.run.processes import Process
from efficiency_bench.run.run import run
from efficiency_bench.training import trainer
from tests.tiny import events_of, tiny

RANGE = 262_143_328_850  # microjoules, of a real package
OPTIONS = ("experiment=shufflenet_v2_x1_0", "recipe.epochs=1", "recipe.batch_size=12")


class Counter:
    """Two CPU packages, and two zones that must not be added to them."""

    def __init__(self, folder, start=0):
        self.folder, self.value = folder, start
        zones = {"intel-rapl:0": "package-0", "intel-rapl:1": "package-1"}
        zones |= {"intel-rapl:0:0": "core", "intel-rapl:2": "psys"}
        for zone, name in zones.items():
            (folder / zone).mkdir(parents=True)
            (folder / zone / "name").write_text(f"{name}\n")
            (folder / zone / "max_energy_range_uj").write_text(f"{RANGE}\n")
            (folder / zone / "energy_uj").write_text(f"{start}\n")

    def add(self, joules):
        """Add energy to the first package."""
        self.value = (self.value + round(joules * 1e6)) % RANGE
        (self.folder / "intel-rapl:0/energy_uj").write_text(f"{self.value}\n")


@pytest.fixture
def counter(tmp_path, monkeypatch):
    """A counter on which a step costs 1 J and an evaluation 7 J."""
    counter = Counter(tmp_path / "powercap")
    evaluate = trainer.evaluate

    def costly(*arguments):
        counter.add(7)
        return evaluate(*arguments)

    monkeypatch.setattr(trainer, "evaluate", costly)
    monkeypatch.setattr(costs, "open_meter", lambda *_: (RaplMeter(counter.folder), "a stand-in"))
    return counter


class Steps:
    """A ``stop_requested`` that adds 1 J per step and calls ``act`` at step ``at``."""

    def __init__(self, counter, at=None, act=lambda: True):
        self.counter, self.at, self.act, self.asked = counter, at, act, 0

    def __call__(self):
        self.counter.add(1)
        self.asked += 1
        return self.act() if self.asked == self.at else False


def test_packages_are_summed_and_a_counter_may_wrap_around(tmp_path):
    counter = Counter(tmp_path, start=RANGE - 3_000_000)
    meter = RaplMeter(tmp_path)
    assert meter.joules() == 0.0
    counter.add(5)  # 3 J to the end of its range and 2 J from 0
    (tmp_path / "intel-rapl:1/energy_uj").write_text(f"{RANGE - 3_000_000 + 250_000}\n")
    for part_of_a_package in ("intel-rapl:0:0", "intel-rapl:2"):
        (tmp_path / part_of_a_package / "energy_uj").write_text(f"{RANGE - 1}\n")
    assert meter.joules() == 5.25
    counter.add(1)
    assert meter.joules() == 6.25


def test_training_and_evaluation_energy_are_charged_separately(tmp_path):
    counter = Counter(tmp_path)
    account = EnergyAccount(RaplMeter(tmp_path), 100.0, 10.0)
    for charge, joules in (("nothing", 4), ("training", 2), ("evaluation", 3), ("training", 0.5)):
        counter.add(joules)
        getattr(account, f"charge_{charge}")()
    assert account.fields() == {"energy_joules": 102.5, "evaluation_energy_joules": 13.0}


def test_energy_is_unknown_if_the_counter_fails_during_the_run(tmp_path, caplog):
    counter = Counter(tmp_path)
    account = EnergyAccount(RaplMeter(tmp_path), 0.0, 0.0)
    counter.add(2)
    (tmp_path / "intel-rapl:1/energy_uj").unlink()
    account.charge_training()
    assert account.fields() == {}
    assert "unknown" in caplog.text


def test_energy_is_unknown_with_a_reason_if_there_is_no_counter(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(energy, "POWERCAP", tmp_path / "empty")
    meter, source = open_meter("cpu", Process())
    assert meter is None
    assert source.startswith("unknown: no processor package")
    assert open_meter("cpu", Process(world_size=2, one_machine=False))[0] is None


class FakeNvml:
    """A stand-in for pynvml: two boards, millijoules since the driver was loaded."""

    class NVMLError(Exception):
        pass

    totals = {"GPU-a": 5_000_000, "GPU-b": 7_000_000}  # noqa: RUF012

    def nvmlInit(self):  # noqa: N802
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid):  # noqa: N802
        if uuid not in self.totals:
            raise self.NVMLError("Not Found")
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):  # noqa: N802
        return self.totals[handle]


def test_gpu_boards_are_summed_in_joules():
    nvml = FakeNvml()
    meter = NvmlMeter(nvml, ["GPU-a", "GPU-b"])
    nvml.totals = {"GPU-a": 5_001_500, "GPU-b": 7_002_000}
    assert meter.joules() == 3.5
    with pytest.raises(OSError, match="Not Found"):
        NvmlMeter(nvml, ["GPU-c"])


def test_a_run_records_the_energy_of_its_steps_and_of_its_evaluations(counter, tmp_path):
    config = tiny(tmp_path, *OPTIONS, "target.value=0.999", "price_usd_per_hour=2.5")
    entry = run(config, stop_requested=Steps(counter)).entry
    # stop_requested is not called after the last step
    assert entry.cost.energy_joules == pytest.approx(entry.steps - 1)
    assert entry.cost.evaluation_energy_joules == pytest.approx(7 * len(entry.evaluations))
    assert entry.cost.repeated_energy_joules == 0.0
    assert entry.cost.price_usd_per_hour == 2.5
    assert math.isfinite(entry.cost.peak_flops_per_second)
    assert "price_usd_per_hour" not in entry.config
    assert [r.failures for r in verify_ledger(config.ledger_dir, None, None)] == [()]


def test_energy_of_a_resumed_run_adds_up(counter, tmp_path):
    config = tiny(tmp_path, *OPTIONS, "target.value=0.999", f"run_dir={tmp_path / 'run'}")
    assert run(config, stop_requested=Steps(counter, at=13)).entry is None
    counter.add(1000)  # used by other processes between the attempts
    entry = run(config, stop_requested=Steps(counter)).entry
    assert entry.cost.energy_joules == pytest.approx(entry.steps - 1)
    assert entry.cost.evaluation_energy_joules == pytest.approx(7 * len(entry.evaluations))
    assert entry.cost.repeated_energy_joules == 0.0
    assert [r.failures for r in verify_ledger(config.ledger_dir, None, None)] == [()]


def test_energy_of_repeated_work_is_recorded_separately(counter, tmp_path):
    """Stopped without a checkpoint after the log reached step 20, the run starts over."""

    def broken():
        raise KeyboardInterrupt

    config = tiny(
        tmp_path,
        *OPTIONS,
        "target.value=0.999",
        f"run_dir={tmp_path / 'run'}",
        "checkpoint_share=0",
    )
    with pytest.raises(KeyboardInterrupt):
        run(config, stop_requested=Steps(counter, at=22, act=broken))
    reached = [e for e in events_of(tmp_path / "run") if e["event"] == "progress"][-1]
    assert reached["steps"] == 20
    entry = run(config, stop_requested=Steps(counter)).entry
    assert entry.cost.energy_joules == pytest.approx(entry.steps - 1)
    assert entry.cost.repeated_energy_joules == pytest.approx(20 - 1)
    (result,) = verify_ledger(config.ledger_dir, None, None)
    assert result.failures == ()
    edited = entry.cost.model_copy(update={"repeated_energy_joules": 0.0})
    forged = with_entry_digest(entry.model_copy(update={"cost": edited}))
    (path,) = Path(config.ledger_dir).glob("*.json")
    path.write_text(json.dumps(forged.model_dump(mode="json")))
    (result,) = verify_ledger(config.ledger_dir, None, None)
    assert [f.rule for f in result.failures] == ["cost: repeated_energy_joules"]


def test_one_unmeasured_attempt_makes_the_total_energy_unknown(counter, tmp_path, monkeypatch):
    config = tiny(tmp_path, *OPTIONS, "target.value=0.999", f"run_dir={tmp_path / 'run'}")
    with monkeypatch.context() as patch:
        patch.setattr(costs, "open_meter", lambda *_: (None, "unknown: no counter here"))
        run(config, stop_requested=Steps(counter, at=13))
    cost = run(config, stop_requested=Steps(counter)).entry.cost
    assert cost.energy_joules is None
    assert cost.repeated_energy_joules is None
    assert cost.energy_source == "unknown: no counter here"
    assert [r.failures for r in verify_ledger(config.ledger_dir, None, None)] == [()]


def test_another_price_or_machine_on_resume_is_noted(tmp_path):
    options = (*OPTIONS, "target.value=0.999", f"run_dir={tmp_path / 'run'}")
    stops = iter([True])
    assert run(tiny(tmp_path, *options), stop_requested=lambda: next(stops)).entry is None
    later = run(tiny(tmp_path, *options, "price_usd_per_hour=3")).entry
    assert later.cost.price_usd_per_hour is None
    assert len(later.cost.notes) == 1
    assert "3.0 USD" in later.cost.notes[0]
