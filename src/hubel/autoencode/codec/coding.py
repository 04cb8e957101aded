"""Pictures to few bytes, and back. Depends on integer, pixels, tables, container, and on the restore room's tiles and weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hubel import engine
from hubel.autoencode.codec import exact
from hubel.autoencode.codec.container import Container
from hubel.autoencode.codec.context import FINE, WORTH
from hubel.autoencode.codec.integer import GRID, STEP_GRID, Predictor, fingerprint
from hubel.autoencode.codec.network import BLOCK, Analysis
from hubel.autoencode.codec.pixels import Painter
from hubel.autoencode.codec.tables import Reader, Tables, Writer
from hubel.autoencode.restore import weights
from hubel.autoencode.restore.pictures import as_picture
from hubel.autoencode.restore.tiles import by_tiles, mirrored
from hubel.errors import DataError, InputError

TILE = 1024  # pixels: the analysis holds one such square at a time
REACH = 48  # pixels: how far a number of y looks beyond its block
LARGEST = 2**15  # an integer of y, in steps: beyond is clipped (the analysis does not go there)


@dataclass(frozen=True, eq=False)
class Codec:
    """The shipped networks and tables: `shipped()` returns them, loaded once."""

    analysis: nn.Module
    predictor: Predictor
    painter: Painter
    tables: Tables
    fingerprint: int


@torch.no_grad()
def compress(image: Any, quality: int = 50) -> bytes:
    """Return the bytes of a .hbl file.

    Parameters
    ----------
    image : (H, W), (H, W, 1) or (H, W, 3), uint8 or float 0..1, of any size.
    quality : 1 (smallest) to 100: the quantiser's step goes from 180 to 8 of 255 levels. README.md here says what bits a
        pixel that is.

    Raises InputError for another shape or type, or a quality that is not a whole number from 1 to 100.

    The method: a linear transform of blocks with a network beside it, rounding by rate and distortion, a context that
    predicts mean and scale of each number, range coding by constriction; a network that mends the blocks. See `network`,
    `context` for the papers and README.md here for what it reaches.
    """
    if isinstance(quality, bool) or quality != int(quality) or not 1 <= quality <= 100:
        raise InputError(f"quality={quality!r} must be a whole number from 1 (smallest file) to 100")
    codec = shipped()
    x, grey = as_picture(image)
    height, width = x.shape[2:]
    writer = Writer()
    encode(codec, latents(codec, x, int(quality)), int(quality), writer.put)
    return Container(height, width, 1 if grey else 3, int(quality), codec.fingerprint, writer.escapes,
                     writer.words()).to_bytes()


@torch.no_grad()
def decompress(data: bytes, name: str = "the data") -> np.ndarray:
    """Return the picture, uint8 (H, W, C), of a .hbl file's bytes: the same pixels on every machine.

    `name` is what errors call the data. Raises DataError, one line, for what is not such a file, is damaged or cut off, or
    was written with another codec.
    """
    codec = shipped()
    box = Container.from_bytes(bytes(data), name)
    if box.fingerprint != codec.fingerprint:
        raise DataError(f"{name} was written with codec {box.fingerprint:04x}, this hubel has {codec.fingerprint:04x}: use the "
                        "version that wrote it")
    try:
        y = decoded(codec, box)
    except (AssertionError, OverflowError) as error:  # the range coder's, on words no encoder wrote
        raise DataError(f"{name} holds symbols that cannot be decoded: it was not written by hubel") from error
    pixels = codec.painter.paint(y, box.quality)[: box.height, : box.width]
    return pixels if box.channels == 3 else np.asarray(np.rint(pixels.mean(axis=2, keepdims=True)), dtype=np.uint8)


@lru_cache(maxsize=1)
def shipped() -> Codec:
    """Return the codec that comes with the package."""
    return assembled(weights.shipped("hubel.autoencode.codec", "codec.safetensors"))


def assembled(tensors: dict[str, Tensor]) -> Codec:
    """Return the codec made of named tensors (see `export`)."""
    analysis = Analysis(tensors["transform"].float() / GRID)
    engine.lay_out(weights.unpack(analysis, tensors | {"analysis.linear": analysis.linear.data}, "analysis."))
    tables = Tables(tensors["counts"].numpy(), tensors["starts"].numpy())
    return Codec(analysis, Predictor(tensors, exact.products()), Painter(tensors, exact.best()), tables, fingerprint(tensors))


def latents(codec: Codec, x: Tensor, quality: int) -> Tensor:
    """Return y in steps of a quality, float32 (1, LATENTS, h, w), of pixels 0..1 (1, 3, H, W) of any size."""
    step = codec.painter.steps[quality - 1].float().view(1, 1, 1, 1) / STEP_GRID
    t = codec.painter.conditions[quality - 1].float().view(1)

    def run(part: Tensor) -> Tensor:
        y: Tensor = codec.analysis((part * 255).contiguous(memory_format=torch.channels_last), t, step)
        return y

    return by_tiles(run, mirrored(x, BLOCK), BLOCK, REACH, TILE, shrink=BLOCK)


def encode(codec: Codec, y: Tensor, quality: int, put: Callable[[np.ndarray, np.ndarray, Tables], None]) -> Tensor:
    """Hand all integers of y (1, LATENTS, h, w) to `put(integers, table of each, tables)`, in the order of the file. Return
    what the decoder will have, int32 (LATENTS, h, w) in units of 1/FINE."""
    wanted = y[0].double().numpy()

    def visit(first: int, where: np.ndarray, mean: np.ndarray, index: np.ndarray) -> np.ndarray:
        left = (wanted[first : first + len(mean), where] - mean / FINE).clip(-LARGEST, LARGEST)
        q = chosen(left.ravel(), index.ravel(), codec.tables)
        put(q, index.ravel(), codec.tables)
        return q.reshape(mean.shape)

    return codec.predictor.walk(y.shape[2], y.shape[3], quality, visit)


def chosen(left: np.ndarray, which: np.ndarray, tables: Tables) -> np.ndarray:
    """Return each number of steps rounded up or down, int32: whichever costs less, bits under its table and WORTH times the
    squared error."""
    down = np.trunc(left).astype(np.int32)
    up = down + np.sign(left).astype(np.int32)
    gain = np.square(left - down) - np.square(left - up)
    return np.where(WORTH * gain > tables.bits(up, which) - tables.bits(down, which), up, down)


def decoded(codec: Codec, box: Container) -> Tensor:
    """Return y (LATENTS, h, w), int32 in units of 1/FINE, of a file."""
    reader = Reader(box.words, box.escapes)

    def visit(first: int, where: np.ndarray, mean: np.ndarray, index: np.ndarray) -> np.ndarray:
        return reader.take(index.ravel(), codec.tables).reshape(mean.shape)

    return codec.predictor.walk(-(-box.height // BLOCK), -(-box.width // BLOCK), box.quality, visit)
