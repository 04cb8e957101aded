"""The smooth first guess: known pixels stay, constants and (nearly) ramps come back, any size and any hole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hubel.autoencode.restore.filling import filled


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 3), (16, 16), (33, 50)])
def test_known_pixels_stay_and_a_constant_is_continued(shape: tuple[int, int]) -> None:
    draws = torch.Generator().manual_seed(0)
    x = torch.full((2, 3, *shape), 0.4)
    missing = (torch.rand(2, 1, *shape, generator=draws) < 0.6).float()
    missing[:, :, 0, 0] = 0
    torch.testing.assert_close(filled(x * (1 - missing), missing), x)


def test_values_in_the_holes_do_not_matter() -> None:
    draws = torch.Generator().manual_seed(1)
    x = torch.rand(1, 3, 20, 30, generator=draws)
    missing = (torch.rand(1, 1, 20, 30, generator=draws) < 0.5).float()
    torch.testing.assert_close(filled(x, missing), filled(torch.where(missing > 0, torch.rand(x.shape), x), missing))


def test_a_single_known_pixel_fills_everything() -> None:
    x = torch.zeros(1, 1, 40, 24)
    x[0, 0, 31, 7] = 0.7
    missing = torch.ones(1, 1, 40, 24)
    missing[0, 0, 31, 7] = 0
    torch.testing.assert_close(filled(x, missing), torch.full_like(x, 0.7))


def test_is_nearer_to_a_smooth_image_than_its_mean() -> None:
    rows, columns = np.mgrid[:64, :64] / 64
    x = torch.from_numpy(0.5 + 0.4 * np.sin(3 * rows + 2 * columns))[None, None].float()
    missing = torch.zeros(1, 1, 64, 64)
    missing[..., 20:36, 24:40] = 1
    hole = missing > 0
    error = (filled(x, missing) - x)[hole].square().mean()
    mean = x[~hole].mean()
    assert error < 0.05 * (x[hole] - mean).square().mean()
