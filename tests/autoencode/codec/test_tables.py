"""Integer tables and the coder over them: everything comes back, at the rate that the tables promise."""

from __future__ import annotations

import numpy as np
import pytest

from hubel.autoencode.codec.tables import TOTAL, Reader, Tables, Writer, table
from hubel.errors import DataError


def tables() -> Tables:
    return Tables.of([table(np.exp(-0.5 * (np.arange(-h, h + 2) / s) ** 2) + 1e-9) for h, s in ((1, 0.3), (4, 1.0), (30, 8.0))])


def symbols(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    which = draws.integers(0, 3, count).astype(np.uint8)
    return np.rint(draws.normal(0, np.array([0.3, 1.0, 8.0])[which])).astype(np.int32), which


@pytest.mark.parametrize("weights", [[1.0], [0, 0, 5.0], [1e-12, 1.0, 3.0], list(range(900)), [1 / 3] * 3])
def test_a_table_is_of_positive_integers_that_sum_to_the_total(weights: list[float]) -> None:
    t = table(np.array(weights))
    assert t.sum() == TOTAL and t.min() >= 1
    shares = np.array(weights) / np.sum(weights)
    assert np.abs(t / TOTAL - shares).max() <= (len(weights) + 1) / TOTAL


def test_everything_comes_back_in_order_escapes_too() -> None:
    t = tables()
    first, which1 = symbols(5000)
    first[::611] *= 1000
    second, which2 = symbols(17, seed=1)
    writer = Writer()
    writer.put(first, which1, t)
    writer.put(second, which2, t)
    assert writer.escapes
    reader = Reader(writer.words(), writer.escapes)
    assert np.array_equal(reader.take(which1, t), first)
    assert np.array_equal(reader.take(which2, t), second)


def test_the_rate_is_what_the_tables_promise() -> None:
    t = tables()
    values, which = symbols(20_000)
    writer = Writer()
    writer.put(values, which, t)
    promised = t.bits(values, which).sum() - 16 * len(writer.escapes)
    assert abs(8 * len(writer.words()) - promised) < 0.001 * promised + 64


GOLDEN = "afe508bf63b54e08"


def test_the_coder_writes_the_same_bytes_for_ever() -> None:
    """Files of older versions must stay readable: another constriction that coded otherwise would be noticed here."""
    writer = Writer()
    writer.put(np.array([0, 1, -1, 3, -30, 40, 0], np.int32), np.array([0, 1, 1, 2, 2, 2, 0], np.uint8), tables())
    assert writer.escapes == [40]
    assert writer.words().hex() == GOLDEN


def test_missing_escapes_are_reported() -> None:
    writer = Writer()
    writer.put(np.array([99, 0], np.int32), np.zeros(2, np.uint8), tables())
    with pytest.raises(DataError, match="lacks values"):
        Reader(writer.words(), []).take(np.zeros(2, np.uint8), tables())
