"""A small model and pictures for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from hubel import Model, nets
from hubel.serve import application


@pytest.fixture(scope="session")
def model(pictures: np.ndarray) -> Model:
    """Untrained, its logits centred and spread as a trained one's are, so that all four classes occur."""
    model = Model(nets.default(4, 1, (12, 12), seed=0), ["a", "b", "c", "d, dee"], size=12, channels=1)
    last = [m for m in model.network.modules() if isinstance(m, torch.nn.Linear)][-1]
    logits = torch.from_numpy(model.logits(pictures))
    with torch.no_grad():
        scale = 1 / logits.std(0)
        last.weight *= scale[:, None]
        last.bias.copy_((last.bias - logits.mean(0)) * scale)
    return model


@pytest.fixture(scope="session")
def pictures() -> np.ndarray:
    """uint8 (40, 12, 12, 1), no two alike."""
    rng = np.random.default_rng(0)
    return (rng.integers(0, 256, (40, 12, 12, 1)) * rng.uniform(0.2, 1, (40, 1, 1, 1))).astype(np.uint8)


@pytest.fixture
def app(model: Model) -> Any:
    return application(model, local=True)
