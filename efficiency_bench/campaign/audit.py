"""The audit of a network by name, for `efficiency-bench audit`."""

from __future__ import annotations

from typing import Any

from efficiency_bench.counting import Audit, audit
from efficiency_bench.counting.audit import by_module
from efficiency_bench.models import build_model

CLASSES = 1000
"""ImageNet's: a network is audited as it is published."""


def audit_model(name: str, resolution_px: int) -> Audit:
    """Both counters on ``name`` in its ImageNet form, 1000 classes, images of that side.

    ``name`` is a registered one, ``timm:NAME`` or ``torchvision:NAME``.  Raises UserError for
    a network that does not exist or cannot take such images.
    """
    model = build_model(name, form="imagenet", num_classes=CLASSES)
    return audit(model, (3, resolution_px, resolution_px))


def audit_row(name: str, found: Audit) -> dict[str, Any]:
    """JSON values of an audit; MACs an image, ``uncounted`` in output elements an image."""
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
            {"module": module, "forward_macs": traced, "independent_forward_macs": watched}
            for module, traced, watched in by_module(count, independent)
        ],
        "uncounted": dict(count.uncounted),
        "unknown": [
            {"operator": operator, "module": module, "reason": reason}
            for (operator, module), reason in sorted(found.unknown.items())
        ],
        "disagreements": list(found.disagreements),
    }
