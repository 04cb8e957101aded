"""State dicts of torchvision and timm as Models, for networks that `nets` builds under their names. Depends on model.

Only tensors are read (`weights_only`), never code.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hubel import nets
from hubel.errors import InputError, ModelError
from hubel.model import Model
from hubel.model.imagenet import CLASSES

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5,), (0.5,))  # timm's EfficientNet-Lite
_HEADS = ("fc.weight", "classifier.weight", "head.fc.weight")


def from_state_dict(path: str | os.PathLike[str], architecture: str, *, size: int = 224, mean: Any = None, std: Any = None,
                    classes: Any = None) -> Model:
    """Return a Model of `architecture` with the weights in a .pth, .pt or .safetensors file.

    mean, std : in pixels of 0..1; None is what torchvision and timm trained this architecture with. classes : names; None
    is ImageNet's for 1,000 outputs. Raises ModelError for a file of another kind, InputError for an unknown architecture.
    """
    if architecture not in nets.ARCHITECTURES:
        raise InputError(f"architecture {architecture!r} is unknown: one of {', '.join(sorted(nets.ARCHITECTURES))}")
    state = _read(Path(path))
    if architecture.startswith("efficientnet_lite") and "conv_stem.weight" in state:
        state = from_timm_lite(state)
    head = next((state[name] for name in (*_HEADS, *reversed(state)) if name in state and state[name].ndim == 2), None)
    if head is None:
        raise ModelError(f"{path} holds no dense layer, so the number of classes is unknown: give a whole network's state")
    network = nets.build(architecture, len(head))
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"the weights in {path} are not those of {architecture}: {str(error)[:200]}") from error
    default = HALF if architecture.startswith("efficientnet_lite") else IMAGENET
    names = classes if classes is not None else CLASSES if len(head) == 1000 else None
    return Model(network.eval(), names, size=size, channels=3, mean=mean or default[0], std=std or default[1])


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ModelError(f"{path} does not exist: give a state dict, .pth or .safetensors")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged archives raise nearly anything
        raise ModelError(f"{path} is no state dict of tensors alone: save network.state_dict()") from error
    if isinstance(state, dict):
        state = state.get("state_dict", state)
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(f"{path} is no state dict: save network.state_dict()")
    return {name.removeprefix("module."): value for name, value in state.items()}


_OUTER = {"conv_stem": "stem", "bn1": "stem_norm", "conv_head": "head", "bn2": "head_norm", "classifier": "classifier"}
_FIRST = {"conv_dw": "depthwise", "bn1": "depthwise_norm", "conv_pw": "project", "bn2": "project_norm"}
_OTHER = {"conv_pw": "expand", "bn1": "expand_norm", "conv_dw": "depthwise", "bn2": "depthwise_norm", "conv_pwl": "project",
          "bn3": "project_norm"}


def from_timm_lite(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """timm's names of an EfficientNet-Lite (blocks.STAGE.REPEAT...) as ours (blocks.NUMBER...)."""
    places = sorted({(int(m[1]), int(m[2])) for name in state if (m := re.match(r"blocks\.(\d+)\.(\d+)\.", name))})
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        match = re.match(r"blocks\.(\d+)\.(\d+)\.(\w+)\.(\w+)$", name)
        try:
            if match is None:
                layer, _, rest = name.partition(".")
                found[f"{_OUTER[layer]}.{rest}"] = value
                continue
            table = _FIRST if match[1] == "0" else _OTHER
            place = places.index((int(match[1]), int(match[2])))
            found[f"blocks.{place}.{table[match[3]]}.{match[4]}"] = value
        except KeyError as error:
            raise ModelError(f"the state dict holds an entry {name!r} that EfficientNet-Lite has not") from error
    return found
