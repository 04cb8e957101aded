"""What the attack room's tests share."""

from __future__ import annotations

import numpy as np
import pytest
from attacked import labelled, network
from torch import nn


@pytest.fixture(scope="session")
def small() -> tuple[nn.Module, np.ndarray, np.ndarray]:
    """The network and 24 images with the classes it gives them."""
    model = network()
    return model, *labelled(model, 24, 1)
