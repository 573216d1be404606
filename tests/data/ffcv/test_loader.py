"""Loading from FFCV files: our order, crops and flips, every image once, the same to the bit."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor

from efficiency_bench.data import Data, build_data
from efficiency_bench.data.augment import Normalisation, epoch_order
from efficiency_bench.data.ffcv import beton
from efficiency_bench.data.ffcv.decode import CropBatch, compiled, decode, decode_normalised
from efficiency_bench.errors import UserError
from tests.data.ffcv.betons import lay_out, needs_ffcv, noise, plant_betons, record
from tests.data.settings import build, data_config, recipe_config, same_batches

pytestmark = needs_ffcv


def _built(root: Path, seed: int = 0, workers: int = 2, **recipe: object) -> Data:
    config = data_config("imagenet_ffcv", 24, root=str(root), resize_px=28, workers=workers)
    return build(config, recipe_config(3, **{"flip": True, **recipe}), seed)


def _epoch(root: Path, epoch: int = 0, start_step: int = 0, **settings: object):
    data = _built(root, **settings)
    return list(data.train.epoch(epoch, 3, image_px=24, start_step=start_step))


def test_first_batch_and_counts(tmp_path: Path) -> None:
    data = _built(plant_betons(tmp_path, noise(10), noise(6)))
    assert (data.train_images, data.val_images, data.classes) == (10, 6, ("ant", "bee"))
    images, labels = next(data.train.epoch(0, 4, image_px=24))
    assert images.shape == (4, 3, 24, 24)
    assert images.dtype == torch.float32
    assert images.abs().max() <= 1
    assert labels.dtype == torch.int64
    assert [len(labels) for _, labels in data.train.epoch(0, 3, image_px=24)] == [3, 3, 4]
    assert next(data.train.epoch(0, 4, image_px=16))[0].shape == (4, 3, 16, 16)


def test_nothing_is_compiled_once_a_run_has_started(tmp_path: Path) -> None:
    """Not for an epoch, another side, a partial batch or JPEGs: one version serves them all."""
    for quality in (None, 90):
        data = _built(plant_betons(tmp_path / str(quality), noise(10), noise(3), quality))
        assert len(list(data.train.epoch(0, 4, image_px=16))) == 3
        assert len(list(data.validation())) == 1
    loops = compiled()
    assert (len(loops.decode.signatures), len(loops.look_up.signatures)) == (1, 1)


def _plain(count: int) -> list[np.ndarray]:
    """Pictures of one colour, which says which they are and survives any crop."""
    return [np.full((30, 30, 3), 20 * i, dtype=np.uint8) for i in range(count)]


def _which(images: Tensor) -> list[int]:
    return [round((float(image.mean()) + 1) / 2 * 255 / 20) for image in images]


def test_every_image_once_in_our_order(tmp_path: Path) -> None:
    """The order is the one that image folders have; the label follows its image."""
    data = _built(plant_betons(tmp_path, _plain(11), _plain(7)), seed=5)
    for epoch in range(2):
        batches = list(data.train.epoch(epoch, 4, image_px=24))
        order = epoch_order(5, epoch, 11)
        assert [i for images, _ in batches for i in _which(images)] == order.tolist()
        assert torch.equal(torch.cat([labels for _, labels in batches]), (2 * order >= 11).long())


@pytest.mark.parametrize("batch", [1, 3, 7, 100])
def test_validation_sees_each_image_once_in_order(tmp_path: Path, batch: int) -> None:
    data = _built(plant_betons(tmp_path, _plain(4), _plain(7)))
    batches = list(data.train.validation(batch))
    assert [i for images, _ in batches for i in _which(images)] == list(range(7))
    assert torch.cat([labels for _, labels in batches]).tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_held_batches_do_not_change(tmp_path: Path) -> None:
    data = _built(plant_betons(tmp_path, _plain(13), _plain(3)))
    held = [(images, _which(images)) for images, _ in data.train.epoch(0, 1, image_px=24)]
    assert all(_which(images) == before for images, before in held)


@pytest.mark.parametrize("quality", [None, 90])
def test_threads_do_not_change_a_pixel(tmp_path: Path, quality: int | None) -> None:
    plant_betons(tmp_path, noise(10), noise(3), quality)
    here = _epoch(tmp_path, epoch=1, workers=1)
    for workers in (0, 3, 16):
        assert same_batches(here, _epoch(tmp_path, epoch=1, workers=workers))
    assert not same_batches(here, _epoch(tmp_path, epoch=1, seed=1))
    assert not same_batches(here, _epoch(tmp_path, epoch=1, resized_crop_min_area=0.9))


def test_starting_inside_an_epoch_gives_the_same_batches(tmp_path: Path) -> None:
    plant_betons(tmp_path, noise(10), noise(3))
    whole = _epoch(tmp_path, epoch=2)
    for start in range(len(whole) + 1):
        assert same_batches(whole[start:], _epoch(tmp_path, epoch=2, start_step=start))


def test_epochs_differ_and_nothing_else_matters(tmp_path: Path) -> None:
    """An epoch left early, an evaluation inside, the global generators: no pixel changes."""
    plant_betons(tmp_path, noise(10), noise(3))
    undisturbed = _epoch(tmp_path)
    assert not same_batches(undisturbed, _epoch(tmp_path, epoch=1))
    random, threads = torch.get_rng_state(), torch.get_num_threads()
    data = _built(tmp_path)
    next(data.train.epoch(0, 3, image_px=24))
    torch.manual_seed(99)
    batches = []
    for batch in data.train.epoch(0, 3, image_px=24):
        batches.append(batch)
        assert sum(len(labels) for _, labels in data.validation()) == 3
    assert same_batches(batches, undisturbed)
    assert torch.get_num_threads() == threads
    torch.set_rng_state(random)
    _epoch(tmp_path)
    assert torch.equal(torch.get_rng_state(), random)


def test_an_image_looks_different_in_each_epoch(tmp_path: Path) -> None:
    data = _built(plant_betons(tmp_path, noise(12), noise(3)))
    seen = []
    for epoch in range(2):
        images = torch.cat([images for images, _ in data.train.epoch(epoch, 5, image_px=24)])
        seen.append(images[epoch_order(0, epoch, 12).argsort()])
    assert not any(torch.equal(first, second) for first, second in zip(*seen, strict=True))


def test_a_crop_of_the_wanted_size_is_copied_and_a_flip_mirrors_it(tmp_path: Path) -> None:
    pictures = noise(3)
    stored = beton.read(lay_out(tmp_path / "a.beton", pictures, [0] * 3))
    crops = np.array([[0, 0, 24, 24], [6, 5, 24, 24], [3, 18, 24, 24]])
    out = np.empty((3, 24, 24, 3), dtype=np.uint8)
    decode(stored.mapped(), CropBatch(stored, crops, np.array([False, True, False])), out)
    for i, (top, left, height, width) in enumerate(crops):
        cropped = pictures[i][top : top + height, left : left + width]
        assert np.array_equal(out[i], cropped[:, ::-1] if i == 1 else cropped)


def test_half_the_images_are_flipped_where_the_recipe_asks(tmp_path: Path) -> None:
    """Dark left, light right: only a mirror image is light on the left."""
    ramp = np.repeat(np.linspace(0, 255, 40, dtype=np.uint8)[None, :, None], 30, 0).repeat(3, 2)
    plant_betons(tmp_path, [ramp] * 64, [ramp] * 2)

    def mirrored(flip: bool) -> int:
        images = torch.cat([images for images, _ in _epoch(tmp_path, flip=flip)])
        return int((images[..., 0].mean((1, 2)) > images[..., -1].mean((1, 2))).sum())

    assert mirrored(flip=False) == 0
    assert 20 < mirrored(flip=True) < 44  # 32 +- 3 standard deviations


def test_the_table_is_the_normalisation(tmp_path: Path) -> None:
    """What a CPU looks up is what another device computes, to the bit."""
    stored = beton.read(lay_out(tmp_path / "a.beton", noise(2), [0] * 2))
    part = CropBatch(stored, np.array([[0, 0, 30, 30]] * 2), np.zeros(2, dtype=bool))
    normalise = Normalisation([0.485, 0.456, 0.406], [0.229, 0.224, 0.225], torch.device("cpu"))
    pixels = np.empty((2, 30, 30, 3), dtype=np.uint8)
    looked_up = np.empty((2, 30, 30, 3), dtype=np.float32)
    decode(stored.mapped(), part, pixels)
    decode_normalised(stored.mapped(), normalise.table().numpy(), part, looked_up)
    computed = normalise(torch.from_numpy(pixels).permute(0, 3, 1, 2))
    assert torch.equal(torch.from_numpy(looked_up).permute(0, 3, 1, 2), computed)


def _folders(root: Path, pictures: list[np.ndarray]) -> Path:
    """The same pictures as lossless validation files in ImageNet's layout; others to train on."""
    for split, shown in (("train", noise(len(pictures), seed=1)), ("val", pictures)):
        for i, picture in enumerate(shown):
            path = root / split / ("ant" if 2 * i < len(pictures) else "bee") / f"{i:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)
    return root


