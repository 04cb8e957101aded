"""Images as free parameters: pixels, Fourier coefficients, principal components, a ball. Depends on torch.

Gradient ascent moves along the axes of its parametrisation. On pixels it favours high frequencies; on Fourier coefficients
scaled by 1 / frequency and on decorrelated colours it moves as natural images vary (Olah et al. 2017, 'Feature
Visualization', distill.pub, section 'Preconditioning and Parameterization').
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from hubel.look.recipes import Recipe

# Covariance of ImageNet's pixels in 0..1, over photos at 224 px (public statistics of the training set's colours:
# deviations 0.28, 0.27, 0.28 with correlations of .93 to .97), and their means.
IMAGENET_DEVIATION = (0.279, 0.269, 0.284)
IMAGENET_CORRELATION = ((1.0, 0.950, 0.865), (0.950, 1.0, 0.945), (0.865, 0.945, 1.0))
IMAGENET_MEAN = (0.485, 0.456, 0.406)


@dataclass(frozen=True)
class Colours:
    """What the pixels of the training images look like: mean (C,) and a square root R of their covariance (C, C), R R^T,
    both in 0..1. R's columns are the principal colours: with others Adam, which gives every parameter a step of the same size,
    would let the brightness drown the colours."""

    mean: Tensor
    root: Tensor
    source: str

    @staticmethod
    def of(images: Tensor, source: str = "the data") -> Colours:
        """From images (N, C, H, W) in 0..1."""
        pixels = images.detach().double().transpose(0, 1).flatten(1)
        covariance = torch.atleast_2d(torch.cov(pixels)) + 1e-6 * torch.eye(len(pixels))
        return Colours(pixels.mean(1).float(), _root(covariance), source)

    @staticmethod
    def default(channels: int) -> Colours:
        """ImageNet's for three channels; for others uncorrelated ones around mid-grey."""
        if channels != 3:
            return Colours(torch.full((channels,), 0.5), 0.25 * torch.eye(channels), "none")
        deviation = torch.tensor(IMAGENET_DEVIATION, dtype=torch.float64)
        covariance = torch.tensor(IMAGENET_CORRELATION, dtype=torch.float64) * deviation[:, None] * deviation
        return Colours(torch.tensor(IMAGENET_MEAN), _root(covariance), "ImageNet")


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp_min(1e-9).sqrt()).float()


Key = tuple[int, int]  # what a picture starts from: its unit and a seed


class Canvas:
    """n images (n, C, H, W) by `parameters` (n, ...), which `ascend` moves along a gradient.

    Image i begins from noise that its key alone settles, whatever else is in its batch.
    """

    parameters: Tensor
    natural = 1.0  # spread of the noise at which the images vary about as much as real ones

    def images(self) -> Tensor:
        """In 0..1, differentiable in the parameters."""
        raise NotImplementedError

    def constrain(self) -> None:
        """Bring the parameters back to where they may be."""

    def ascend(self, gradient: Tensor, rate: float) -> None:
        """One step of Adam (Kingma and Ba 2015) at this rate."""
        if not hasattr(self, "_adam"):
            self._adam = torch.optim.Adam([self.parameters], lr=rate, maximize=True)
        self.parameters.grad = gradient
        self._adam.param_groups[0]["lr"] = rate
        self._adam.step()
        self.constrain()

    @torch.no_grad()
    def kick(self, which: Tensor, share: float, draws: Sequence[torch.Generator]) -> None:
        """Start images `which` again from noise of `share` of the natural spread: where they are nothing moves them."""
        for i in which.tolist():
            self.parameters[i] = share * self.natural * torch.randn(self.parameters.shape[1:], generator=draws[i])
        self.constrain()


def noise(keys: Sequence[Key], shape: tuple[int, ...]) -> Tensor:
    """Standard normal noise (n, *shape), each row from its key."""
    return torch.stack([torch.randn(shape, generator=generator(key)) for key in keys])


def generator(key: Key, purpose: int = 0) -> torch.Generator:
    """A stream of random numbers that the key (unit, seed) and its purpose settle."""
    return torch.Generator().manual_seed(((key[1] * 7 + purpose) * 1_000_003 + key[0]) % 2**62)


