"""Real runs on a CUDA device: in any precision they reach the target, with the CPU's MACs."""

import itertools
from dataclasses import replace

import pytest
import torch

from efficiency_bench.reproducibility.data_and_counts import verify_ledger
from efficiency_bench.run.run import run
from tests.tiny import tiny

pytestmark = pytest.mark.gpu

DEVICE = "cuda"
RUN = ("experiment=resnet18", "recipe.epochs=8", "target.value=0.8", "evaluation.per_epoch=2")
DIGITS = ("data.train_images=1200", "data.val_images=360")


def on_the_gpu(folder, *overrides):
    return tiny(folder, *DIGITS, *RUN, f"device={DEVICE}", "threads=null", *overrides)


@pytest.mark.parametrize(
    "arithmetic",
    [
        ("precision=fp32",),
        ("precision=bf16",),
        ("precision=bf16", "compile=true"),
        ("precision=bf16", "channels_last=false"),
        ("precision=bf16", "optimizer_kernel=fused"),
    ],
    ids=" ".join,
)
def test_it_reaches_its_target_and_the_entry_follows_from_its_log(arithmetic, tmp_path):
    outcome = run(on_the_gpu(tmp_path, *arithmetic, f"run_dir={tmp_path / 'run'}"))
    assert outcome.exit_code == 0
    assert outcome.entry.reached
    here = run(tiny(tmp_path, *DIGITS, *RUN, "recipe.epochs=0.1", f"run_dir={tmp_path / 'cpu'}"))
    assert outcome.entry.forward_macs == here.entry.forward_macs
    assert outcome.entry.provenance.hardware["precision"] == arithmetic[0].partition("=")[2]
    assert all(result.ok for result in verify_ledger(str(tmp_path / "ledger"), None, None))


def test_a_stopped_run_resumes_where_it_stopped(tmp_path):
    config = replace(on_the_gpu(tmp_path), run_dir=str(tmp_path / "run"))
    looks = itertools.count()
    stopped = run(config, stop_requested=lambda: next(looks) > 20)
    assert stopped.exit_code == 75
    outcome = run(config)
    assert outcome.exit_code == 0
    assert outcome.entry.reached
    assert outcome.entry.repeated_images == 0


def test_steps_synchronize_only_when_the_loss_is_read(tmp_path):
    """torch raises on any synchronization while a block of steps is queued."""
    from efficiency_bench.data import build_data
    from efficiency_bench.run.device import resolve
    from efficiency_bench.run.setup import build_job
    from efficiency_bench.training.trainer import TrainingRun, batches

    config = resolve(on_the_gpu(tmp_path))
    data = build_data(config.data, config.recipe, 0, torch.device(DEVICE))
    job = build_job(config, data, None, lambda: False)
    run_ = TrainingRun(job)
    for step, (images, labels, whole, _) in enumerate(itertools.islice(batches(job), 12)):
        if step == 3:  # the libraries and the optimizer are set up by then
            torch.cuda.set_sync_debug_mode("error")
        run_.step(images, labels, whole, 0.1)
    torch.cuda.set_sync_debug_mode("default")
