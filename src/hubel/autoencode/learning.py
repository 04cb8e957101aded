"""What makes the training room's loop train without labels: the images are their own targets. Depends on training, nets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hubel.errors import InputError
from hubel.nets import EncoderDecoder
from hubel.training import ArraySource, Batch, BatchSource, augment
from hubel.training.losses import Loss

LOSSES = ("mse", "mae")


class Itself:
    """A source of images whose targets are the images. `source`: where they come from; its own targets are left aside."""

    classes = None

    def __init__(self, source: BatchSource) -> None:
        self.source = source
        self.kind = getattr(source, "kind", None)

    def __len__(self) -> int:
        return len(self.source)

    def epoch(self, epoch: int, seed: int, batch_size: int, start_batch: int = 0, shuffle: bool = True) -> Iterator[Batch]:
        for batch in self.source.epoch(epoch, seed, batch_size, start_batch, shuffle):
            yield Batch(batch.x, batch.x, batch.places)

    def fetch(self, index: np.ndarray) -> tuple[Tensor, Tensor]:
        x, _ = self.source.fetch(index)
        return x, x

    def fingerprint(self) -> str:
        return self.source.fingerprint()


def of_tensor(x: Tensor) -> Itself:
    """A source of images in memory, uint8 or float 0..1 (N, C, H, W)."""
    return Itself(ArraySource(x, torch.zeros(len(x), dtype=torch.long)))


class Altered:
    """Augments images, which then are the targets, and hides part of them from the encoder: noise of this size (standard
    deviation, in pixels of 0..1) is added to what it sees (Vincent et al. 2008, denoising autoencoders)."""

    def __init__(self, change: Callable[..., Any] | None, noise: float) -> None:
        self.change, self.noise = change, noise

    def __call__(self, x: Tensor, y: Tensor, draws: Any) -> tuple[Tensor, Tensor]:
        if self.change is not None:
            x, _ = self.change(x, torch.zeros(len(x), dtype=torch.long), draws)
        if not self.noise:
            return x, x
        seen = x.float() / 255 if x.dtype == torch.uint8 else x
        return (seen + self.noise * torch.randn(seen.shape)).clamp(0, 1), x  # the loop seeds torch anew for each step

    def __repr__(self) -> str:
        return f"Altered({self.change!r}, {self.noise})"


def altered(how: Any, noise: float, size: tuple[int, int] | None) -> Any:
    """What `training.fit` takes as `augment`: see `Altered`. InputError for noise that is no standard deviation."""
    if not 0 <= noise <= 1:
        raise InputError(f"noise={noise}: give a standard deviation in pixels of 0..1, such as 0.1")
    change = augment.get(how, size)
    if change is None and not noise:
        return None
    # a Compose is what the loop takes as a function of images *and* targets
    return _AsCompose(Altered(change, noise))


class _AsCompose(augment.Compose):
    """The loop hands targets and draws to a Compose alone."""

    def __init__(self, inner: Altered) -> None:
        super().__init__()
        self.inner = inner

    def __call__(self, x: Tensor, y: Tensor, draws: Any, masks: Tensor | None = None) -> Any:
        return self.inner(x, y, draws)

    def __repr__(self) -> str:
        return repr(self.inner)


class _WithMasks(augment.Compose):
    """Transforms of images whose targets are masks (N, H, W), which move along."""

    def __init__(self, inner: augment.Compose) -> None:
        super().__init__()
        self.inner = inner

    def __call__(self, x: Tensor, y: Tensor, draws: Any, masks: Tensor | None = None) -> Any:
        none = torch.zeros(len(x), dtype=torch.long)
        x, _, moved = self.inner(x, none, draws, y[:, None].to(torch.uint8))
        return x, moved[:, 0].long()

    def __repr__(self) -> str:
        return f"WithMasks({self.inner!r})"


def with_masks(how: Any, size: tuple[int, ...]) -> Any:
    """What `training.fit` takes as `augment` where targets are masks of at most 256 classes: `how`, and masks move along."""
    change = augment.get(how, (size[0], size[1]))
    if change is None:
        return None
    if not isinstance(change, augment.Compose):
        raise InputError("augment is a function of images alone, masks could not move along: give transforms, such as [Flip()]")
    return _WithMasks(change)


def reconstruction(loss: str | Loss) -> Loss:
    """The loss of outputs (N, C, H, W) in 0..1 against images, uint8 or float: 'mse', 'mae', or `loss(outputs, images)` of
    floats, giving (N,) or one mean.

    Of 'mse' and 'mae' the gradient is that of the batch's *logarithm*: the error falls a hundredfold during a run, and
    Adam, which remembers the first steps' gradients for a thousand more, would hardly move any more (measured on MNIST, one
    epoch of 20,000 digits, 16 latents: 15.5 dB without, 17.1 with).
    """
    if isinstance(loss, str) and loss not in LOSSES:
        raise InputError(f"loss={loss!r} is unknown: {' or '.join(LOSSES)}, or a function of (outputs, images)")

    def measure(outputs: Tensor, y: Tensor) -> Tensor:
        target = as_unit(y)
        if not isinstance(loss, str):
            return loss(outputs, target)
        off = outputs - target
        error = (off.square() if loss == "mse" else off.abs()).flatten(1).mean(1)
        scaled = error / error.detach().mean().clamp_min(1e-8)
        return scaled + (error - scaled).detach()  # the value is the error, the gradient the scaled one's

    return measure


def psnr(outputs: Tensor, y: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image, in dB, for pixels of 0..1."""
    return -10 * (outputs.clamp(0, 1) - as_unit(y)).square().flatten(1).mean(1).clamp_min(1e-10).log10()


