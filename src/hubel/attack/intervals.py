"""95% intervals for a share: Clopper and Pearson 1934, exact and never too narrow. Depends on SciPy."""

from __future__ import annotations


def exact_interval(hits: int, n: int, alpha: float = 0.05) -> tuple[float, float]:
    """Return the interval of success probabilities under which `hits` of `n` is not rarer than alpha / 2 on either side."""
    from scipy.special import betaincinv

    if n == 0:
        return 0.0, 1.0
    low = 0.0 if hits == 0 else float(betaincinv(hits, n - hits + 1, alpha / 2))
    high = 1.0 if hits == n else float(betaincinv(hits + 1, n - hits, 1 - alpha / 2))
    return low, high
