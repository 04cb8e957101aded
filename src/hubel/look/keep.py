"""Where a pass over the data stood, in a file: so that it can be taken up again. Depends on safetensors, topk."""

from __future__ import annotations

import json
from pathlib import Path

from hubel.errors import InputError
from hubel.look.topk import TopK
from hubel.replacing import replacing


def save(path: Path, tops: dict[str, TopK], about: dict[str, str], done: int) -> None:
    """Write all running top-k and how many images they have seen; the file is replaced as a whole."""
    from safetensors.torch import save_file

    tensors = {f"{name}/{key}": value.contiguous() for name, top in tops.items() for key, value in top.state().items()}
    with replacing(path) as partial:
        save_file(tensors, partial, metadata={"look": json.dumps({**about, "done": done}, sort_keys=True)})


def load(path: Path, about: dict[str, str]) -> tuple[dict[str, TopK], int] | None:
    """Return what `save` wrote for the same model, data and layers, None where there is no file; raises InputError for a
    file of another run, or none of ours."""
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            known = json.loads((file.metadata() or {}).get("look", "{}"))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (safe_open is no mapping)
    except (SafetensorError, ValueError) as error:
        raise InputError(f"{path} is not a pass over data that was interrupted: delete it or name another file") from error
    done = known.pop("done", None)
    if done is None or known != about:
        raise InputError(f"{path} belongs to another model, data set or choice of layers: delete it or name another file")
    states: dict[str, dict] = {}
    for key, value in tensors.items():
        name, _, part = key.rpartition("/")
        states.setdefault(name, {})[part] = value
    return {name: TopK.restore(state) for name, state in states.items()}, int(done)
