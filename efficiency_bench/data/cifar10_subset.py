"""Cut the subset of CIFAR-10 that is measured here from the complete data set.

It has 10,000 training and 2,000 test images, balanced.  A CSV file next to the published rows lists
the index of each in the complete set, in the order of the runs.
"""

from __future__ import annotations

import csv
import io
import pickle
from importlib import resources
from pathlib import Path

import numpy as np
import torch

from efficiency_bench import files
from efficiency_bench.data import cifar
from efficiency_bench.data.image_set import DataSplits, ImageSet
from efficiency_bench.dataset_facts import CIFAR10
from efficiency_bench.errors import UserError

CSV_NAME = "cifar10_subset.csv"

DIGEST = "121ff2b5dda1849d2c84ec1e4f0d967fdbf843dcc139bb0f880faf1f52ba3556"
"""``data_digest`` of every entry that was trained on this subset."""


def indices(split: str) -> list[int]:
    """Indices into the complete ``train`` (0 to 49,999) or ``test`` set (0 to 9,999), in order."""
    file = resources.files("efficiency_bench.reference") / CSV_NAME
    rows = csv.DictReader(io.StringIO(file.read_text(encoding="ascii")))
    return [int(row["place"]) for row in rows if row["split"] == split]


def cut(root: Path, out: Path) -> Path:
    """Write the subset to ``out`` in the archive's layout; return its folder.

    ``root`` holds the complete archive, unpacked.  Raises UserError, and writes nothing, if it is
    incomplete or if the subset is not bit for bit what the runs were trained on.
    """
    whole = cifar.load("cifar10", root, download=False)
    if (len(whole.train), len(whole.val)) != (CIFAR10.train_images, CIFAR10.val_images):
        raise UserError(
            f"{root} holds {len(whole.train):,} + {len(whole.val):,} images, not the"
            f" {CIFAR10.train_images:,} + {CIFAR10.val_images:,} of CIFAR-10;"
            f"\nfetch it: efficiency-bench data fetch cifar10 --root DIR"
        )
    part = DataSplits(
        whole.train.subset(torch.tensor(indices("train"))),
        whole.val.subset(torch.tensor(indices("test"))),
    )
    if part.digest() != DIGEST:
        raise UserError(
            f"the images of {root} are not those measured here (digest"
            f" {part.digest()[:12]}, not {DIGEST[:12]});\nfetch the archive with MD5 sum"
            f" {cifar.CIFAR10.source.md5}: efficiency-bench data fetch cifar10 --root DIR"
        )
    return _write(part, out)


def _write(part: DataSplits, out: Path) -> Path:
    folder = out / cifar.CIFAR10.source.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        batches = cifar.CIFAR10.train_files
        for number, name in enumerate(batches):
            share = len(part.train) // len(batches)
            _put(folder / name, part.train, slice(number * share, (number + 1) * share))
        _put(folder / cifar.CIFAR10.test_file, part.val, slice(None))
        names = {cifar.CIFAR10.class_names_key: list(part.train.classes)}
        files.put(folder / cifar.CIFAR10.meta_file, pickle.dumps(names, protocol=2))
    except OSError as error:
        raise UserError(
            f"cannot write to {out}: {error.strerror or error}; free some space or name another"
            " folder"
        ) from error
    return folder


def _put(path: Path, images: ImageSet, which: slice) -> None:
    pixels: np.ndarray = images.images[which].reshape(-1, 3072).numpy()
    labels = images.labels[which].tolist()
    content = {"data": pixels.copy(), cifar.CIFAR10.label_key: labels}
    files.put(path, pickle.dumps(content, protocol=2))
