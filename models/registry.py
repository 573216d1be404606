"""Every architecture by name, in ImageNet and small-image form."""

from __future__ import annotations

import inspect
from bisect import bisect_left
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import nn

from efficiency_bench.config_checks import check_form_size
from efficiency_bench.errors import UserError, unknown
from efficiency_bench.models import (
    alexnet,
    convnext,
    densenet,
    efficientnet,
    googlenet,
    library,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    regnet,
    resnet,
    resnext,
    shufflenet_v1,
    shufflenet_v2,
    squeezenet,
    vgg,
    wide_resnet,
)
from efficiency_bench.models.small_form import IMAGE_PX, MAP_PX, Shape, solve

Form = Literal["imagenet", "small"]
Builder = Callable[..., nn.Module]
LARGEST_TRIED_PX = 512
"""Upper end of the search for a size that works: more than any registered network needs."""


class Forms(NamedTuple):
    """The two builders of an architecture; each takes num_classes and keyword arguments.

    The small one also takes its widths, and after them the side of the map that its head reads if
    the shape has a flat head.
    """

    imagenet: Builder
    small: Builder
    shape: Shape


MODELS: dict[str, Forms] = {
    "alexnet": Forms(alexnet.imagenet, alexnet.small, alexnet.SHAPE),
    "vgg11": Forms(partial(vgg.imagenet, 11), partial(vgg.small, 11), vgg.SHAPES[11]),
    "vgg16": Forms(partial(vgg.imagenet, 16), partial(vgg.small, 16), vgg.SHAPES[16]),
    "googlenet": Forms(googlenet.imagenet, googlenet.small, googlenet.SHAPE),
    "squeezenet1_1": Forms(squeezenet.imagenet, squeezenet.small, squeezenet.SHAPE),
    "resnet18": Forms(partial(resnet.imagenet, 18), partial(resnet.small, 18), resnet.SHAPES[18]),
    "resnet34": Forms(partial(resnet.imagenet, 34), partial(resnet.small, 34), resnet.SHAPES[34]),
    "resnet50": Forms(partial(resnet.imagenet, 50), partial(resnet.small, 50), resnet.SHAPES[50]),
    "wide_resnet50_2": Forms(wide_resnet.imagenet, wide_resnet.small, wide_resnet.SHAPE),
    "resnext50_32x4d": Forms(resnext.imagenet, resnext.small, resnext.SHAPE),
    "densenet121": Forms(densenet.imagenet, densenet.small, densenet.SHAPE),
    "mobilenet_v1": Forms(mobilenet_v1.imagenet, mobilenet_v1.small, mobilenet_v1.SHAPE),
    "mobilenet_v2": Forms(mobilenet_v2.imagenet, mobilenet_v2.small, mobilenet_v2.SHAPE),
    "shufflenet_v1": Forms(shufflenet_v1.imagenet, shufflenet_v1.small, shufflenet_v1.SHAPE),
    "shufflenet_v2_x1_0": Forms(
        partial(shufflenet_v2.imagenet, "x1_0"), shufflenet_v2.small, shufflenet_v2.SHAPES["x1_0"]
    ),
    "shufflenet_v2_x1_5": Forms(
        partial(shufflenet_v2.imagenet, "x1_5"), shufflenet_v2.small, shufflenet_v2.SHAPES["x1_5"]
    ),
    "efficientnet_b0": Forms(efficientnet.imagenet, efficientnet.small, efficientnet.SHAPE),
    "mobilenet_v3_small": Forms(mobilenet_v3.imagenet, mobilenet_v3.small, mobilenet_v3.SHAPE),
    "regnet_y_400mf": Forms(regnet.imagenet, regnet.small, regnet.SHAPE),
    "convnext_tiny": Forms(convnext.imagenet, convnext.small, convnext.SHAPE),
}


