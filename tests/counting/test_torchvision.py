"""The independent counter against torchvision's published figures, for every network.

The counter reads only shapes, and the meta device has shapes without memory or arithmetic, so even
a network of 361 GMACs takes about a second.
"""

import pytest
import torch
import torchvision.models as zoo
from torch import nn
from torchvision.models.regnet import BlockParams

from efficiency_bench.counting.independent import count_step


def _network(name: str, side_px: int) -> nn.Module:
    """The network as in the published figures: without auxiliary heads."""
    arguments: dict[str, object] = {}
    if name in ("googlenet", "inception_v3"):
        arguments = {"init_weights": False, "aux_logits": False}
    if name.startswith("vit_"):
        arguments = {"image_size": side_px}
    with torch.device("meta"):
        return zoo.get_model(name, weights=None, **arguments).eval()


@pytest.fixture(autouse=True)
def _regnets_compute_their_widths_with_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    widths = BlockParams.from_init_params

    def on_the_cpu(*args: object, **keywords: object) -> BlockParams:
        with torch.device("cpu"):
            return widths(*args, **keywords)

    monkeypatch.setattr(BlockParams, "from_init_params", on_the_cpu)


@pytest.mark.parametrize("name", zoo.list_models(module=zoo))
def test_published_gmacs(name: str) -> None:
    # a network may have several published weights, some at another size
    published = {
        weights.transforms.keywords["crop_size"]: weights.meta["_ops"]
        for weights in zoo.get_model_weights(name)
    }
    for side_px, gmacs in published.items():
        model = _network(name, side_px)
        images = torch.zeros(1, 3, side_px, side_px, device="meta")
        with torch.no_grad():
            count = count_step(lambda model=model, images=images: model(images), model)
        assert count.without_formula == {}
        assert count.backward_macs == 0
        # published with three decimals: allow for rounding
        assert count.forward_macs / 1e9 == pytest.approx(gmacs, abs=0.00051)
