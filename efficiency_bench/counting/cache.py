"""Counts kept from one run to the next in the user's cache folder, a small JSON file each.

A count is found again only for the same structure, the same source files behind every class in
it, the same code here, versions, side and kind of device; whatever differs is counted anew.  It
saves seconds a run and proves nothing: `audit` and `verify` never look here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import inspect
import logging
import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, ValidationError
from torch import nn

from efficiency_bench.counting.audit import audited_count, implied_backward
from efficiency_bench.counting.forward import ForwardCount
from efficiency_bench.files import put
from efficiency_bench.provenance import code_digest, digest_json, package_versions

log = logging.getLogger(__name__)


class _Kept(BaseModel):
    """A kept count as its file has it; anything else in the file makes it useless."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    key: str
    resolution_px: PositiveInt
    forward_macs: PositiveInt
    first_layer_macs: PositiveInt
    backward_macs: NonNegativeInt
    by_operator: Mapping[str, NonNegativeInt]
    by_module: Mapping[str, NonNegativeInt]
    uncounted: Mapping[str, NonNegativeInt]
    constant_operand_macs: NonNegativeInt


def cache_folder() -> Path:
    """Where counts are kept: ``$XDG_CACHE_HOME/efficiency-bench/counts``, by default in ~/.cache.

    A relative path there is to be ignored, as the XDG base directory specification says.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "efficiency-bench" / "counts"


def kept_or_audited_count(model: nn.Module, image_shape: tuple[int, int, int]) -> ForwardCount:
    """The count of ``model`` as it was audited before, marked so, or audited now and kept.

    Raises what ``audited_count`` does; a folder that cannot be written to is only said.
    """
    key = count_key(model, image_shape)
    path = cache_folder() / f"{key}.json"
    if (kept := _read(path, key, model, image_shape)) is not None:
        return kept
    count = audited_count(model, image_shape)
    try:
        _write(path, _Kept(key=key, **_plain(count)))
    except OSError as error:
        log.warning("the count is not kept in %s: %s", path.parent, error.strerror or error)
    return count


def count_key(model: nn.Module, image_shape: tuple[int, int, int]) -> str:
    """SHA-256 (hex) over everything known to decide what ``model`` computes."""
    return digest_json(
        {
            "structure": repr(model),
            "parameters": [
                [name, list(p.shape), str(p.dtype), p.requires_grad]
                for name, p in model.named_parameters()
            ],
            "buffers": [[name, list(b.shape), str(b.dtype)] for name, b in model.named_buffers()],
            "plain_settings": [
                [name, _plain_settings(module)] for name, module in model.named_modules()
            ],
            "sources": _sources(model),
            "image_shape": list(image_shape),
            "device": next((p.device.type for p in model.parameters()), "cpu"),
            "code": code_digest(),
            "versions": package_versions() | _timm(),
        }
    )


def _timm() -> dict[str, str]:
    """Its networks call functions of many files, so that its version counts too."""
    with contextlib.suppress(PackageNotFoundError):
        return {"timm": version("timm")}
    return {}


def _plain_settings(module: nn.Module) -> dict[str, str]:
    """Attributes that the printed structure may leave out (strides, rates, flags)."""
    return {
        name: repr(value)
        for name, value in sorted(vars(module).items())
        if isinstance(value, bool | int | float | str | tuple | list)
    }


def _sources(model: nn.Module) -> dict[str, str]:
    """Class -> SHA-256 of the file that defines it, so that a changed file is another model."""
    digests = {}
    for kind in {type(module) for module in model.modules()}:
        for ancestor in kind.__mro__:
            with contextlib.suppress(OSError, TypeError):  # built in, or made without a file
                content = Path(inspect.getfile(ancestor)).read_bytes()
                name = f"{ancestor.__module__}.{ancestor.__qualname__}"
                digests[name] = hashlib.sha256(content).hexdigest()
    return digests


def _read(
    path: Path, key: str, model: nn.Module, image_shape: tuple[int, int, int]
) -> ForwardCount | None:
    """The count in ``path``; None where there is none, or none that is consistent in itself."""
    try:
        kept = _Kept.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        log.warning("%s is no kept count (%s): counted anew", path, str(error).splitlines()[0])
        return None
    count = ForwardCount(**kept.model_dump(exclude={"key"}), from_cache=True)
    trained = all(p.requires_grad for p in model.parameters())
    consistent = (
        kept.key == key
        and count.resolution_px == image_shape[-1]
        and count.first_layer_macs <= count.forward_macs
        and sum(count.by_operator.values()) == count.forward_macs
        and sum(count.by_module.values()) == count.forward_macs
        and (not trained or count.backward_macs == implied_backward(count))
    )
    if not consistent:
        log.warning("%s contradicts itself: counted anew", path)
        return None
    return count


def _plain(count: ForwardCount) -> dict[str, Any]:
    fields = dataclasses.asdict(count)
    del fields["from_cache"]
    return fields


def _write(path: Path, kept: _Kept) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    put(path, kept.model_dump_json(indent=1).encode())