def test_validation_equals_that_of_folders_where_nothing_is_resized(tmp_path: Path) -> None:
    """Shorter side 28, as resize_px: both paths crop 24 px from the centre and no more."""
    pictures = noise(5, height=28, width=33) + noise(2, height=45, width=28)[:1]
    ours = _built(plant_betons(tmp_path / "betons", noise(6, seed=1), pictures))
    root = str(_folders(tmp_path / "folders", pictures))
    theirs = build(data_config("imagenet", 24, root=root, resize_px=28))
    assert same_batches(list(ours.train.validation(4)), list(theirs.train.validation(4)))


def test_a_jpeg_is_decoded_nearly_as_pillow_does(tmp_path: Path) -> None:
    """FFCV asks libjpeg-turbo for its fast transform, which is off by a level on average."""
    pictures = [np.ascontiguousarray(photo[:300, :400]) for photo in load_sample_images().images]
    stored = beton.read(lay_out(tmp_path / "a.beton", pictures, [0] * 2, quality=90))
    out = np.empty((2, 300, 300, 3), dtype=np.uint8)
    crops = np.array([[0, 0, 300, 300]] * 2)
    decode(stored.mapped(), CropBatch(stored, crops, np.zeros(2, dtype=bool)), out)
    for i in range(2):
        jpeg = stored.mapped()[stored.begins[i] :][: stored.sizes[i]].tobytes()
        difference = out[i] - np.asarray(Image.open(io.BytesIO(jpeg)))[:, :300].astype(int)
        assert np.abs(difference).mean() < 1.2
        assert np.abs(difference).max() <= 8


