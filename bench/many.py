"""Many small networks at once (torch.func.vmap over stacked weights) against one after another: `python bench/many.py`.

Both do the same steps of SGD with momentum on the same batches, from the same weights, and end with the same weights (checked).
One thread.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from _table import alternate, append_results, markdown, median
from hubel import nets
from hubel.phenomena.many import stack, train_many

STEPS = 10
x, y = torch.rand(64, 1, 8, 8), torch.randint(0, 10, (64,))


def dense(width: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))


def convolutional(width: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, stride=2, padding=1), nn.ReLU(),
                         nn.Flatten(), nn.Linear(16 * width, 10))


def residual(depth: int) -> nn.Module:
    net = nets.build("cifar_resnet", 10, 1, depth=depth, width=4)
    net.pool = nets.GlobalAveragePooling2D()
    return net


def at_once(make: Callable[[], nn.Module], count: int) -> torch.Tensor:
    return train_many(make, count, x, y, steps=STEPS, batch_size=64, learning_rate=0.01).logits(x)


def one_by_one(make: Callable[[], nn.Module], count: int) -> torch.Tensor:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        networks = [make() for _ in range(count)]
        stack(networks)  # without running averages, as above
        for net in networks:
            optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
            for _ in range(STEPS):
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(x), y).backward()
                optimizer.step()
        with torch.no_grad():
            return torch.stack([net.eval()(x) for net in networks])


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for name, make, counts in (("dense 64-8-8-10", partial(dense, 8), (4, 16, 64)), ("dense 64-64-64-10", partial(dense, 64), (4, 16, 64)),
                               ("dense 64-256-256-10", partial(dense, 256), (4, 16)), ("convolutional, 8 channels", partial(convolutional, 8), (4, 16)),
                               ("convolutional, 32 channels", partial(convolutional, 32), (4, 16)),
                               ("ResNet-20, 4 channels", partial(residual, 20), (3, 6))):
        for count in counts:
            apart = float((at_once(make, count) - one_by_one(make, count)).abs().max())
            assert apart < 1e-3, f"{name}: {apart}"
            t = median(alternate({"once": partial(at_once, make, count), "loop": partial(one_by_one, make, count)}, 3))
            per = 1e3 / STEPS / count
            rows.append([name, count, t["loop"] * per, t["once"] * per, f"{t['loop'] / t['once']:.1f}x"])
    table = markdown(["network", "how many", "one by one, ms a step", "at once, ms a step", "ratio"], rows,
                     "A step of one network, batch 64, 8x8 pixels, SGD with momentum, one thread; the answers agree.")
    print(table)
    append_results("Many small networks at once", table)


if __name__ == "__main__":
    main()
