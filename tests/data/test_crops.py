"""Crops drawn for a whole epoch: torchvision's distribution, rules and roundings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from torchvision.transforms import v2

from efficiency_bench.data.crops import centre_crops, random_crops

DRAWS = 8000


def _drawn(height: int, width: int, min_area: float) -> np.ndarray:
    sizes = np.full(DRAWS, height), np.full(DRAWS, width)
    return random_crops(*sizes, min_area, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("height", "width", "min_area"), [(375, 500, 0.08), (400, 400, 0.5), (500, 90, 0.25)]
)
def test_the_distribution_is_torchvisions(height: int, width: int, min_area: float) -> None:
    """Every coordinate, area and aspect of its own draws against ours; p over 0.01 by a seed."""
    ours = _drawn(height, width, min_area)
    torch.manual_seed(0)
    transform = v2.RandomResizedCrop(224, scale=(min_area, 1.0))
    image = torch.zeros(3, height, width)
    made = [transform.make_params([image]) for _ in range(DRAWS)]
    theirs = np.array([[p[name] for name in ("top", "left", "height", "width")] for p in made])
    for measure in (
        *(lambda crops, place=place: crops[:, place] for place in range(4)),
        lambda crops: crops[:, 2] * crops[:, 3],
        lambda crops: crops[:, 3] / crops[:, 2],
    ):
        assert ks_2samp(measure(ours), measure(theirs)).pvalue > 0.01


def test_crops_lie_inside_and_keep_the_least_area() -> None:
    generator = np.random.default_rng(1)
    heights, widths = generator.integers(1, 600, (2, 5000))
    top, left, height, width = random_crops(heights, widths, 0.25, generator).T
    assert (height >= 1).all()
    assert (width >= 1).all()
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= heights).all()
    assert (left + width <= widths).all()
    large = (
        (np.minimum(heights, widths) > 100) & (heights / widths < 1.3) & (widths / heights < 1.3)
    )
    share = (height * width / (heights * widths))[large]
    assert 0.24 < share.min() < 0.27
    assert share.max() > 0.95


def test_if_no_draw_fits_the_centre_is_used() -> None:
    """A strip of 10 by 1000 px has no crop of a quarter of its area within 3/4 and 4/3."""
    crops = random_crops(np.array([10, 1000]), np.array([1000, 10]), 0.25, np.random.default_rng(0))
    assert crops.tolist() == [[0, 493, 10, 13], [493, 0, 13, 10]]


def test_an_images_crop_does_not_depend_on_the_others() -> None:
    sizes = np.array([300, 40, 500]), np.array([400, 900, 333])
    alone = random_crops(*sizes, 0.08, np.random.default_rng(3))[2]
    others = np.array([10, 800, 500]), np.array([1000, 7, 333])
    assert random_crops(*others, 0.08, np.random.default_rng(3))[2].tolist() == alone.tolist()


@pytest.mark.parametrize(("height", "width"), [(256, 341), (333, 257), (300, 300)])
def test_the_centre_is_torchvisions(height: int, width: int) -> None:
    side = min(height, width)
    rows, columns = np.indices((height, width))
    picture = torch.from_numpy(np.stack([rows, columns, rows]))
    for crop in (side, side - 1, side - 32, 1):
        theirs = v2.CenterCrop(crop)(picture)
        ours = centre_crops(np.array([height]), np.array([width]), crop / side)[0]
        assert ours.tolist() == [int(theirs[0, 0, 0]), int(theirs[1, 0, 0]), crop, crop]
