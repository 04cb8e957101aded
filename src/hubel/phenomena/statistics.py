"""Numbers with their 95% intervals: means over seeds, rates, slopes. Depends on NumPy, SciPy and Wilson's interval of study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from hubel.study.statistics import wilson


@dataclass(frozen=True)
class Number:
    """A measured value with the 95% interval from `low` to `high`, out of `n` runs (or trials)."""

    value: float
    low: float
    high: float
    n: int = 1

    @classmethod
    def exact(cls, value: float) -> Number:
        """What is computed or counted and has no uncertainty."""
        return cls(float(value), float(value), float(value))

    def text(self, percent: bool = False) -> str:
        """'93.1% (92.0 to 94.2%)', '3.4 (2.9 to 3.9)', '451,584'."""
        value = _written(self.value, percent)
        if self.low == self.high:
            return value
        low, high = _written(self.low, percent), _written(self.high, percent)
        return f"{value} ({low.removesuffix('%')} to {high})"

    def to_dict(self) -> dict[str, Any]:
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


def _written(value: float, percent: bool) -> str:
    if not math.isfinite(value):
        return "unknown" if math.isnan(value) else "infinite" if value > 0 else "-infinite"
    if percent:
        return f"{100 * value:.1f}%"
    size = abs(value)
    if size >= 1000 and size < 1e9:
        return f"{value:,.0f}"
    return f"{value:.1e}" if size and (size < 1e-3 or size >= 1e9) else f"{value:.3g}"


def mean(values: Sequence[float] | np.ndarray) -> Number:
    """The mean over independent runs, with Student's t interval; of one run, an interval without ends."""
    v = np.asarray(values, dtype=np.float64).ravel()
    if len(v) < 2:
        return Number(float(v.mean()) if len(v) else math.nan, -math.inf, math.inf, len(v))
    half = float(stats.t.ppf(0.975, len(v) - 1) * v.std(ddof=1) / math.sqrt(len(v)))
    return Number(float(v.mean()), float(v.mean()) - half, float(v.mean()) + half, len(v))


def geometric(values: Sequence[float] | np.ndarray) -> Number:
    """The geometric mean of ratios over runs: the t interval of their logarithms."""
    m = mean(np.log(np.asarray(values, dtype=np.float64)))
    return Number(math.exp(m.value), math.exp(m.low), math.exp(min(m.high, 700)), m.n)


def rate(hits: int, n: int) -> Number:
    """A share of independent trials, with Wilson's interval."""
    low, high = wilson(int(hits), int(n))
    share = hits / n if n else math.nan
    return Number(share, min(low, share), max(high, share), n)  # at 0 and n of n rounding would leave the share outside


def median(values: Sequence[float] | np.ndarray, seed: int = 0, draws: int = 2000) -> Number:
    """The median, with a percentile bootstrap."""
    return bootstrap(values, np.median, seed, draws)


def bootstrap(values: Sequence[float] | np.ndarray, statistic: Any = np.mean, seed: int = 0, draws: int = 2000) -> Number:
    """`statistic(values, axis=...)`, with a percentile bootstrap over the values."""
    v = np.asarray(values, dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(0, len(v), (draws, len(v)))
    low, high = np.quantile(statistic(v[drawn], axis=1), [0.025, 0.975])
    return Number(float(statistic(v, axis=0)), float(low), float(high), len(v))


def slope(x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> Number:
    """The slope of the least-squares line through (x, y), with its t interval."""
    fit = stats.linregress(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
    half = float(stats.t.ppf(0.975, max(len(x) - 2, 1)) * fit.stderr)
    return Number(float(fit.slope), float(fit.slope) - half, float(fit.slope) + half, len(x))
