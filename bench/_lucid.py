"""Feature visualisation the way people do it: one picture at a time, plain float32, in the manner of lucid and lucent.

Written from the descriptions in Olah et al. 2017 (distill.pub/2017/feature-visualization) and with lucent's defaults: 512
steps of Adam at 0.05, Fourier coefficients scaled by 1 / frequency, decorrelated colours, pad 12, jitter 8, ten sizes, turns
of up to 10 degrees, jitter 4. Nothing here is shared with hubel.
"""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# the square root of the covariance of ImageNet's colours that lucid uses, its largest column of length 1
COLOURS = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
COLOURS = COLOURS / COLOURS.norm(dim=0).amax()


def decode(spectrum: Tensor, size: int) -> Tensor:
    frequency = (torch.fft.fftfreq(size)[:, None] ** 2 + torch.fft.rfftfreq(size)[None] ** 2).sqrt()
    scale = size / frequency.clamp_min(1 / size)
    image = torch.fft.irfft2(torch.view_as_complex(spectrum) * scale, s=(size, size)) / 4
    return torch.sigmoid(torch.einsum("dc,nchw->ndhw", COLOURS, image))


def transforms(x: Tensor) -> Tensor:
    def jitter(x: Tensor, d: int) -> Tensor:
        top, left = random.randrange(d), random.randrange(d)
        return x[:, :, top : x.shape[2] - d + top, left : x.shape[3] - d + left]

    x = jitter(F.pad(x, (12, 12, 12, 12), value=0.5), 8)
    scale = random.choice([1 + (i - 5) / 50 for i in range(11)])
    x = F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
    angle = torch.deg2rad(torch.tensor(float(random.choice([*range(-10, 11), 0, 0, 0, 0, 0]))))
    turn = torch.stack([torch.stack([angle.cos(), -angle.sin(), torch.tensor(0.0)]),
                        torch.stack([angle.sin(), angle.cos(), torch.tensor(0.0)])])[None]
    grid = F.affine_grid(turn.expand(len(x), 2, 3), list(x.shape), align_corners=False)
    return jitter(F.grid_sample(x, grid, padding_mode="reflection", align_corners=False), 4)


def visualise(network: nn.Module, layer: nn.Module, channel: int, size: int = 224, steps: int = 512) -> Tensor:
    """Return the image (1, 3, size, size) that excites the mean of a channel of `layer`; the network takes pixels in 0..1."""
    seen: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _m, _i, out: seen.append(out))
    spectrum = (0.01 * torch.randn(1, 3, size, size // 2 + 1, 2)).requires_grad_()
    adam = torch.optim.Adam([spectrum], lr=0.05)
    try:
        for _ in range(steps):
            seen.clear()
            adam.zero_grad()
            network(transforms(decode(spectrum, size)))
            (-seen[0][:, channel].mean()).backward()
            adam.step()
    finally:
        hook.remove()
    return decode(spectrum, size).detach()
