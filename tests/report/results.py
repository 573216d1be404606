"""Halving times to show: the published one, and one like a rehearsal on digits."""

from __future__ import annotations

from typing import Any

from efficiency_bench.fitting.fit import Fit, fit
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.halving import Method, Variant
from efficiency_bench.ledger.reference import published_entries
from efficiency_bench.records import Entry
from tests.ledger.factory import make_baseline, make_entry, make_segment, make_target

IMAGES = 15_000

FAMILIES = {  # model -> date, MACs, images to target of three seeds (None: missed)
    "vgg11": ("2014-09-04", 20_000_000, (12_000.0, 10_500.0, 13_400.0)),
    "resnet18": ("2015-12-10", 9_000_000, (5_000.0, 4_100.0, 4_400.0)),
    "shufflenet_v2_x1_0": ("2018-07-30", 3_000_000, (7_000.0, None, 6_100.0)),
    "efficientnet_b0": ("2019-05-28", 8_000_000, (None, None, None)),
}


def published(variant: Variant = "frontier") -> Fit:
    return fit(published_entries(), Selection(), variant=variant)


def rehearsal_entries() -> list[Entry]:
    baselines = [
        make_baseline(
            f"alexnet-digits-s{seed}",
            0.97,
            seed=seed,
            macs=11_000_000,
            segments=(make_segment(IMAGES, 11_000_000),),
        )
        for seed in range(3)
    ]
    names = tuple(entry.run_id for entry in baselines)
    target = make_target(value=0.9713, source="baseline", baseline_run_ids=names)
    others = [
        make_entry(
            f"{model}-digits-s{seed}",
            model=model,
            experiment=model,
            date=day,
            seed=seed,
            macs=macs,
            segments=(make_segment(IMAGES, macs),),
            crossing_images=images,
            target=target,
        )
        for model, (day, macs, crossings) in FAMILIES.items()
        for seed, images in enumerate(crossings)
    ]
    return [*baselines, *others]


def rehearsal(method: Method = "frontier") -> Fit:
    return fit(rehearsal_entries(), Selection(), method=method)


def of_computes(*computes: float, **overrides: Any) -> Fit:
    """One row every 300 days at these computes, all fitted."""
    days = ("2012-01-01", "2012-10-27", "2013-08-23", "2014-06-19", "2015-04-15")
    entries = [
        make_entry(f"m{i}", model=f"m{i}", date=day, paper3x_to_target_tfs_days=compute)
        for i, (day, compute) in enumerate(zip(days, computes, strict=False))
    ]
    return fit(entries, Selection(), method="frontier", variant="all", **overrides)
