"""Warnings of older torch on a GPU do not end a run, and the oldest torch is the one tried."""

import re
import warnings
from pathlib import Path

import torch
from torch import nn

from efficiency_bench.run.device import resolve
from efficiency_bench.training.compile import compile_step
from tests.accelerator.test_point_02_compile import plain, step
from tests.tiny import composed

ROOT = Path(__file__).parents[2]


class Hinting(nn.Module):
    """Warns at its first use, as inductor does on a card with TF32 that is off."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        warnings.warn(
            "TensorFloat32 tensor cores for float32 matrix multiplication available but not"
            " enabled. Consider setting `torch.set_float32_matmul_precision('high')`",
            stacklevel=2,
        )
        return self.network(images)


def test_point_09_inductors_tf32_hint_is_not_an_error(card, monkeypatch):
    ours = step(plain())
    monkeypatch.setattr(torch, "compile", lambda network, **given: Hinting(network))
    compile_step(ours, [(4, 8)])


def test_point_09_torchs_warning_about_tf32_settings_is_not_an_error(card, monkeypatch):
    def set_precision(name):
        warnings.warn(
            "Please use the new API settings to control TF32 behavior, such as ...", stacklevel=2
        )

    monkeypatch.setattr(torch, "set_float32_matmul_precision", set_precision)
    resolve(composed("experiment=alexnet"))


def test_point_09_the_lower_bound_is_the_oldest_version_tested():
    bound = re.search(r'"torch>=([\d.]+)"', (ROOT / "pyproject.toml").read_text())[1]
    tried = re.search(r"torch ([\d.]+), the\s+oldest", (ROOT / "docs/performance.md").read_text())
    assert tried is not None
    assert tried[1].startswith(f"{bound}.")