def test_a_broken_jpeg_is_named(tmp_path: Path) -> None:
    """Its record fits, so only the decoder can see it."""
    plant_betons(tmp_path, noise(6), noise(4), quality=90)
    file = tmp_path / "train.beton"
    begin = int(beton.read(file).begins[3])
    content = bytearray(file.read_bytes())
    content[begin : begin + 20] = bytes(20)
    file.write_bytes(content)
    record(file, quality=90)
    data = _built(tmp_path)
    with pytest.raises(UserError, match=f"byte {begin} cannot be decoded; write the file again"):
        list(data.train.epoch(0, 3, image_px=24))


def test_what_the_recipe_asks_for_and_this_data_has_not(tmp_path: Path) -> None:
    plant_betons(tmp_path, noise(6), noise(4))
    notes = _built(tmp_path, auto_augment=True, cutout_px=2).notes
    assert [note.split(":")[0] for note in notes[2:]] == ["no auto_augment", "no cutout_px"]


def test_without_ffcv_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from efficiency_bench.data.ffcv import decode

    monkeypatch.setattr(decode.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="FFCV is not installed; type `make ffcv`"):
        decode.library()
    monkeypatch.undo()
    monkeypatch.setattr(decode, "version", lambda name: "1.1.0")
    with pytest.raises(UserError, match=r"FFCV 1\.1\.0 is installed, but 1\.0\.2 is needed"):
        decode.library()


@pytest.mark.gpu
def test_a_cuda_device_gets_the_same_images(tmp_path: Path) -> None:
    """Copied as uint8 from pinned memory and normalised there, by the same two operations."""
    plant_betons(tmp_path, noise(10), noise(3))
    config = data_config("imagenet_ffcv", 24, root=str(tmp_path), resize_px=28)
    there = build_data(config, recipe_config(3, flip=True), 0, torch.device("cuda"))
    batches = list(there.train.epoch(0, 3, image_px=24))
    assert all(images.is_cuda and labels.is_cuda for images, labels in batches)
    assert same_batches(
        [(images.cpu(), labels.cpu()) for images, labels in batches], _epoch(tmp_path)
    )
