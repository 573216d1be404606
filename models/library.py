"""Networks of other libraries by name: ``timm:NAME`` and ``torchvision:NAME``, never pretrained."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from torch import nn

from efficiency_bench.errors import UserError

LIBRARIES = ("timm", "torchvision")
WEIGHTS = {"pretrained", "checkpoint_path", "weights", "weights_backbone"}
"""Arguments with which a library loads trained weights: every run starts untrained."""
CLOSE_NAMES = 4
"""Number of suggestions for an unknown name: a library has a thousand."""


def is_library_name(name: str) -> bool:
    """Whether ``name`` is a network of another library."""
    return name.partition(":")[0] in LIBRARIES and ":" in name


def build(name: str, num_classes: int, arguments: dict[str, Any]) -> nn.Module:
    """The network ``timm:NAME`` or ``torchvision:NAME``, freshly initialised, in train mode.

    ``arguments`` are passed to the library's builder unchanged.  Nothing is downloaded.  Raises
    UserError for a library that is not installed, an unknown name and an invalid argument.
    """
    if loading := sorted(WEIGHTS & set(arguments)):
        raise UserError(
            f"{name}: {loading[0]} is not allowed, weights are never loaded: every run trains a"
            " network from initialisation; leave it out"
        )
    library, _, plain = name.partition(":")
    builder = _timm if library == "timm" else _torchvision
    try:
        return builder(plain, num_classes, arguments).train()
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{name} cannot be built with {arguments or 'no arguments'}: {reason}"
        ) from error


def _timm(plain: str, num_classes: int, arguments: dict[str, Any]) -> nn.Module:
    try:
        import timm
    except ImportError as error:
        raise UserError(
            "timm is not installed\ninstall it: pip install 'efficiency-bench[models]'"
        ) from error
    # the part after a dot names pretrained weights, which are never loaded
    if not timm.is_model(plain.partition(".")[0]):
        raise _unknown("timm", plain, timm.list_models(), "from timm import list_models")
    return timm.create_model(plain, pretrained=False, num_classes=num_classes, **arguments)


def _torchvision(plain: str, num_classes: int, arguments: dict[str, Any]) -> nn.Module:
    from torchvision import models

    known = models.list_models(module=models)
    if plain not in known:
        raise _unknown("torchvision", plain, known, "from torchvision.models import list_models")
    if plain in ("googlenet", "inception_v3"):
        # without init_weights they warn that the default will become torch's initialisation
        arguments = {"init_weights": False, **arguments}
    return models.get_model(plain, weights=None, num_classes=num_classes, **arguments)


def _unknown(library: str, plain: str, known: Sequence[str], listing: str) -> UserError:
    close = difflib.get_close_matches(plain, known, n=CLOSE_NAMES, cutoff=0.5)
    near = f"; similar: {', '.join(close)}" if close else ""
    return UserError(
        f"{library} has no network {plain!r}{near}\n"
        f"list all: python -c '{listing}; print(*list_models())'"
    )
