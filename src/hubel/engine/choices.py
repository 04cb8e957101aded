"""What was measured once on this machine is not measured again: yes or no, by key, in a small file of the user's cache.

A choice made by timing could fall differently the next time, and with it the last bits of a result. Depends on nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from hubel.caching import cache_folder
from hubel.engine.settings import settings

_known: dict[str, bool] = {}


def choose(question: str, network: nn.Module, sample: Tensor, decide: Callable[[], bool]) -> bool:
    """Return the remembered answer to `question` for a network of this structure and inputs of this shape, or decide now."""
    key = f"{question} {_signature(network, sample)}"
    if key not in _known:
        _known.update(_read())
    if key not in _known:
        _known[key] = decide()
        _write(key, _known[key])
    return _known[key]


def _signature(network: nn.Module, sample: Tensor) -> str:
    parts = [type(m).__name__ + repr(m.extra_repr()) for m in network.modules()]
    parts += [torch.__version__, str(torch.get_num_threads()), str(tuple(sample.shape[1:])), str(min(len(sample), 64))]
    parts.append(str(sorted(vars(settings).items())))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]


def _file() -> Path:
    cpu = torch.cpu.get_capabilities().get("cpu_name", "") if hasattr(torch.cpu, "get_capabilities") else ""
    machine = hashlib.sha256(f"{platform.machine()} {cpu} {os.cpu_count()}".encode()).hexdigest()[:8]
    return cache_folder() / f"engine-{machine}.json"


def _read() -> dict[str, bool]:
    try:
        found = json.loads(_file().read_text())
        return {str(k): bool(v) for k, v in found.items()} if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}


def _write(key: str, answer: bool) -> None:
    path = _file()
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps({**_read(), key: answer}, indent=0))
        os.replace(temporary, path)
    except OSError:  # a read-only home: measured again next time
        temporary.unlink(missing_ok=True)
