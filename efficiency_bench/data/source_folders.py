"""The image folders that a writer stores: listed, compared, and what its records say of them."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from efficiency_bench.data import folder, train_val_overlap
from efficiency_bench.data.folder import PhotoSplits
from efficiency_bench.data.image_set import Tell


class SourceFacts(TypedDict):
    """Fields of a ``written.Record`` that say what its file was made of."""

    source_digest: str
    passed_over: dict[str, int]
    in_both: int | None


def source_splits(source: Path, allow_left_out: bool, tell: Tell) -> PhotoSplits:
    """The folders under ``source``; UserError for those that no run could use."""
    return folder.load(
        source, None, None, allow_left_out=allow_left_out, switch="--allow-left-out", tell=tell
    )


def source_facts(splits: PhotoSplits) -> dict[str, SourceFacts]:
    """What the record of each split says; UserError where validation images are the training set.

    Every file whose size occurs in both splits is opened: a writer reads all of them anyway.
    """
    root = str(splits.train.folder.parent)
    both = train_val_overlap.compare_files(splits.train, splits.val, most=None).check(root)
    digest = splits.digest()
    return {
        "train": SourceFacts(
            source_digest=digest, passed_over=dict(splits.train.skipped.reasons), in_both=None
        ),
        "val": SourceFacts(
            source_digest=digest,
            passed_over=dict(splits.val.skipped.reasons),
            in_both=both.found,
        ),
    }
