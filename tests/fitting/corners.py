"""A ledger of two networks and two recipes: an old and a new of each."""

from efficiency_bench.fitting.sensitivity.decomposition import Corner
from tests.ledger.factory import make_entry

OLD, NEW = Corner("alexnet", "small_alexnet"), Corner("resnet18", "small_smoothed")
CORNERS = {
    (0, 0): OLD,
    (1, 0): Corner("resnet18", "small_alexnet"),
    (0, 1): Corner("alexnet", "small_smoothed"),
    (1, 1): NEW,
}


def ledger(log2_computes, **overrides):
    """Entries of the four corners, a list of log2 compute each (one a seed)."""
    return [
        make_entry(
            f"{CORNERS[key].model}-{CORNERS[key].recipe}-s{seed}",
            model=CORNERS[key].model,
            recipe=CORNERS[key].recipe,
            seed=seed,
            paper3x_to_target_tfs_days=2.0**log2,
            **overrides,
        )
        for key, values in log2_computes.items()
        for seed, log2 in enumerate(values)
    ]
