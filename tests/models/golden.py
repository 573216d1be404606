"""Golden values of every registered model in both forms.

ImageNet form: 224 px, 1000 classes; small form: 32 px, 10 classes; both in train mode, so
GoogLeNet's auxiliary heads are in all three numbers.  The ImageNet integers agree with closed
forms and two counters, and (parameters) with runs/reference/hernandez_brown_2020.csv.
"""

from __future__ import annotations

from typing import NamedTuple


class Golden(NamedTuple):
    """Expected values of one form."""

    params: int
    forward_macs: int
    """F, MACs per image."""
    first_layer_macs: int
    """F1, MACs per image in the layers that read the image."""


IMAGE_PX = {"imagenet": 224, "small": 32}
NUM_CLASSES = {"imagenet": 1000, "small": 10}

GOLDEN: dict[tuple[str, str], Golden] = {
    ("alexnet", "imagenet"): Golden(61_100_840, 714_188_480, 70_276_800),
    ("vgg11", "imagenet"): Golden(132_863_336, 7_609_090_048, 86_704_128),
    ("vgg16", "imagenet"): Golden(138_357_544, 15_470_264_320, 86_704_128),
    ("googlenet", "imagenet"): Golden(13_004_888, 1_506_748_416, 118_013_952),
    ("squeezenet1_1", "imagenet"): Golden(1_235_496, 349_151_936, 21_290_688),
    ("resnet18", "imagenet"): Golden(11_689_512, 1_814_073_344, 118_013_952),
    ("resnet34", "imagenet"): Golden(21_797_672, 3_663_761_408, 118_013_952),
    ("resnet50", "imagenet"): Golden(25_557_032, 4_089_184_256, 118_013_952),
    ("wide_resnet50_2", "imagenet"): Golden(68_883_240, 11_398_021_120, 118_013_952),
    ("resnext50_32x4d", "imagenet"): Golden(25_028_904, 4_230_479_872, 118_013_952),
    ("densenet121", "imagenet"): Golden(7_978_856, 2_834_161_664, 118_013_952),
    ("mobilenet_v1", "imagenet"): Golden(4_231_976, 568_740_352, 10_838_016),
    ("mobilenet_v2", "imagenet"): Golden(3_504_872, 300_774_272, 10_838_016),
    ("shufflenet_v1", "imagenet"): Golden(1_865_728, 137_460_672, 8_128_512),
    ("shufflenet_v2_x1_0", "imagenet"): Golden(2_278_604, 144_907_992, 8_128_512),
    ("shufflenet_v2_x1_5", "imagenet"): Golden(3_503_624, 295_759_392, 8_128_512),
    ("efficientnet_b0", "imagenet"): Golden(5_288_548, 385_814_752, 10_838_016),
    ("mobilenet_v3_small", "imagenet"): Golden(2_542_856, 56_510_400, 5_419_008),
    ("regnet_y_400mf", "imagenet"): Golden(4_344_144, 401_842_848, 10_838_016),
    ("convnext_tiny", "imagenet"): Golden(28_589_128, 4_455_531_264, 14_450_688),
    ("alexnet", "small"): Golden(811_010, 32_609_280, 1_843_200),
    ("vgg11", "small"): Golden(910_954, 38_523_904, 442_368),
    ("vgg16", "small"): Golden(1_254_618, 71_554_048, 442_368),
    ("googlenet", "small"): Golden(631_382, 28_995_072, 442_368),
    ("squeezenet1_1", "small"): Golden(184_362, 22_708_224, 884_736),
    ("resnet18", "small"): Golden(701_466, 35_046_656, 442_368),
    ("resnet34", "small"): Golden(751_846, 41_030_592, 331_776),
    ("resnet50", "small"): Golden(838_390, 45_899_520, 331_776),
    ("wide_resnet50_2", "small"): Golden(1_054_386, 57_764_352, 221_184),
    ("resnext50_32x4d", "small"): Golden(971_326, 55_484_160, 331_776),
    ("densenet121", "small"): Golden(1_000_666, 31_835_904, 663_552),
    ("mobilenet_v1", "small"): Golden(823_722, 16_968_704, 442_368),
    ("mobilenet_v2", "small"): Golden(408_938, 8_307_456, 442_368),
    ("shufflenet_v1", "small"): Golden(159_922, 7_997_184, 663_552),
    ("shufflenet_v2_x1_0", "small"): Golden(247_594, 9_324_032, 663_552),
    ("shufflenet_v2_x1_5", "small"): Golden(462_442, 17_937_152, 663_552),
    ("efficientnet_b0", "small"): Golden(328_956, 6_072_864, 221_184),
    ("mobilenet_v3_small", "small"): Golden(892_610, 6_065_920, 442_368),
    ("regnet_y_400mf", "small"): Golden(412_224, 15_451_712, 221_184),
    ("convnext_tiny", "small"): Golden(1_813_570, 24_339_072, 73_728),
}

AFTER_2020 = {"mobilenet_v3_small", "regnet_y_400mf", "convnext_tiny"}
"""Networks in no table of Hernandez & Brown 2020."""

GOOGLENET_WITHOUT_HEADS = Golden(6_624_904, 1_498_376_192, 118_013_952)
"""The ImageNet form in eval mode, as in the published figures."""
