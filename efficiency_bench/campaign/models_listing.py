"""Every registered architecture in both forms, counted now, for `efficiency-bench models`."""

from __future__ import annotations

import dataclasses
import importlib.resources
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, cast

from omegaconf import OmegaConf
from torch import nn

from efficiency_bench.counting import count_forward
from efficiency_bench.models import MODELS, build_model

Form = Literal["imagenet", "small"]


class Sizes(NamedTuple):
    """What a form is counted at."""

    side_px: int
    classes: int
    other_sides_px: tuple[int, ...]
    """Sides that a recipe or a data set here also trains at."""


FORMS: dict[Form, Sizes] = {"imagenet": Sizes(224, 1000, (160,)), "small": Sizes(32, 10, (16,))}

COUNTED = ("forward_macs", "first_layer_macs", "backward_macs")


def model_rows() -> Iterator[dict[str, Any]]:
    """One row a name and form: date, paper, parameters, MACs per image; a second or two each."""
    for name in MODELS:
        origin = publication(name)
        for form in FORMS:
            yield {"name": name, "form": form, **origin, **counted(name, form)}


def publication(name: str) -> dict[str, str]:
    """ISO date of first publication and the paper, from ``configs/model``."""
    folder = importlib.resources.files("efficiency_bench.configs") / "model"
    text = (folder / f"{name}.yaml").read_text(encoding="utf-8")
    values = cast(dict[str, Any], OmegaConf.to_container(OmegaConf.create(text)))
    return {key: str(values[key]) for key in ("published", "paper")}


def counted(name: str, form: Form) -> dict[str, Any]:
    """Parameters and MACs per image at the form's own side, and at others."""
    sizes = FORMS[form]
    model = build_model(name, form=form, num_classes=sizes.classes)
    others = {str(px): _macs(model, px) for px in sizes.other_sides_px}
    return {
        "params": sum(p.numel() for p in model.parameters()),
        "resolution_px": sizes.side_px,
        **_macs(model, sizes.side_px),
        "resolutions": others,
    }


def _macs(model: nn.Module, side_px: int) -> dict[str, int]:
    count = dataclasses.asdict(count_forward(model, (3, side_px, side_px)))
    return {key: count[key] for key in COUNTED}
