"""The six rows of the 2020 paper's frontier: networks, and dates for simulated ledgers."""

X6 = [0.0, 27.5, 58.5, 61.0, 73.0, 83.9]
"""Months of six rows, about those of the 2020 paper's frontier."""

SIX = ("alexnet", "googlenet", "mobilenet_v1", "shufflenet_v1", "shufflenet_v2_x1_0")
SIX = (*SIX, "efficientnet_b0")
