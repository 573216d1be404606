"""Images in: in memory for small sets, from folders for ImageNet."""

from efficiency_bench.data.loader import Batch, Data, Loader
from efficiency_bench.data.loaders import build_data

__all__ = ["Batch", "Data", "Loader", "build_data"]
