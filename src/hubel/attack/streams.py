"""Random numbers that belong to a sample, not to a batch: the verdict on an image is the same in any company.

Each sample has a key, made of the seed and its own content; a stream is named by the key and a few words. Depends on
torch and NumPy.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from torch import Tensor


def sample_keys(x: Tensor, y: Tensor, seed: int) -> list[int]:
    """Return a key for each sample of a batch (N, ...): of the seed, its pixels and its label."""
    keys = []
    for image, label in zip(x, y.tolist(), strict=True):
        digest = hashlib.blake2b(np.ascontiguousarray(image.cpu().numpy()).tobytes(), digest_size=8)
        digest.update(f"{seed} {label}".encode())
        keys.append(int.from_bytes(digest.digest(), "little") >> 1)
    return keys


def stream(key: int, *words: Any) -> torch.Generator:
    """Return the generator that `key` and `words` name: the same each time."""
    text = " ".join(str(w) for w in (key, *words)).encode()
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


def uniform(keys: list[int], shape: tuple[int, ...], *words: Any) -> Tensor:
    """Return (N, *shape) numbers, uniform in -1..1, each row from its own stream."""
    return torch.stack([torch.rand(shape, generator=stream(k, *words)) for k in keys]).mul_(2).sub_(1)


def gaussian(keys: list[int], shape: tuple[int, ...], *words: Any) -> Tensor:
    """Return (N, *shape) standard normal numbers, each row from its own stream."""
    return torch.stack([torch.randn(shape, generator=stream(k, *words)) for k in keys])
