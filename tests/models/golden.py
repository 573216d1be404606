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
    ("alexnet", "small"): Golden(2_507_230, 17_804_208, 470_016),
    ("vgg11", "small"): Golden(5_060_150, 191_166_928, 525_312),
    ("vgg16", "small"): Golden(6_633_018, 386_481_192, 552_960),
    ("googlenet", "small"): Golden(826_671, 37_700_252, 497_664),
    ("squeezenet1_1", "small"): Golden(257_116, 8_601_984, 1_050_624),
    ("resnet18", "small"): Golden(912_988, 45_461_492, 497_664),
    ("resnet34", "small"): Golden(1_674_625, 91_851_110, 497_664),
    ("resnet50", "small"): Golden(1_843_085, 101_725_640, 497_664),
    ("wide_resnet50_2", "small"): Golden(5_153_436, 283_261_232, 497_664),
    ("resnext50_32x4d", "small"): Golden(1_956_442, 105_454_720, 442_368),
    ("densenet121", "small"): Golden(569_897, 70_915_392, 525_312),
    ("mobilenet_v1", "small"): Golden(255_240, 14_231_142, 248_832),
    ("mobilenet_v2", "small"): Golden(182_734, 7_562_216, 248_832),
    ("shufflenet_v1", "small"): Golden(77_926, 3_412_980, 165_888),
    ("shufflenet_v2_x1_0", "small"): Golden(100_145, 3_639_124, 165_888),
    ("shufflenet_v2_x1_5", "small"): Golden(193_678, 7_339_448, 165_888),
    ("efficientnet_b0", "small"): Golden(308_243, 9_634_956, 221_184),
    ("mobilenet_v3_small", "small"): Golden(92_579, 1_412_638, 110_592),
    ("regnet_y_400mf", "small"): Golden(314_140, 9_945_168, 248_832),
    ("convnext_tiny", "small"): Golden(2_078_514, 111_142_636, 79_872),
}

AFTER_2020 = {"mobilenet_v3_small", "regnet_y_400mf", "convnext_tiny"}
"""Networks in no table of Hernandez & Brown 2020."""

GOOGLENET_WITHOUT_HEADS = Golden(6_624_904, 1_498_376_192, 118_013_952)
"""The ImageNet form in eval mode, as in the published figures."""
