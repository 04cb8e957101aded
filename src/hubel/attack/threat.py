"""What an attacker may do: a norm and a size, in pixels of 0..1, inside the box of valid pixels. Depends on torch.

Every function works row by row on a batch (N, ...): `x` are the originals, `eps` (N,) the sizes, and no row's result
depends on the others. Norms: 'linf' (most any value changes), 'l2', 'l1', 'l0' (how many values change).
Perturbations count over channels too: a pixel of a colour image has three values.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hubel.errors import InputError

NORMS = ("linf", "l2", "l1", "l0")
_OTHER_NAMES = {"inf": "linf", "l_inf": "linf", "l-inf": "linf", "2": "l2", "1": "l1", "0": "l0"}
TINY = 1e-12


def norm_name(norm: Any) -> str:
    """Return 'linf', 'l2', 'l1' or 'l0' for what people write: 'Linf', 'L2', numpy.inf, 2, ... Raises InputError."""
    text = str(norm).strip().lower().removesuffix(".0")
    name = _OTHER_NAMES.get(text, text)
    if name not in NORMS:
        raise InputError(f"norm={norm!r} is unknown: one of {', '.join(NORMS)}")
    return name


def rows(values: Tensor, like: Tensor) -> Tensor:
    """Return values (N,) shaped to broadcast over a batch (N, ...)."""
    return values.view(-1, *[1] * (like.ndim - 1))


def length(d: Tensor, norm: str) -> Tensor:
    """Return the size (N,) of perturbations (N, ...), summed in double precision: it is the same in any batch."""
    flat = d.reshape(len(d), -1)
    if norm == "linf":
        return flat.abs().amax(dim=1)
    if norm == "l0":
        return (flat != 0).sum(dim=1).to(d.dtype)
    return torch.linalg.vector_norm(flat, ord=2 if norm == "l2" else 1, dim=1, dtype=torch.float64).to(d.dtype)


def dual_length(g: Tensor, norm: str) -> Tensor:
    """Return the size (N,) of gradients in the dual norm: what a step of size 1 gains at most (l0: within the box)."""
    return length(g, {"linf": "l1", "l2": "l2", "l1": "linf", "l0": "linf"}[norm])


def project(q: Tensor, x: Tensor, eps: Tensor, norm: str) -> Tensor:
    """Return points inside the ball around `x` and the box 0..1, near `q`.

    linf and l1 (Euclidean projection on the intersection: Croce and Hein 2021, arXiv:2103.01208, section 2.2) and l0
    are exact; l2 scales back to the ball and then clips, which stays inside it.
    """
    e = rows(eps, q)
    if norm == "linf":
        return torch.minimum(torch.maximum(q, x - e), x + e).clamp_(0, 1)
    if norm == "l2":
        d = q - x
        return (x + d * (eps / length(d, norm).clamp_min(TINY)).clamp_max(1).view_as(e)).clamp_(0, 1)
    return _project_l1(q, x, eps) if norm == "l1" else _project_l0(q, x, eps)


def _project_l1(q: Tensor, x: Tensor, eps: Tensor) -> Tensor:
    """Soft-threshold by the lambda for which the clipped result is eps long: its length falls in lambda, so bisect."""
    d, e = q - x, rows(eps, q)
    boxed = q.clamp(0, 1) - x
    inside = rows(length(boxed, "l1") <= eps, q)
    low, high = torch.zeros_like(eps), length(d, "linf")
    for _ in range(40):
        middle = (low + high) / 2
        too_long = length(_shrunk(d, x, rows(middle, q)), "l1") > eps
        low, high = torch.where(too_long, middle, low), torch.where(too_long, high, middle)
    shrunk = _shrunk(d, x, rows(high, q))
    return (x + torch.where(inside | (e < 0), boxed, shrunk)).clamp_(0, 1)


def _shrunk(d: Tensor, x: Tensor, threshold: Tensor) -> Tensor:
    return torch.minimum(torch.maximum(d.sign() * (d.abs() - threshold).clamp_min(0), -x), 1 - x)


def _project_l0(q: Tensor, x: Tensor, eps: Tensor) -> Tensor:
    """Keep the `eps` changes of largest gain within the box: d^2 less what clipping leaves over."""
    d = q - x
    boxed = q.clamp(0, 1) - x
    gain = (d.square() - (d - boxed).square()).reshape(len(q), -1)
    rank = gain.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    keep = (rank < eps.floor().view(-1, 1)).view_as(q)
    return (x + torch.where(keep, boxed, torch.zeros_like(boxed))).clamp_(0, 1)


def steepest(g: Tensor, norm: str, q: Tensor, share: Tensor | float = 0.05) -> Tensor:
    """Return the direction of unit length, in `norm`, that climbs `g` fastest from `q`.

    l1 and l0 would move one value alone; `share` of the values with the largest gradients that the box lets move are
    taken together instead (Tramer and Boneh 2019, arXiv:1904.13000, section 4.2). A zero gradient gives zeros.
    """
    if norm == "linf":
        return g.sign()
    if norm == "l2":
        return g / rows(length(g, "l2").clamp_min(TINY), g)
    free = torch.where(g > 0, q < 1, q > 0)
    size = torch.where(free, g.abs(), torch.zeros_like(g)).reshape(len(g), -1)
    values = size.shape[1]
    count = (torch.as_tensor(share).expand(len(g)) * values).round().clamp(1, values).long()
    least = size.sort(dim=1, descending=True).values.gather(1, (count - 1).view(-1, 1))
    sparse = ((size >= least) & (size > 0)).view_as(g) * g.sign()
    return sparse if norm == "l0" else sparse / rows(length(sparse, "l1").clamp_min(TINY), g)


def on_levels(q: Tensor, x: Tensor, eps: Tensor, norm: str) -> Tensor:
    """Return 8-bit images (multiples of 1/255) inside the ball around 8-bit images `x`, near points `q` of that ball.

    linf: rounded to the nearest level and held within floor(255 eps) levels. l0: rounded. l2 and l1: rounded after
    scaling by the largest factor for which the result is no longer than what was to be rounded: small changes spread
    over many values would all round to nothing, so the largest of them are rounded up first.
    """
    levels = (x * 255).round()
    d = (q * 255) - levels
    if norm == "linf":
        most = rows((eps * 255 + 1e-3).floor(), q)
        return levels.add_(torch.minimum(torch.maximum(d.round_(), -most), most)).clamp_(0, 255).div_(255)
    if norm == "l0":
        return levels.add_(d.round_()).clamp_(0, 255).div_(255)
    aim = torch.minimum(length(d, norm), eps * 255)
    return levels.add_(_rounded(d, aim, norm, -levels, 255 - levels)).div_(255)


def _rounded(d: Tensor, aim: Tensor, norm: str, least: Tensor, most: Tensor) -> Tensor:
    """Return integers, round(s d) within least..most, with the largest s in 0..40 that keeps them `aim` long."""
    def at(scale: Tensor) -> Tensor:
        return torch.minimum(torch.maximum((d * rows(scale, d)).round_(), least), most)

    low = torch.zeros_like(aim)
    high = torch.full_like(aim, 40.0)
    for _ in range(16):
        middle = (low * high).sqrt() if low.min() > 0 else (low + high) / 2
        fits = length(at(middle), norm) <= aim * (1 + 1e-6)
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    return at(low)
