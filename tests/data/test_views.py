"""Crops on the device: copied pixels, means and ramps in closed form, and torchvision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as tv

from efficiency_bench.data.crops import Views, cropped, random_crops

SIDE = 40


def _box(left: int, top: int, width: int, height: int) -> torch.Tensor:
    return torch.tensor([[left, top, left + width, top + height]], dtype=torch.float32)


def _noise(images: int = 1) -> torch.Tensor:
    return torch.rand(images, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def test_a_crop_of_the_target_size_is_copied() -> None:
    images = _noise(2)
    crops = torch.cat([_box(0, 0, 24, 24), _box(16, 9, 24, 24)])
    out = cropped(images, crops, 24)
    assert torch.equal(out[0], images[0, :, :24, :24])
    assert torch.equal(out[1], images[1, :, 9:33, 16:40])


def test_a_crop_twice_as_large_is_the_mean_of_four_pixels() -> None:
    images = _noise()
    out = cropped(images, _box(6, 4, 24, 32), 12)  # 2 across, 8/3 down
    ours = cropped(images, _box(6, 4, 24, 24), 12)
    blocks = images[0, :, 4:28, 6:30].reshape(3, 12, 2, 12, 2).mean(dim=(2, 4))
    torch.testing.assert_close(ours[0], blocks)
    assert out.shape == (1, 3, 12, 12)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), side=st.integers(4, 48))
def test_a_ramp_stays_a_ramp(data: st.DataObject, side: int) -> None:
    """Value x at pixel x: a crop's pixel i shows its own middle, where nothing lies outside."""
    left, top = (data.draw(st.integers(0, SIDE - 8)) for _ in range(2))
    width = data.draw(st.integers(4, SIDE - left))
    height = data.draw(st.integers(4, SIDE - top))
    ramp = torch.arange(SIDE, dtype=torch.float32)
    across, down = ramp.expand(SIDE, SIDE), ramp[:, None].expand(SIDE, SIDE)
    images = torch.stack([across, down])[None]
    out = cropped(images, _box(left, top, width, height), side)[0]
    for plane, begin, length in ((out[0], left, width), (out[1].T, top, height)):
        middle = begin + (torch.arange(side) + 0.5) * length / side - 0.5
        reach = 0.5 * length / side
        inside = (middle - reach >= 0) & (middle + reach <= SIDE - 1)
        expected = middle.expand(side, side)[:, inside]
        torch.testing.assert_close(plane[:, inside], expected, rtol=0, atol=1e-3)


def test_enlarging_is_torchvisions_bilinear_inside_the_crop() -> None:
    images = _noise()
    ours = cropped(images, _box(5, 7, 16, 20), 40)
    theirs = tv.resized_crop(images, 7, 5, 20, 16, [40, 40], antialias=False)
    inside = slice(2, -2)  # at its edges torchvision repeats what ours takes from beyond the crop
    torch.testing.assert_close(ours[..., inside, inside], theirs[..., inside, inside])
    assert not torch.allclose(ours, theirs)


def test_crops_are_torchvisions_of_squares_and_depend_on_seed_epoch_and_image() -> None:
    views = Views(min_area=0.25, centre_share=0.875)
    crops = views.crops(3, 5, 200, SIDE)
    left, top, right, bottom = crops.T
    assert crops.dtype == torch.float32
    assert ((left >= 0) & (top >= 0) & (right <= SIDE) & (bottom <= SIDE)).all()
    area = (right - left) * (bottom - top) / SIDE**2
    assert area.min() > 0.23  # rounded to pixels
    assert area.max() <= 1
    assert torch.equal(crops, views.crops(3, 5, 200, SIDE))
    for other in (views.crops(4, 5, 200, SIDE), views.crops(3, 6, 200, SIDE)):
        assert not torch.equal(crops, other)
    drawn = random_crops(*[np.full(200, SIDE)] * 2, 0.25, np.random.default_rng(0))
    assert set(drawn[:, 2] * drawn[:, 3]) & set((area * SIDE**2).round().long().tolist())


@pytest.mark.parametrize(("share", "side"), [(1.0, 40), (0.875, 35), (128 / 146, 35), (0.5, 20)])
def test_validation_uses_the_centre(share: float, side: int) -> None:
    images = _noise()
    assert torch.equal(Views(0.08, share).centre(images), tv.center_crop(images, [side, side]))


@pytest.mark.gpu
def test_a_gpu_gives_the_same_crops_as_a_cpu() -> None:
    images = _noise(50)
    crops = Views(0.08, 1.0).crops(0, 0, 50, SIDE)
    for side in (16, 40, 64):
        ours = cropped(images.cuda(), crops.cuda(), side)
        torch.testing.assert_close(ours.cpu(), cropped(images, crops, side), rtol=1e-5, atol=1e-5)