class Fourier(Canvas):
    """image = sigmoid(logit(mean) + colours · inverse FFT(scale · p)), the scale falling as 1 / frequency^power."""

    def __init__(self, keys: Sequence[Key], size: tuple[int, int], colours: Colours, power: float, spread: float = 0.01
                 ) -> None:
        height, width = size
        rows, columns = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None]
        scale = (rows.square() + columns.square()).sqrt().clamp_min(1 / max(height, width)) ** -power
        # coefficients of 1 make an image of spread 1 in front of the sigmoid
        self.scale = (scale / scale.square().mean().sqrt())[..., None]
        self.size = size
        self.root = colours.root / colours.root.norm(dim=0).amax()
        self.offset = torch.logit(colours.mean.clamp(0.02, 0.98))[None, :, None, None]
        shape = (len(colours.mean), height, width // 2 + 1, 2)
        self.parameters = (spread * noise(keys, shape)).requires_grad_()

    def images(self) -> Tensor:
        spectrum = torch.view_as_complex((self.parameters * self.scale).contiguous())
        plane = torch.fft.irfft2(spectrum, s=self.size, norm="ortho")
        return torch.sigmoid(torch.einsum("dc,nchw->ndhw", self.root, plane) + self.offset)


class Pixels(Canvas):
    """image = clip(mean colour + p), from faint noise."""

    natural = 0.25

    def __init__(self, keys: Sequence[Key], size: tuple[int, int], colours: Colours) -> None:
        self.centre = colours.mean[None, :, None, None]
        self.parameters = (0.05 * noise(keys, (len(colours.mean), *size))).requires_grad_()
        self.constrain()

    def images(self) -> Tensor:
        return self.centre + self.parameters

    @torch.no_grad()
    def constrain(self) -> None:
        self.parameters.copy_((self.centre + self.parameters).clamp(0, 1) - self.centre)


class Yosinski(Pixels):
    """Pixels under the four regularisers of Yosinski et al. 2015 (arXiv:1506.06579, section 3), applied after each step."""

    def __init__(self, keys: Sequence[Key], size: tuple[int, int], colours: Colours, how: Recipe) -> None:
        super().__init__(keys, size, colours)
        self.how, self.number = how, 0

    @torch.no_grad()
    def ascend(self, gradient: Tensor, rate: float) -> None:
        """A step that changes pixels by `rate` on average, then decay, blur and the two kinds of clipping."""
        how, p = self.how, self.parameters
        p += rate * gradient / gradient.abs().mean((1, 2, 3), keepdim=True).clamp_min(1e-30)
        p *= 1 - how.decay
        self.number += 1
        if how.blur and self.number % how.blur_every == 0:
            p.copy_(blurred(p, how.blur))
        for quantile, size in ((how.norm_clip, p.norm(dim=1, keepdim=True)),
                               (how.contribution_clip, (p * gradient).sum(1, keepdim=True).abs())):
            if quantile:
                p *= size >= torch.quantile(size.flatten(1), quantile, dim=1)[:, None, None, None]
        self.constrain()


class Components(Canvas):
    """Principal components of small images: as far from the data's mean as real images are, and no farther.

    image = clip(mean + sum_i z_i s_i v_i) with the components v_i and deviations s_i that hold 90% of the variance; |z| is
    kept within the median |z| of the data. What decorrelated colour is for a pixel, this is for a whole image.
    """

    def __init__(self, keys: Sequence[Key], data: Tensor, kept: float = 0.9) -> None:
        flat = data.detach().float().flatten(1)
        self.mean, self.shape = flat.mean(0), data.shape[1:]
        _, s, v = torch.linalg.svd(flat - self.mean, full_matrices=False)
        number = int((s.square().cumsum(0) < kept * s.square().sum()).sum()) + 1
        deviations = (s[:number] / max(1, len(flat) - 1) ** 0.5).clamp_min(1e-6)
        self.basis = v[:number] * deviations[:, None]
        self.radius = float((((flat - self.mean) @ v[:number].T) / deviations).norm(dim=1).median())
        self.parameters = (0.1 * noise(keys, (number,))).requires_grad_()

    def images(self) -> Tensor:
        return (self.mean + self.parameters @ self.basis).clamp(0, 1).unflatten(1, self.shape)

    @torch.no_grad()
    def constrain(self) -> None:
        self.parameters.copy_(within(self.parameters, self.radius))


class Ball(Canvas):
    """image = mean colour + p with |p| <= radius: for a linear unit the best p is its kernel, scaled to the radius."""

    def __init__(self, keys: Sequence[Key], size: tuple[int, int], colours: Colours, radius: float) -> None:
        self.centre, self.radius = colours.mean[None, :, None, None], radius
        start = noise(keys, (len(colours.mean), *size))
        self.parameters = within(start, 1e-3 * radius).requires_grad_()

    def images(self) -> Tensor:
        return (self.centre + self.parameters).clamp(0, 1)

    @torch.no_grad()
    def constrain(self) -> None:
        self.parameters.copy_(within(self.parameters, self.radius))

    @torch.no_grad()
    def ascend(self, gradient: Tensor, rate: float) -> None:
        """A step of `rate` radii along the gradient, then back to the ball."""
        length = gradient.flatten(1).norm(dim=1).clamp_min(1e-30)[:, None, None, None]
        self.parameters += rate * self.radius * gradient / length
        self.constrain()


def within(p: Tensor, radius: float) -> Tensor:
    """Return p (n, ...) with rows longer than `radius` shortened to it."""
    length = p.flatten(1).norm(dim=1).clamp_min(1e-30)
    return p * (radius / length).clamp_max(1).view(-1, *[1] * (p.ndim - 1))


def blurred(x: Tensor, sigma: float) -> Tensor:
    """Return images (N, C, H, W) under a Gaussian blur of `sigma` pixels; the border repeats."""
    reach = max(1, round(3 * sigma))
    line = torch.exp(-torch.arange(-reach, reach + 1).square() / (2 * sigma**2)).to(x)
    line = (line / line.sum()).expand(x.shape[1], 1, 1, -1)
    x = F.conv2d(F.pad(x, (reach, reach, 0, 0), mode="replicate"), line, groups=x.shape[1])
    return F.conv2d(F.pad(x, (0, 0, reach, reach), mode="replicate"), line.transpose(2, 3), groups=x.shape[1])
