"""The experiments of configs/, each named like its network, in the order of the papers."""

EXPERIMENTS = [
    "alexnet",
    "vgg11",
    "vgg16",
    "googlenet",
    "squeezenet1_1",
    "resnet18",
    "resnet34",
    "resnet50",
    "wide_resnet50_2",
    "resnext50_32x4d",
    "densenet121",
    "mobilenet_v1",
    "mobilenet_v2",
    "shufflenet_v1",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "efficientnet_b0",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "convnext_tiny",
]
