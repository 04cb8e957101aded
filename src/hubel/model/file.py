"""A model in one file: safetensors with a JSON description in its header. No pickle, nothing executed on loading."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

import hubel
from hubel.errors import ModelError

FORMAT = 1
_CHECK = "hubel.check.outputs"


def write(path: str | os.PathLike[str], state: dict[str, Tensor], description: dict[str, Any], outputs: Tensor) -> Path:
    """Write weights, description and the recorded outputs to `path`, under a temporary name first."""
    path = Path(path)
    header = {"format": FORMAT, "hubel": hubel.__version__, "torch": torch.__version__.split("+")[0], **description}
    # cloned, since safetensors refuses tensors that share memory
    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in state.items()}
    tensors[_CHECK] = outputs.detach().cpu().contiguous()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, temporary, metadata={"hubel": json.dumps(header)})
        os.replace(temporary, path)
    except OSError as error:
        raise ModelError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any], Tensor]:
    """Return (weights, description, recorded outputs) of a model file; raises ModelError with the reason and a remedy."""
    path = Path(path)
    if path.is_dir():
        raise ModelError(f"{path} is a directory: give the model file in it")
    if not path.exists():
        raise ModelError(f"{path} does not exist: give a file written by Model.save or `hubel train`")
    try:
        with safe_open(path, framework="pt", device="cpu") as f:
            metadata = f.metadata() or {}
            tensors = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, struct.error, ValueError) as error:
        raise ModelError(f"{path} is not a Hubel model file: {_reason(path, error)}") from error
    try:
        header = json.loads(metadata["hubel"])
        if header["format"] > FORMAT:
            raise ModelError(f"{path} has format {header['format']}, this Hubel reads up to {FORMAT}: upgrade hubel")
        return tensors, header, tensors.pop(_CHECK)
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ModelError(
            f"{path} holds weights but no Hubel description: build the network, load them with "
            "load_state_dict(safetensors.torch.load_file(...)) and wrap it: Model(network, classes=...)"
        ) from error


def _reason(path: Path, error: Exception) -> str:
    start = path.read_bytes()[:4] if path.stat().st_size else b""
    if not start:
        return "it is empty"
    if start[:2] in (b"PK", b"\x80\x02") or path.suffix in (".pt", ".pth", ".pkl", ".h5"):
        return ("it looks like a pickle or another framework's file, which Hubel never loads: "
                "build the network, load its weights yourself and wrap it with Model(network, classes=...)")
    return f"it is damaged or of another kind ({error})"
