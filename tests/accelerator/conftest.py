"""The stand-in as a fixture."""

import pytest
import torch

from tests.accelerator.stand_in import installed


@pytest.fixture
def card():
    """One card that does not exist."""
    with installed() as card:
        yield card


@pytest.fixture
def _flags():
    """Torch's own choice of algorithms again afterwards."""
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = torch.backends.cudnn.benchmark = False
