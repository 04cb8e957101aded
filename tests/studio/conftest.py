"""A digits model trained through the studio itself, small enough to be looked at and broken in moments."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubel.studio import teaching
from hubel.studio.stock import Stock


@pytest.fixture(scope="session")
def work(tmp_path_factory) -> Path:
    """A work folder with one model, trained on the digits for four epochs; its name is `trained(work)`."""
    folder = tmp_path_factory.mktemp("studio")
    stock = Stock(work=folder)
    taught, found = teaching.teach(stock, teaching.Train(epochs=4), teaching.Run())
    assert not taught.interrupted and found is not None and found["accuracy"] > 0.8
    return folder


@pytest.fixture(scope="session")
def trained(work) -> str:
    return next(work.glob("*.hubel")).name


@pytest.fixture
def stock(work) -> Stock:
    return Stock(work=work)
