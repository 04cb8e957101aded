"""Autoencoders by kind: dense, convolutional, variational, U-shaped, for any image size and bottleneck. Depends on nets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from hubel.errors import InputError
from hubel.nets import BatchNormalization, Conv2D, Dense, EncoderDecoder, Flatten, Reshape, SubPixel2D, UShaped
from hubel.nets.layers import Activation

KINDS = ("dense", "convolutional", "variational", "u")
SMALLEST = 4  # pixels: the side at which stages stop halving
WIDEST = 256  # filters

MAP_FROM, MAP_STAGES = 64, 3  # from this side up the usual code is a map, one place to 8 x 8 pixels
USUAL = 48  # numbers of an image to one of its code, as in the lecture's 49,152 to 1,024

Latents = int | tuple[int, int, int]


def usual_latents(kind: str, size: tuple[int, int], channels: int) -> tuple[Latents, dict[str, Any]]:
    """Return the code that fits images of `size` (height, width), and options for `network`: a 48th of an image's numbers.

    Of large images a convolutional autoencoder's code is a map, so that each place says what is there: a row of numbers would
    need millions of weights to and fro, and learns much more slowly (128 x 128 in colour: bench/RESULTS.md).
    """
    step = 2**MAP_STAGES
    if kind == "convolutional" and min(size) >= MAP_FROM and size[0] % step == size[1] % step == 0:
        maps = max(1, round(channels * step**2 / USUAL))
        return (size[0] // step, size[1] // step, maps), {"stages": MAP_STAGES}
    return min(max(size[0] * size[1] * channels // USUAL, 8), 1024), {}


def network(kind: str, size: tuple[int, int], channels: int, latents: Latents | None = None, seed: int | None = None,
            **options: Any) -> nn.Module:
    """Return an untrained autoencoder network for images of `size` (height, width) in pixels.

    kind : 'dense', 'convolutional', 'variational' (convolutional, with a distribution as its code), 'u' (with skips around
        the bottleneck, which therefore is none).
    latents : numbers in the code; or (h, w, c), the code's shape as a map, where the stages lead to h x w; None: see
        `usual_latents`.
    options : dense: widths=(512,), decoder_widths=None (the same, mirrored). The others: width=32 (filters of the first
        stage, doubled by each), decoder_width=None (the same), stages=None (halve the image down to 4 pixels or more).
    """
    makers: dict[str, Callable[..., nn.Module]] = {"dense": _dense, "convolutional": _convolutional, "variational": _variational, "u": _u}
    if kind not in makers:
        raise InputError(f"kind {kind!r} is unknown: one of {', '.join(KINDS)}")
    if channels not in (1, 3) or min(size) < 1:
        raise InputError(f"images of {size[0]} x {size[1]} with {channels} channels: give 1 (grey) or 3 (colour)")
    if latents is None:
        latents, usual = usual_latents(kind, size, channels)
        options = {**usual, **options}
    numbers = [latents] if isinstance(latents, int) else list(latents)
    if len(numbers) not in (1, 3) or any(int(n) != n or n < 1 for n in numbers):
        raise InputError(f"latents={latents}: give a number from 1 up, or (height, width, maps) of a map")
    with torch.random.fork_rng(enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        try:
            return makers[kind]((channels, *size), latents, **options)
        except TypeError as error:
            raise InputError(f"kind {kind!r}: {error}") from error


def _dense(shape: tuple[int, int, int], latents: Latents, widths: Sequence[int] = (512,),
           decoder_widths: Sequence[int] | None = None) -> nn.Module:
    if not isinstance(latents, int):
        raise InputError(f"latents={latents}: a dense autoencoder's code is a row of numbers, give how many")
    channels, height, width = shape
    back = tuple(reversed(widths)) if decoder_widths is None else tuple(decoder_widths)
    encoder = nn.Sequential(Flatten(), *(Dense(w, "relu") for w in widths), Dense(latents))
    decoder = nn.Sequential(*(Dense(w, "relu") for w in back), Dense(channels * height * width),
                            Reshape((height, width, channels)))
    return EncoderDecoder(encoder, decoder, shape)


def _convolutional(shape: tuple[int, int, int], latents: Latents, width: int = 32, decoder_width: int | None = None,
                   stages: int | None = None, variational: bool = False) -> nn.Module:
    count = _stages(shape, stages)
    down = _down(width, count)
    bottom = (shape[1] >> count, shape[2] >> count)
    up = [min((decoder_width or width) << i, WIDEST) for i in range(count)]
    twice = 2 if variational else 1
    if isinstance(latents, int):
        encoder = nn.Sequential(*down, Flatten(), Dense(latents * twice))
        start: list[nn.Module] = [Dense(up[-1] * bottom[0] * bottom[1], "relu"), Reshape((*bottom, up[-1]))]
    else:
        if tuple(latents[:2]) != bottom:
            raise InputError(f"latents={latents}: {count} stages lead from {shape[1]} x {shape[2]} to {bottom[0]} x {bottom[1]}; "
                             f"give ({bottom[0]}, {bottom[1]}, maps) or other stages=")
        encoder = nn.Sequential(*down, Conv2D(latents[2] * twice, 1))
        start = [Conv2D(up[-1], 3, padding="same", activation="relu")]
    steps = [_step(SubPixel2D(filters, 3, use_bias=False)) for filters in reversed(up[:-1])]
    return EncoderDecoder(encoder, nn.Sequential(*start, *steps, SubPixel2D(shape[0], 3)), shape, variational=variational)


def _variational(shape: tuple[int, int, int], latents: Latents, **options: Any) -> nn.Module:
    return _convolutional(shape, latents, variational=True, **options)


def _u(shape: tuple[int, int, int], latents: Latents, width: int = 32, stages: int | None = None) -> nn.Module:
    """The bottom of the U has as many maps as come nearest to `latents` numbers."""
    count = _stages(shape, stages)
    down = _down(width, count)
    places = (shape[1] >> count) * (shape[2] >> count)
    maps = max(1, round(latents / places)) if isinstance(latents, int) else latents[2]
    return UShaped(nn.Sequential(*down, Conv2D(maps, 1)), shape[0], shape)


def _down(width: int, count: int) -> list[nn.Module]:
    return [_step(Conv2D(min(width << i, WIDEST), 3, 2, "same", use_bias=False)) for i in range(count)]


def _step(convolution: nn.Module) -> nn.Sequential:
    return nn.Sequential(convolution, BatchNormalization(), Activation("relu"))


def _stages(shape: tuple[int, int, int], stages: int | None) -> int:
    """How often the image is halved: as asked, or down to a side of 4 to 7 pixels where that divides."""
    _, height, width = shape
    possible = 0
    while height % 2 ** (possible + 1) == 0 and width % 2 ** (possible + 1) == 0:
        possible += 1
    if stages is None:
        stages = 0
        while stages < possible and min(height, width) >> (stages + 1) >= SMALLEST:
            stages += 1
    if not 1 <= stages <= possible:
        even = f"{-(-height // 8) * 8} x {-(-width // 8) * 8}"
        raise InputError(f"images of {height} x {width} pixels can be halved {possible} times without a rest, not {stages or 'once'}: "
                         f"bring them to {even}, say")
    return stages
