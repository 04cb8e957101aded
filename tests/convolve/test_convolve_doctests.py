"""The lecture's worked examples, as they stand in the docstrings."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["_borders", "_correlate", "_rank"])
def test_doctests(name):
    result = doctest.testmod(importlib.import_module(f"hubel.convolve.{name}"))
    assert result.attempted and not result.failed
