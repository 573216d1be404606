"""How a user error must look, and the settings of a short run."""

LEDGER_LIST_KEYS = {
    "run_id",
    "experiment",
    "model",
    "recipe",
    "data",
    "seed",
    "tier",
    "end_reason",
    "reached",
    "target",
    "images",
    "epochs",
    "steps",
    "forward_macs",
    "paper3x_tfs_days",
    "exact_flops",
    "paper3x_to_target_tfs_days",
    "first_crossing_epochs",
    "sustained_crossing_epochs",
    "first_epoch_at_target",
    "weights_digest",
    "date",
    "source",
}

SHORT = ("recipe.epochs=0.3", "target.value=1.0", "tracking.wandb=false")


def refused(result, *words):
    """Check a user error: exit code 2, a few lines with the expected words, no traceback."""
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 3, result.stderr
    for word in words:
        assert word in result.stderr
