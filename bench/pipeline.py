"""From a folder of JPEGs to gradient steps: images a second with the decoding and without it. Needs HUBEL_DATA.

    python bench/pipeline.py [--seconds 2.5] [--rounds 3]

Photos of 15 Scenes (about 250 x 300 pixels, 1,500 files) at 224 pixels in batches of 32. Four things are measured in turns:
decoding alone, Hubel's and a PyTorch DataLoader's of two workers (Pillow, one file an item); a network alone, on a batch in memory; and
both together as `fit` does it. 'Kept busy' is the rate of both together over the network's own.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from _table import append_results, markdown
from hubel import data, engine, nets
from hubel.training.precision import forward_context
from hubel.training.source import DatasetSource

SIZE, BATCH = 224, 32


class Files(torch.utils.data.Dataset):
    """As tutorials write it."""

    def __init__(self, dataset: data.Dataset) -> None:
        self.paths, self.labels = dataset.paths, dataset.labels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = Image.open(self.paths[index]).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        return torch.from_numpy(np.array(image)).permute(2, 0, 1), int(self.labels[index])


def endless(make: Callable[[int], Iterator[Any]]) -> Iterator[torch.Tensor]:
    epoch = 0
    while True:
        for batch in make(epoch):
            yield batch[0]
        epoch += 1


def rate(step: Callable[[], int], seconds: float) -> float:
    """Images a second, after a moment that is not counted."""
    until = time.perf_counter() + 0.7
    while time.perf_counter() < until:
        step()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        count += step()
    return count / (time.perf_counter() - began)


def trainer(network: torch.nn.Module, sample: torch.Tensor) -> Callable[[torch.Tensor], int]:
    network.train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9)
    context, _ = forward_context(network, prepared(sample), None)

    def step(x: torch.Tensor) -> int:
        with context():
            outputs = network(prepared(x))
        loss = torch.nn.functional.cross_entropy(outputs.float(), torch.zeros(len(x), dtype=torch.int64))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return len(x)

    return step


def predictor(network: torch.nn.Module, sample: torch.Tensor) -> Callable[[torch.Tensor], int]:
    fast = engine.frozen(network.eval(), prepared(sample))

    def step(x: torch.Tensor) -> int:
        with torch.no_grad():
            fast(prepared(x))
        return len(x)

    return step


def prepared(x: torch.Tensor) -> torch.Tensor:
    return (x.float() / 255 - 0.5).div_(0.25).contiguous(memory_format=torch.channels_last)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.5)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    dataset = data.load(Path(os.environ["HUBEL_DATA"]) / "scenes15").train
    source = DatasetSource(dataset, SIZE, 3)

    def ours() -> Iterator[torch.Tensor]:
        return endless(lambda epoch: source.epoch(epoch, 0, BATCH))

    loader = torch.utils.data.DataLoader(Files(dataset), BATCH, shuffle=True, num_workers=2)
    rows = []
    decoding = {}
    for name, stream in (("Hubel", ours()), ("DataLoader, two workers, Pillow", endless(lambda _: iter(loader)))):
        decoding[name] = rate(lambda stream=stream: len(next(stream)), arguments.seconds)
        rows.append([f"decoding alone, {name}", decoding[name], ""])
    sample = next(ours())
    for what, make in (("training", trainer), ("prediction", predictor)):
        for name in ("small_resnet", "resnet18", "efficientnet_lite0"):
            options = {"width": 32, "stages": 4, "kernel": 5, "stride": 4} if name == "small_resnet" else {}
            step = make(nets.build(name, 15, 3, seed=0, **options), sample)
            stream = ours()
            step(sample)  # the first one chooses precisions
            runs = [(rate(lambda step=step: step(sample), arguments.seconds),
                     rate(lambda step=step, stream=stream: step(next(stream)), arguments.seconds))
                    for _ in range(arguments.rounds)]
            alone, both = (float(np.median(values)) for values in zip(*runs, strict=True))
            stream.close()
            best = 1 / (1 / alone + 1 / decoding["Hubel"])
            rows += [[f"{what}, {name}: network alone", alone, ""],
                     [f"{what}, {name}: from the folder", both, f"{both / alone:.0%} of the network's own; with the cores shared "
                      f"between the two, {best / alone:.0%} is the most there is"]]
    table = markdown(["JPEG folder to network, 224 px", "images/s", "kept busy"], rows,
                     f"scenes15, batches of {BATCH}; medians of {arguments.rounds} runs of {arguments.seconds:g} s in turns.")
    print(table)
    append_results("Input pipeline from a JPEG folder", table)


if __name__ == "__main__":
    main()
