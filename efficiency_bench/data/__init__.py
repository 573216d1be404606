"""Data sets and loaders: in memory for small sets, from folders or stored files for ImageNet."""

from efficiency_bench.data.build import build_data
from efficiency_bench.data.loader import Batch, Data, Loader

__all__ = ["Batch", "Data", "Loader", "build_data"]
