"""Weights in few bytes, and back: 8-bit integers with a scale for each output channel. Depends on torch and safetensors."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hubel.errors import ModelError
from hubel.replacing import replacing


def packed(network: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    """Return kernels as int8 and a float32 scale a channel, all else as float32, by name."""
    out: dict[str, Tensor] = {}
    for name, p in network.state_dict().items():
        if p.ndim < 2:
            out[prefix + name] = p.detach().float().clone()
            continue
        scale = p.detach().float().flatten(1).abs().amax(dim=1).clamp_min(1e-12) / 127
        shape = (-1,) + (1,) * (p.ndim - 1)
        out[prefix + name] = (p.detach().float() / scale.view(shape)).round().to(torch.int8).contiguous()
        out[f"{prefix}{name}.scale"] = scale
    return out


def unpack(network: nn.Module, tensors: dict[str, Tensor], prefix: str = "") -> nn.Module:
    """Load what `packed` returned into `network`, and return it, in evaluation mode. Raises ModelError."""
    state: dict[str, Tensor] = {}
    for name, p in network.state_dict().items():
        try:
            value = tensors[prefix + name]
            if value.dtype is torch.int8:
                value = value.float() * tensors[f"{prefix}{name}.scale"].view((-1,) + (1,) * (p.ndim - 1))
        except KeyError as error:
            raise ModelError(f"the weights lack {error}: they are of another network") from error
        state[name] = value
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"the weights are of another network: {error}") from error
    return network.eval().requires_grad_(False)


def save(path: Path, tensors: dict[str, Tensor], meta: dict[str, str]) -> None:
    with replacing(path) as partial:
        save_file({name: t.contiguous() for name, t in tensors.items()}, str(partial), metadata=meta)


@lru_cache(maxsize=8)
def shipped(package: str, name: str) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file that lies in `package`. Raises ModelError."""
    source: Any = files(package).joinpath(name)
    try:
        with as_file(source) as path:
            return load_file(str(path))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"the weights {name} that belong to {package} cannot be read ({error}): install hubel again") from error
