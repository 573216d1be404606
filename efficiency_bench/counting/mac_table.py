"""The MACs of the registered networks, counted beforehand: ``runs/reference/network_macs.csv``.

``models`` and ``plan`` read it.  Training never does.  A row is used only if the network's files
and torchvision are those that were counted.  To write the table again, in about a minute, type
``python -m efficiency_bench.counting.mac_table``.
"""

from __future__ import annotations

import csv
import importlib.metadata
import importlib.resources
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from efficiency_bench.counting.audit import audited_count
from efficiency_bench.counting.forward import ForwardCount, trainable_parameters
from efficiency_bench.counting.network_files import network_digest
from efficiency_bench.models import MODELS, build_model

PATH = Path(str(importlib.resources.files("efficiency_bench.reference") / "network_macs.csv"))

Form = Literal["imagenet", "small"]


class Sizes(NamedTuple):
    """Image side and number of classes at which a form is counted."""

    side_px: int
    classes: int
    other_sides_px: tuple[int, ...]
    """Other sides at which a recipe or a data set trains."""


FORMS: dict[Form, Sizes] = {"imagenet": Sizes(224, 1000, (160,)), "small": Sizes(32, 10, (16,))}


class Row(NamedTuple):
    """One network at one image side, at scale 1; MACs are per image, as in ``ForwardCount``."""

    model: str
    form: str
    classes: int
    resolution_px: int
    params: int
    forward_macs: int
    first_layer_macs: int
    backward_macs: int
    network_digest: str
    torchvision: str


Macs = ForwardCount | Row


def look_up(model: str, form: str, classes: int, side_px: int) -> Row | None:
    """The table's row, or None if there is none for the installed code.

    It holds with any arguments of the network: they are probabilities and a momentum of batch norm,
    which change no MACs.
    """
    row = _table().get((model, form, classes, side_px))
    if row is None or (row.network_digest, row.torchvision) != _installed(model, form):
        return None
    return row


def count_network(model: str, form: Form, side_px: int) -> Row:
    """Count a registered network with both counters; raises UserError if they disagree."""
    classes = FORMS[form].classes
    network = build_model(model, form=form, num_classes=classes, image_px=side_px)
    counted = audited_count(network, (3, side_px, side_px))
    return Row(
        model,
        form,
        classes,
        side_px,
        trainable_parameters(network),
        counted.forward_macs,
        counted.first_layer_macs,
        counted.backward_macs,
        *_installed(model, form),
    )


def count_all() -> Iterator[Row]:
    """Count every registered network in both forms and at all their sides."""
    for model in MODELS:
        for form, sizes in FORMS.items():
            for side_px in (sizes.side_px, *sizes.other_sides_px):
                yield count_network(model, form, side_px)


def write() -> None:
    """Count every network and write the table."""
    rows = list(count_all())
    with PATH.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(rows)


@cache
def _table() -> dict[tuple[str, str, int, int], Row]:
    _, *lines = csv.reader(PATH.read_text(encoding="utf-8").splitlines())
    rows = (Row._make([*line[:2], *map(int, line[2:8]), *line[8:]]) for line in lines)
    return {row[:4]: row for row in rows}


@cache
def _installed(model: str, form: str) -> tuple[str, str]:
    """The digest of a registered network's files, and torchvision's version without a build tag."""
    version = importlib.metadata.version("torchvision").partition("+")[0]
    return network_digest(model, form) or "", version


if __name__ == "__main__":
    write()