def build_model(
    name: str,
    *,
    form: Form,
    num_classes: int,
    image_px: int = IMAGE_PX,
    scale: float = 1.0,
    width: float | None = None,
    **arguments: Any,
) -> nn.Module:
    """A freshly initialised network, on the CPU, in train mode; nothing is downloaded.

    It maps images (batch, 3, s, s) to logits (batch, num_classes).  In train mode GoogLeNet
    returns a named tuple, the main logits first, then those of its auxiliary heads.
    ``arguments`` (listed by ``known_arguments``) are fractions, such as ``dropout``.  A name
    ``timm:NAME`` or ``torchvision:NAME`` is that library's network, the same in both forms, and
    takes the library's own arguments.

    The widths of a small form follow from ``scale`` (models/small_form.py), or are the paper's
    times ``width``.  Its full-size images have ``image_px``, which decides how large a map the
    linear layers of AlexNet and VGG read.

    Raises UserError for an unknown name, form or argument, and for a value out of range.
    """
    if form not in get_args(Form):
        raise unknown("form", form, get_args(Form))
    if num_classes < 1:
        raise UserError(f"num_classes must be at least 1, not {num_classes}")
    check_form_size(name, form, scale, width)
    if library.is_library_name(name):
        return library.build(name, num_classes, arguments)
    known = known_arguments(name, form)
    for key, value in arguments.items():
        if key not in known:
            allowed = ", ".join(known) or "none"
            raise UserError(
                f"{name} takes no argument {key!r}; known: {allowed}"
                f" (set under model.arguments or recipe.model_arguments)"
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            raise UserError(f"{name}: {key} must be a fraction in [0, 1), not {value!r}")
    if form == "imagenet":
        return MODELS[name].imagenet(num_classes, **arguments)
    shape = MODELS[name].shape
    widths = solve(name, shape, scale) if width is None else shape.scaled(width).widths
    # an eighth of the image's side, rounded up, as after three pools
    head = [min(MAP_PX, -(-image_px * MAP_PX // IMAGE_PX))] if shape.flat_head else []
    return MODELS[name].small(num_classes, widths, *head, **arguments)


def known_arguments(name: str, form: Form) -> tuple[str, ...]:
    """Names of the keyword arguments that a model's builder takes; UserError if it is unknown.

    Empty for a library's network: a recipe's arguments have this project's names and are ignored.
    """
    if library.is_library_name(name):
        return ()
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    parameters = inspect.signature(getattr(MODELS[name], form)).parameters.values()
    return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


def check_input(model: nn.Module, image_px: int, name: str, form: str) -> None:
    """Raise UserError if ``model`` cannot take images (batch, 3, image_px, image_px).

    Runs one forward pass of two black images in eval mode without gradients, on the device of the
    weights.  Weights, batch-norm statistics, each module's train mode and the random generators
    do not change.  ``name`` and ``form`` are for the message.
    """
    if image_px < 1:
        raise UserError(f"image_px must be at least 1, not {image_px}")
    failure = _failure(model, image_px)
    if failure is None:
        return
    if library.is_library_name(name):
        # there may be no smallest size that works: a vision transformer takes a single size
        raise UserError(
            f"{name} cannot take {image_px} px images ({failure}): choose another size or another"
            " model, or set an argument of the model such as +model.arguments.img_size=SIZE"
        )
    least_px = bisect_left(range(LARGEST_TRIED_PX), True, lo=1, key=partial(_takes, model))
    sizes = (
        f"works from {least_px} px on" if least_px < LARGEST_TRIED_PX else "works at no size tried"
    )
    way_out = "type form=small" if form == "imagenet" else "use larger images"
    raise UserError(
        f"{name} in form {form} cannot take {image_px} px images ({failure});"
        f" it {sizes}: {way_out}, or another model"
    )


def _takes(model: nn.Module, image_px: int) -> bool:
    return _failure(model, image_px) is None


def _failure(model: nn.Module, image_px: int) -> str | None:
    """First line of the error that a forward pass at that size raises, or None."""
    modes = [(module, module.training) for module in model.modules()]
    weight = next(model.parameters())
    images = torch.zeros(2, 3, image_px, image_px, device=weight.device, dtype=weight.dtype)
    model.eval()
    try:
        with torch.no_grad():
            model(images)
    except (RuntimeError, AssertionError, ValueError) as error:
        return (str(error) or type(error).__name__).splitlines()[0]
    finally:
        for module, mode in modes:
            module.training = mode
    return None
