"""Pictures to few bytes, and back. Depends on integer, tables, container, and on the restore room's tiles and weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hubel import engine
from hubel.autoencode.codec import exact
from hubel.autoencode.codec.container import Container
from hubel.autoencode.codec.integer import REACH, Decoder, fingerprint, interpolated
from hubel.autoencode.codec.network import COARSE, FINE, LAMBDAS, LATENTS, SCALES, STRIDE, Analysis, HyperAnalysis
from hubel.autoencode.codec.tables import Reader, Tables, Writer
from hubel.autoencode.restore import weights
from hubel.autoencode.restore.pictures import as_picture
from hubel.autoencode.restore.tiles import by_tiles, mirrored
from hubel.errors import DataError, InputError

TILE = 1024  # pixels: the synthesis holds one such square at a time
LARGEST = 2**15  # an integer of y, in steps: beyond is clipped (the analysis does not go there)


@dataclass(frozen=True, eq=False)
class Codec:
    """The shipped networks and tables: `shipped()` returns them, loaded once."""

    analysis: nn.Module
    hyper_analysis: nn.Module
    gain: Tensor
    decoder: Decoder
    y_tables: Tables
    z_tables: Tables  # level x COARSE of them
    fingerprint: int


@torch.no_grad()
def compress(image: Any, quality: int = 50) -> bytes:
    """Return the bytes of a .hbl file.

    Parameters
    ----------
    image : (H, W), (H, W, 1) or (H, W, 3), uint8 or float 0..1, of any size.
    quality : 1 (smallest) to 100. On photographs 1 is about a tenth of a bit a pixel, 100 about half of one.

    Raises InputError for another shape or type, or a quality that is not a whole number from 1 to 100.

    The method: a learned transform (analysis network, rounding, synthesis network) with a hyperprior and a checkerboard
    context, range-coded by constriction; see `network.CodecNet` for the papers and README.md here for what it reaches.
    """
    if isinstance(quality, bool) or quality != int(quality) or not 1 <= quality <= 100:
        raise InputError(f"quality={quality!r} must be a whole number from 1 (smallest file) to 100")
    codec = shipped()
    x, grey = as_picture(image)
    height, width = x.shape[2:]
    position = _position(int(quality))
    writer = Writer()
    for symbols, which, tables in symbols_of(codec, latents(codec, x, position), position):
        writer.put(symbols, which, tables)
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
    position = _position(box.quality)
    try:
        y = _read_latents(codec, box, position)
    except (AssertionError, OverflowError) as error:  # the range coder's, on words no encoder wrote
        raise DataError(f"{name} holds symbols that cannot be decoded: it was not written by hubel") from error
    pixels = _synthesise(codec.decoder, y, position)[: box.height, : box.width]
    return pixels if box.channels == 3 else np.asarray(np.rint(pixels.mean(axis=2, keepdims=True)), dtype=np.uint8)


@lru_cache(maxsize=1)
def shipped() -> Codec:
    """Return the codec that comes with the package."""
    return assembled(weights.shipped("hubel.autoencode.codec", "codec.safetensors"))


def assembled(tensors: dict[str, Tensor]) -> Codec:
    """Return the codec made of named tensors (see `export`)."""
    analysis = engine.lay_out(weights.unpack(Analysis(), tensors, "analysis."))
    hyper = engine.lay_out(weights.unpack(HyperAnalysis(), tensors, "hyper_analysis."))
    y_tables, z_tables = (Tables(tensors[f"{n}_counts"].numpy(), tensors[f"{n}_starts"].numpy()) for n in ("y", "z"))
    return Codec(analysis, hyper, tensors["gain"], Decoder(tensors, exact.best()), y_tables, z_tables, fingerprint(tensors))


def latents(codec: Codec, x: Tensor, position: float) -> Tensor:
    """Return y under the gain of a quality `position`, float32 (1, LATENTS, h, w), of pixels (1, 3, H, W) of any size."""
    def run(part: Tensor) -> Tensor:
        y: Tensor = codec.analysis(part.contiguous(memory_format=torch.channels_last) - 0.5)
        return y

    y = by_tiles(run, mirrored(x, STRIDE), STRIDE, 16 * REACH, TILE, shrink=16)
    return y * interpolated(codec.gain, position).float()[:, None, None]


def symbols_of(codec: Codec, y: Tensor, position: float) -> list[tuple[np.ndarray, np.ndarray, Tables]]:
    """Return what is coded, in order: (integers, table of each, the tables) of z, of black and of white squares."""
    z = codec.hyper_analysis(y.contiguous(memory_format=torch.channels_last)).round().clamp(-LARGEST, LARGEST)
    out = [(z[0].numpy().astype(np.int32).ravel(), _z_which(z.shape[2:], position), codec.z_tables)]
    features = codec.decoder.features(z.double())
    black_squares = _black(y.shape[2:])
    black: Tensor | None = None
    for squares in (black_squares, ~black_squares):
        mean, index = codec.decoder.predict(features, squares, black)
        q = np.rint(y[0].numpy()[:, squares].astype(np.float64) - mean / FINE).clip(-LARGEST, LARGEST).astype(np.int32)
        out.append((q.ravel(), index.ravel(), codec.y_tables))
        black = torch.zeros(y.shape[1:], dtype=torch.int32)
        black.numpy()[:, squares] = q * FINE + mean
    return out


def _read_latents(codec: Codec, box: Container, position: float) -> Tensor:
    """Return y (1, LATENTS, h, w), int32 in units of 1/FINE."""
    h, w = (-(-side // STRIDE) for side in (box.height, box.width))
    reader = Reader(box.words, box.escapes)
    z = reader.take(_z_which((h, w), position), codec.z_tables).reshape(1, COARSE, h, w)
    features = codec.decoder.features(torch.from_numpy(z).double())
    y = torch.zeros(LATENTS, 4 * h, 4 * w, dtype=torch.int32)
    black_squares = _black((4 * h, 4 * w))
    for squares in (black_squares, ~black_squares):
        mean, index = codec.decoder.predict(features, squares, None if squares is black_squares else y)
        q = reader.take(index.ravel(), codec.y_tables).reshape(LATENTS, -1)
        y.numpy()[:, squares] = q * FINE + mean
    return y[None]


def _synthesise(decoder: Decoder, y: Tensor, position: float) -> np.ndarray:
    """Return uint8 (16 h, 16 w, 3), a square of TILE pixels after another."""
    h, w = y.shape[2:]
    side = TILE // 16
    out = np.empty((16 * h, 16 * w, 3), np.uint8)
    for top in range(0, h, side):
        for left in range(0, w, side):
            t, l = max(0, top - REACH), max(0, left - REACH)
            bottom, right = min(top + side, h), min(left + side, w)
            part = decoder.pixels(y[:, :, t : bottom + REACH, l : right + REACH], position).numpy()
            out[16 * top : 16 * bottom, 16 * left : 16 * right] = part[
                16 * (top - t) : 16 * (bottom - t), 16 * (left - l) : 16 * (right - l)]
    return out


def _position(quality: int) -> float:
    return (quality - 1) / 99 * (len(LAMBDAS) - 1)


def _z_which(shape: tuple[int, ...], position: float) -> np.ndarray:
    level = round(position)
    return np.repeat(np.arange(COARSE, dtype=np.int32) + level * COARSE, shape[0] * shape[1])


def _black(shape: tuple[int, ...]) -> np.ndarray:
    return (np.arange(shape[0])[:, None] + np.arange(shape[1])) % 2 == 0


assert SCALES < 256
