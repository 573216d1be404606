"""Real photographs end to end: a small ResNet trained on the CIFAR-10 subset to a set accuracy."""

from efficiency_bench.ledger import store
from efficiency_bench.run.run import run
from tests.tiny import composed


def test_resnet_reaches_its_target_and_its_compute_equals_a_recount(cifar10_root, tmp_path):
    target = 0.35
    config = composed(
        "experiment=resnet18",
        "data=cifar10",
        f"data.root={cifar10_root}",
        "data.train_images=5000",
        "data.val_images=1000",
        f"target.value={target}",
        "recipe.epochs=3",
        "recipe.batch_size=64",
        "device=cpu",
        "threads=1",
        f"run_dir={tmp_path / 'run'}",
        f"ledger_dir={tmp_path / 'ledger'}",
    )
    assert run(config).exit_code == 0
    (entry,) = store.read(tmp_path / "ledger").entries
    assert entry.reached
    assert entry.end_reason == "target"
    # recount: 5,000 images are 78 batches of 64 and one of 8 per epoch
    whole_epochs, steps = divmod(entry.steps, 79)
    images = whole_epochs * 5000 + steps * 64
    assert entry.images == images
    macs = small_resnet18_macs()
    assert entry.forward_macs == macs
    assert entry.paper3x_tfs_days == images * 3 * macs / 8.64e16
    first = 32 * 32 * 18 * 27  # the stem reads the image, which needs no gradient
    assert entry.exact_flops == images * 2 * (macs + 2 * macs - first)
    last = [evaluation.top1 for evaluation in entry.evaluations[-3:]]
    assert min(last) >= target
    assert {evaluation.val_images for evaluation in entry.evaluations} == {1000}


def small_resnet18_macs() -> int:
    """The small form of ResNet-18 on 32 px, by its paper's table 1 with a 3x3 stem and no pooling.

    Four stages of two blocks of two 3x3 convolutions on maps of 32, 16, 8 and 4 px; from the second
    stage on the first block's shortcut is a 1x1 convolution.  Of all multiples w of 64, 128, 256
    and 512 channels, each rounded, theirs is nearest to 2.5 % of the 1,814,073,344 MACs at 224 px
    (tests/models/golden.py).
    """

    def macs(widths: tuple[int, ...]) -> int:
        total = 32 * 32 * widths[0] * 3 * 9
        channels_in = widths[0]
        for channels, side in zip(widths, (32, 16, 8, 4), strict=True):
            pixels = side * side
            total += pixels * channels * 9 * (channels_in + 3 * channels)
            if channels != channels_in:
                total += pixels * channels * channels_in
            channels_in = channels
        return total + widths[-1] * 10

    forms = {tuple(round(64 * 2**i * w / 1000) for i in range(4)) for w in range(100, 400)}
    return min(map(macs, forms), key=lambda found: abs(found - 0.025 * 1_814_073_344))
