"""The stand-in as a fixture."""

import pytest

from tests.accelerator.stand_in import installed


@pytest.fixture
def card():
    """One card that does not exist."""
    with installed() as card:
        yield card
