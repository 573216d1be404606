"""Counts of networks by name, for `efficiency-bench models` and `efficiency-bench audit`."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator
from typing import Any, cast

from omegaconf import OmegaConf

from efficiency_bench.counting import Audit, audit
from efficiency_bench.counting.audit import by_module
from efficiency_bench.counting.mac_table import FORMS, Form, count_network, look_up
from efficiency_bench.models import MODELS, build_model

COUNTED = ("forward_macs", "first_layer_macs", "backward_macs")


def model_rows() -> Iterator[dict[str, Any]]:
    """Yield one row per name and form: date, paper, parameters, MACs per image.

    The row of a small form has ``form_share``: its F over the ImageNet form's F.
    """
    for name in MODELS:
        origin = publication(name)
        whole = counted(name, "imagenet")
        yield {"name": name, "form": "imagenet", **origin, **whole}
        small = counted(name, "small")
        share = small["forward_macs"] / whole["forward_macs"]
        yield {"name": name, "form": "small", **origin, **small, "form_share": share}


def publication(name: str) -> dict[str, str]:
    """The paper and its ISO date of first publication, from ``configs/model``."""
    folder = importlib.resources.files("efficiency_bench.configs") / "model"
    text = (folder / f"{name}.yaml").read_text(encoding="utf-8")
    values = cast(dict[str, Any], OmegaConf.to_container(OmegaConf.create(text)))
    return {key: str(values[key]) for key in ("published", "paper")}


def counted(name: str, form: Form) -> dict[str, Any]:
    """Parameters and MACs per image at the form's own side and at its other sides."""
    sizes = FORMS[form]

    def macs(side_px: int) -> tuple[int, dict[str, int]]:
        row = look_up(name, form, sizes.classes, side_px) or count_network(name, form, side_px)
        return row.params, {key: getattr(row, key) for key in COUNTED}

    params, own = macs(sizes.side_px)
    return {
        "params": params,
        "resolution_px": sizes.side_px,
        **own,
        "resolutions": {str(px): macs(px)[1] for px in sizes.other_sides_px},
    }


CLASSES = 1000
"""ImageNet's number of classes: a network is audited as published."""


def audit_model(name: str, resolution_px: int) -> Audit:
    """The audit of ``name`` in its ImageNet form, 1000 classes, at ``resolution_px``.

    ``name`` is a registered name, ``timm:NAME`` or ``torchvision:NAME``.  Raises UserError for
    a network that does not exist or cannot take such images.
    """
    model = build_model(name, form="imagenet", num_classes=CLASSES)
    return audit(model, (3, resolution_px, resolution_px))


def audit_row(name: str, found: Audit) -> dict[str, Any]:
    """The audit as JSON values: MACs per image, ``uncounted`` in output elements per image."""
    count, independent = found.count, found.independent
    return {
        "model": name,
        "resolution_px": count.resolution_px,
        "forward_macs": count.forward_macs,
        "backward_macs": count.backward_macs,
        "first_layer_macs": count.first_layer_macs,
        "independent_forward_macs": independent.forward_macs,
        "independent_backward_macs": independent.backward_macs,
        "agrees": found.agrees,
        "plainly_trained": found.plainly_trained,
        "operators": dict(count.by_operator),
        "independent_operators": {
            "forward": dict(independent.forward_by_operator),
            "backward": dict(independent.backward_by_operator),
        },
        "modules": [
            {"module": module, "forward_macs": traced, "independent_forward_macs": recorded}
            for module, traced, recorded in by_module(count, independent)
        ],
        "uncounted": dict(count.uncounted),
        "unknown": [
            {"operator": operator, "module": module, "reason": reason}
            for (operator, module), reason in sorted(found.unknown.items())
        ],
        "disagreements": list(found.disagreements),
    }
