"""The architectures: one file per paper, built by name in ImageNet or small-image form."""

from efficiency_bench.models.registry import (
    MODELS,
    Form,
    build_model,
    check_input,
    known_arguments,
)

__all__ = ["MODELS", "Form", "build_model", "check_input", "known_arguments"]
