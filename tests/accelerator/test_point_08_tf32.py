"""fp32 is float32, TF32 is asked for by name, and the entry has what torch was set to."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from efficiency_bench.config_checks import check
from efficiency_bench.errors import UserError
from efficiency_bench.run import device as devices
from efficiency_bench.run.run import run
from tests.accelerator.job import DIGITS
from tests.tiny import composed


@pytest.fixture(autouse=True)
def _torchs_own_flags(card) -> Iterator[None]:
    """TF32 as torch sets it on a GPU; restored afterwards."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = True
    yield
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32 = before[1]


def flags():
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize(("precision", "on"), [("fp32", False), ("bf16", False), ("tf32", True)])
def test_point_08_both_flags_follow_the_precision(precision, on):
    config = composed("experiment=alexnet", f"precision={precision}")
    check(config)
    assert devices.resolve(config).precision == precision
    assert flags() == (on, on)


@pytest.mark.parametrize(("precision", "on"), [("fp32", False), ("tf32", True)])
def test_point_08_the_entry_has_the_flags_and_the_peak_is_measured_with_them(
    precision, on, tmp_path, monkeypatch
):
    seen = []
    timed = devices._seconds
    monkeypatch.setattr(devices, "_seconds", lambda *a: (seen.append(flags()), timed(*a))[1])
    devices._one_process.cache_clear()
    config = composed(
        *DIGITS,
        *("experiment=alexnet", "recipe.epochs=1", "target.value=0.99", "tracking.wandb=false"),
        *(f"precision={precision}", f"run_dir={tmp_path / 'run'}", f"ledger_dir={tmp_path / 'l'}"),
    )
    entry = run(config).entry
    hardware = entry.provenance.hardware
    assert (hardware["tf32_products"], hardware["tf32_convolutions"]) == (on, on)
    assert entry.config["precision"] == hardware["precision"] == precision
    assert f", {precision}, cuda" in entry.cost.peak_method
    assert set(seen) == {(on, on)}


def test_point_08_tf32_is_refused_on_a_card_without_it(card):
    card.capability = (7, 0)  # V100
    with pytest.raises(UserError, match="has no TF32; type precision=fp32"):
        devices.resolve(composed("experiment=alexnet", "precision=tf32"))
    on_cpu = replace(composed("experiment=alexnet", "precision=tf32"), device="cpu")
    with pytest.raises(UserError, match="type precision=fp32"):
        devices.resolve(on_cpu)