def as_unit(y: Tensor) -> Tensor:
    return y.float() / 255 if y.dtype == torch.uint8 else y.float()


class Variational(nn.Module):
    """What a variational autoencoder is while it learns: gives the reconstruction of a *drawn* code and, behind it in one
    row (N, d + 2 k), the means and log variances it was drawn from. In evaluation mode the code is the mean."""

    def __init__(self, network: EncoderDecoder) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        mean, log_variance = self.network.distribution(x)
        code = mean
        if self.training:
            code = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        return torch.cat([self.network.decode(code).flatten(1), mean.flatten(1), log_variance.flatten(1)], dim=1)


def split(outputs: Tensor, shape: tuple[int, ...], codes: int) -> tuple[Tensor, Tensor, Tensor]:
    """(reconstructions (N, *shape), means (N, k), log variances (N, k)) from the rows that `Variational` gives."""
    d = outputs.shape[1] - 2 * codes
    image, mean, log_variance = outputs.split([d, codes, codes], dim=1)
    return image.reshape(-1, *shape), mean, log_variance


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) of each row, in nats (Kingma and Welling 2014, appendix B)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


def evidence(shape: tuple[int, ...], codes: int, beta: float) -> Loss:
    """The negative evidence bound of `Variational`'s rows, in nats a pixel value, up to a constant.

    The decoder's noise is Gaussian, of the variance that fits the batch best, which is its mean squared error (Rybkin et
    al. 2021, arXiv:2006.13202, sigma-VAE): the weight of reconstruction against divergence then need not be tuned.
    `beta` above 1 weighs the divergence more (Higgins et al. 2017).
    """

    def measure(outputs: Tensor, y: Tensor) -> Tensor:
        image, mean, log_variance = split(outputs, shape, codes)
        d = image[0].numel()
        error = (image - as_unit(y)).square().flatten(1).mean(1)
        variance = error.detach().mean().clamp_min(1e-6)
        return 0.5 * (error / variance + variance.log()) + beta * divergence(mean, log_variance) / d

    return measure


def first(metric: Loss, shape: tuple[int, ...], codes: int) -> Loss:
    """A metric of reconstructions, for the rows that `Variational` gives."""

    def measure(outputs: Tensor, y: Tensor) -> Tensor:
        return metric(split(outputs, shape, codes)[0], y)

    measure.__name__ = metric.__name__
    return measure
