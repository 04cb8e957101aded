"""What tells the decoder what to expect: the order of passes, what costs what, sums over planes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hubel.autoencode.codec.context import (
    FINE,
    GROUPS,
    LATENTS,
    PER_UNIT,
    SIGNED,
    WORTH,
    Context,
    coded,
    laplace_bits,
    magnitude,
    passes,
)
from hubel.autoencode.codec.planes import MARGIN, Plane, gathered, offsets, summed
from hubel.autoencode.codec.transform import cosines


def test_every_place_is_passed_once() -> None:
    for coarse in (True, False):
        for h, w in ((1, 1), (2, 3), (9, 14)):
            assert np.array_equal(sum(p.int() for p in passes(h, w, coarse)), np.ones((h, w)))
    near = F.max_pool2d(passes(12, 12, True)[0].float()[None], 5, 1, 2)[0] > 0
    assert near[passes(12, 12, True)[1]].all()  # the second pass sees the first


def test_bits_of_a_laplacian_are_those_of_its_bins() -> None:
    """Against SciPy's distribution function: the bin of zero is 0.66 to each side, the others follow on, one wide."""
    from scipy.stats import laplace

    for scale in (0.1, 0.7, 30.0):
        size = np.arange(6)
        low, high = size - 1 + 0.66, size + 0.66
        p = np.where(size == 0, laplace.cdf(0.66, scale=scale) - laplace.cdf(-0.66, scale=scale),
                     laplace.sf(low, scale=scale) - laplace.sf(high, scale=scale))
        bits = laplace_bits(torch.from_numpy(size).double(), torch.tensor(scale, dtype=torch.float64))
        np.testing.assert_allclose(bits, -np.log2(p), rtol=1e-6)


def test_a_number_is_rounded_to_the_cheaper_side_and_its_gradient_is_its_own() -> None:
    y = torch.linspace(-3, 3, 400).requires_grad_()
    mean, log_scale = torch.full_like(y, 0.27), torch.zeros_like(y)
    bits, value = coded(y, mean, log_scale)
    q = (value - round(0.27 * FINE) / FINE).detach()
    torch.testing.assert_close(q, q.round())
    cost = bits.detach() + WORTH * (y - value).detach() ** 2
    for other in (-1.0, 1.0):
        rival = laplace_bits((q + other).abs(), torch.ones(())) + WORTH * (y - value - other).detach() ** 2
        assert (cost <= rival + 1e-4).all()
    value.sum().backward(retain_graph=True)
    assert y.grad is not None and torch.equal(y.grad, torch.ones_like(y))
    y.grad = None
    bits.sum().backward()
    assert (y.grad[y > 0.5] > 0).all() and (y.grad[y < 0] < 0).all()  # fewer bits nearer to the mean


def test_nothing_is_told_of_what_comes_later() -> None:
    """A number that changes may change predictions of later passes alone: bits of earlier ones stay."""
    torch.manual_seed(0)
    context = Context(torch.ones(LATENTS))
    y = 3 * torch.randn(1, LATENTS, 6, 7)
    seen: list[torch.Tensor] = []

    def record(module: torch.nn.Module, given: object, said: tuple[torch.Tensor, torch.Tensor]) -> None:
        seen.append(torch.cat(said, dim=1).detach())

    for part in (*context.low.said, *(s for high in context.high for s in high.said)):
        part.register_forward_hook(record)
    context(y, torch.zeros(1))
    before, seen[:] = list(seen), []
    order = [(0, p) for p in passes(6, 7, True)] + [(g, p) for g in (1, 2, 3) for p in passes(6, 7, False)]
    for k in (0, 3, 4, 6, 8, 10):
        group, where = order[k]
        changed = y.clone()
        first = sum(GROUPS[:group])
        changed[0, first : first + GROUPS[group], where] += 5.0
        seen[:] = []
        context(changed, torch.zeros(1))
        for j in range(k + 1):
            assert torch.equal(seen[j][:, :, order[j][1]], before[j][:, :, order[j][1]])
        if k + 1 < len(order):
            assert any(not torch.equal(a, b) for a, b in zip(seen[k + 1 :], before[k + 1 :], strict=True))


def test_sums_over_a_plane_are_convolutions() -> None:
    draws = torch.Generator().manual_seed(0)
    y = torch.randint(-400, 400, (LATENTS, 5, 8), generator=draws, dtype=torch.int32)
    levels = (magnitude(torch.arange(500) / FINE) * PER_UNIT).round().to(torch.uint8)
    plane = Plane(5, 8, levels, torch.float32)
    everywhere = plane.places(np.ones((5, 8), bool))
    for first, n in ((0, 16), (16, 48), (64, 320)):
        plane.put(first, everywhere, y[first : first + n].flatten(1))
    plane.know(everywhere, PER_UNIT)
    assert torch.equal(plane.decoded(), y)
    size = levels[y.abs().long()].float()
    signed = (y.sign() * size)[:SIGNED]
    told = torch.cat([signed[:20].flip(0), torch.full((1, 5, 8), float(PER_UNIT)), size[:30]])
    weight = torch.randint(-127, 128, (7, 51, 3, 3), generator=draws).float()
    weight[:, :, 0, 2] = 0
    expected = F.conv2d(told[None].double(), weight.double(), padding=1)[0]
    taps = (weight != 0).any(dim=0).any(dim=0).nonzero()
    assert len(taps) == 8
    shifts = offsets(3, plane.width, taps)
    begin, count = plane.inside()
    sums = summed(plane.told(20, 30), [weight[:, :, i, j] for i, j in taps.tolist()], shifts, torch.zeros(7), begin, count)
    assert torch.equal(sums[:, everywhere - begin].double().view(7, 5, 8), expected)
    columns = gathered(plane.told(20, 30), everywhere, shifts)
    matrix = torch.stack([weight[:, :, i, j] for i, j in taps.tolist()], dim=2).flatten(1)
    assert torch.equal((matrix @ columns).double().view(7, 5, 8), expected)
    assert plane.width == 8 + 2 * MARGIN


@pytest.mark.parametrize("n", [4, 16])
def test_cosines_are_scipys(n: int) -> None:
    from scipy.fft import dct

    np.testing.assert_allclose(cosines(n), dct(np.eye(n), axis=0, norm="ortho"), atol=1e-12)
