"""The frozen EfficientNet-Lite0's depthwise layers: the compiled core's loops against oneDNN's, layer by layer and in the network.

    python bench/depthwise.py
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from _table import alternate, append_results, markdown, median
from hubel import engine
from hubel.engine.conv import FrozenConv2d
from hubel.model import pretrained

BATCH = 16


def compared(run: Any, x: Tensor) -> dict[str, float]:
    """Milliseconds of `run(x)` by each way."""
    def by_library() -> None:
        with engine.using(depthwise=False):
            run(x)

    times = median(alternate({"compiled": lambda: run(x), "oneDNN": by_library}, 7))
    return {name: 1000 * seconds for name, seconds in times.items()}


def layers(network: torch.nn.Module, x: Tensor) -> dict[FrozenConv2d, Tensor]:
    """Each depthwise layer that has compiled loops, and its input."""
    found: dict[FrozenConv2d, Tensor] = {}
    hooks = [m.register_forward_pre_hook(lambda m, args: found.__setitem__(m, args[0]))
             for m in network.modules() if isinstance(m, FrozenConv2d) and m.compiled is not None]
    network(x)
    for hook in hooks:
        hook.remove()
    return found


def main() -> None:
    network, x = pretrained().network, torch.rand(BATCH, 3, 224, 224)
    threads, rows, sums = torch.get_num_threads(), [], {}
    for count in sorted({1, threads}):
        torch.set_num_threads(count)
        run = engine.frozen(network, x)
        whole = compared(run, x)
        rows.append([f"whole network, {count} thread{'s' * (count > 1)}", whole["oneDNN"], whole["compiled"], f"{whole['oneDNN'] / whole['compiled']:.2f}"])
        each = []
        for layer, given in layers(run, x).items():
            times, size = compared(layer, given), " x ".join(map(str, given.shape[1:]))
            each.append(times)
            if count == 1:
                rows.append([f"{size}, {layer.kernel_size[0]} x {layer.kernel_size[0]}, stride {layer.stride[0]}", times["oneDNN"],
                             times["compiled"], f"{times['oneDNN'] / times['compiled']:.2f}"])
        sums = {name: sum(times[name] for times in each) for name in ("oneDNN", "compiled")}
        rows.append([f"these {len(each)} layers, {count} thread{'s' * (count > 1)}", *sums.values(), f"{sums['oneDNN'] / sums['compiled']:.2f}"])
    note = f"EfficientNet-Lite0, bf16, channels-last, {BATCH} images of 224 px; layers one at a time, on one thread."
    append_results("Depthwise layers of a frozen network", markdown(["what", "oneDNN, ms", "compiled, ms", "ratio"], rows, note))


if __name__ == "__main__":
    with torch.no_grad():
        main()
