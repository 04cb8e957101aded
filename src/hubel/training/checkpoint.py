"""One file that holds a run's whole state: safetensors, with JSON in its header, renamed into place.

One file, since two could not be replaced together. Nothing is pickled. `write` and `read` know only tensors and JSON;
`compare` tells a checkpoint of another run from one of this run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from hubel.errors import InputError

FORMAT = 1


def write(path: str | Path, tensors: Mapping[str, Tensor], meta: dict[str, Any]) -> None:
    """Write tensors and JSON to `path`: a reader, at any time, finds the old file or the new one, whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    try:
        save_file(plain, str(new), metadata={"hubel": json.dumps({"format": FORMAT, **meta})})
        with new.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def read(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `write` wrote. Raises InputError for anything else."""
    try:
        with safe_open(str(path), framework="pt") as file:
            meta = json.loads((file.metadata() or {})["hubel"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise InputError(f"{path} is not a training checkpoint ({error}): delete it or name another path") from error
    if meta.get("format") != FORMAT:
        raise InputError(f"{path} is a checkpoint of format {meta.get('format')}, this version reads {FORMAT}: delete "
                         "it or name another path")
    return tensors, meta


def describe_network(network: nn.Module) -> str:
    """A short hash of the names, shapes and types of the network's state, and of what is trained."""
    facts = [(name, tuple(t.shape), str(t.dtype)) for name, t in network.state_dict().items()]
    trained = [name for name, p in network.named_parameters() if p.requires_grad]
    return hashlib.blake2b(repr((facts, trained)).encode(), digest_size=16).hexdigest()


def compare(path: str | Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raise InputError, naming the first difference, if the checkpoint belongs to a run set up otherwise."""
    for name in sorted(found.keys() | wanted.keys()):
        there, here = found.get(name), json.loads(json.dumps(wanted.get(name)))
        if there != here:
            difference = f"another {name}" if name in ("network", "data") else f"{name} {there!r} there, {here!r} here"
            raise InputError(f"the checkpoint {path} belongs to another run ({difference}): delete it or name another "
                             "path")


def optimizer_state(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimiser's state as named tensors and JSON."""
    state = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    plain: dict[str, dict[str, Any]] = {}
    for place, values in state["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{place}.{name}"] = value
            else:
                plain.setdefault(str(place), {})[name] = value
    return tensors, {"state": plain, "groups": state["param_groups"]}


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], meta: dict[str, Any]) -> None:
    """The inverse of `optimizer_state`. Buffers take their parameter's memory order, so that the same kernels run on
    them as before, and give the same bits."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Any]] = {int(place): dict(values) for place, values in meta["state"].items()}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            place, name = key.removeprefix("optimizer.").split(".", 1)
            like = parameters[int(place)]
            if value.shape == like.shape:
                value = torch.empty_like(like, dtype=value.dtype, requires_grad=False).copy_(value)
            state.setdefault(int(place), {})[name] = value
    current = optimizer.state_dict()["param_groups"]
    groups = [{name: tuple(value) if isinstance(ours.get(name), tuple) else value for name, value in saved.items()}
              for saved, ours in zip(meta["groups"], current, strict=True)]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
