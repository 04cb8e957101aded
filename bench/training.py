"""The training loop, measured: its overhead, the ceiling, CIFAR-10 against the usual loop, what each trick gives.

    python bench/training.py overhead | ceiling | compiled | cifar-steps | cifar-usual [--epochs N]
    python bench/training.py cifar-run [--images N] [--epochs N] [--seeds S ...]
    python bench/training.py ablation [--recipe mnist] [--images N] [--epochs N] [--seeds S ...]

Needs HUBEL_DATA for all but the first two. Each part writes a section of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from _table import append_results, markdown
from hubel import engine, nets, training
from hubel.training import recipes
from hubel.training.recipes import cifar94, mnist

DATA = Path(os.environ.get("HUBEL_DATA", "."))


# -- overhead -----------------------------------------------------------------------------------------------------------

def by_hand(network: nn.Module, x: Tensor, y: Tensor, batch: int, low: bool) -> float:
    """Seconds a step of what one would write: shuffle, gather, normalise, forward, backward, step, sum up the loss."""
    network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9, nesterov=True, fused=True)
    order = torch.randperm(len(x))
    total, right, began = 0.0, 0, time.perf_counter()
    for places in order.split(batch):
        images = x[places].to(torch.float32, memory_format=torch.channels_last).div_(255)
        labels = y[places]
        with torch.autocast("cpu", torch.bfloat16) if low else contextlib.nullcontext():
            outputs = network(images)
        loss = F.cross_entropy(outputs.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(places)
        right += int((outputs.argmax(1) == labels).sum())
    return (time.perf_counter() - began) / -(-len(x) // batch)


def by_fit(network: nn.Module, x: Tensor, y: Tensor, batch: int) -> float:
    ends: list[float] = []
    note = training.LambdaCallback(on_train_batch_begin=lambda b: ends.append(time.perf_counter()) if b == 0 else None)
    training.fit(network, (x, y), batch_size=batch, optimizer=training.SGD(0.05, 0.9, True), verbose=0, callbacks=[note])
    return (time.perf_counter() - ends[0]) / -(-len(x) // batch)


def overhead(repeats: int = 5) -> None:
    rows = []
    draws = torch.Generator().manual_seed(0)
    for name, make, shape, batch, steps in (
            ("recipe mnist's network", mnist.network, (1, 28, 28), 128, 100),
            ("CIFAR ResNet-20", lambda: nets.build("cifar_resnet", 10, 3), (3, 32, 32), 128, 8),
            ("recipe cifar94's network", cifar94.network, (3, 32, 32), 250, 3)):
        x = torch.randint(0, 256, (batch * steps, *shape), dtype=torch.uint8, generator=draws)
        y = torch.randint(0, 10, (batch * steps,), generator=draws)
        low = engine.autocast(make().to(memory_format=torch.channels_last),
                              x[:batch].float().contiguous(memory_format=torch.channels_last)) is not contextlib.nullcontext
        ours, hand = [], []
        for i in range(repeats + 1):
            pair = by_fit(make(), x, y, batch), by_hand(make(), x, y, batch, low)
            if i:
                ours.append(pair[0])
                hand.append(pair[1])
        a, b = statistics.median(hand), statistics.median(ours)
        rows.append([f"{name}, batches of {batch}", f"{1e3 * a:.2f} ms", f"{1e3 * b:.2f} ms", f"{b / a - 1:+.1%}"])
    publish("Overhead of fit over a loop written by hand", ["network", "by hand", "fit", "overhead"], rows,
            f"A step, median of {repeats} alternating runs; both in the same precision and memory layout, with loss and "
            "accuracy of every batch.")


# -- ceiling ------------------------------------------------------------------------------------------------------------

def ceiling() -> None:
    from hubel.cli import run

    caught = io.StringIO()
    with contextlib.redirect_stdout(caught):
        run(["bench", "--json"])
    facts = json.loads(caught.getvalue())
    from hubel.engine.ceiling import SHAPES

    rows = [[f"3x3 convolutions, {c['precision']} {c['layout']}", "", f"{max(c['per_shape']) / 1e9:.0f}", "",
             ", ".join(f"{ch}@{s}: {v / 1e9:.0f}" for (ch, s, _), v in zip(SHAPES, c["per_shape"], strict=True))]
            for c in facts["ceilings"]]
    for found in facts["networks"]:
        for what in ("training", "inference"):
            t = found[what]
            parts = ", ".join(f"{k} {v:.0%}" for k, v in t["parts"].items() if v >= 0.015)
            rows.append([f"{found['name']}, {t['what']}, {t['images']} x {found['shape'][1]} px, {t['precision']}",
                         f"{t['images_per_second']:,.0f}", f"{t['flops_per_second'] / 1e9:.0f}", f"{t['share']:.0%}", parts])
    publish("What share of the convolution ceiling is reached", ["what", "images/s", "GFLOP/s", "of the ceiling", "detail"],
            rows, "`hubel bench`. The ceiling is the best convolution above; steps are fit's own.")


# -- torch.compile ------------------------------------------------------------------------------------------------------

def compiled(repeats: int = 5) -> None:
    """A training step, and inference, as the engine runs them and as torch.compile makes of the same network in bf16."""
    rows = [row for case in (("recipe mnist's network", mnist.network, (1, 28, 28), 128),
                             ("recipe cifar94's network", cifar94.network, (3, 32, 32), 250),
                             ("ResNet-18", lambda: nets.build("resnet18", 1000, 3), (3, 224, 224), 16))
            for row in _against_inductor(*case, repeats)]
    publish("torch.compile", ["what", "the engine's way", "torch.compile", "times the engine's", "first call"], rows,
            f"Median of {repeats} alternating calls. Training: forwards and backwards in bf16 autocast, channels-last, without the "
            "optimiser; inference: `engine.frozen` against the compiled network in evaluation mode.")


def _against_inductor(name: str, make: Any, shape: tuple[int, ...], batch: int, repeats: int) -> list[list[str]]:
    low = torch.autocast("cpu", torch.bfloat16)
    x = torch.rand(batch, *shape).contiguous(memory_format=torch.channels_last)
    y = torch.randint(0, 10, (batch,))
    network = make().to(memory_format=torch.channels_last)
    network(x)  # sizes lazy layers
    inductor = torch.compile(network)

    def step(module: Any) -> None:
        with low:
            outputs = module(x)
        F.cross_entropy(outputs.float(), y).backward()
        network.zero_grad()

    def answer(module: Any) -> Tensor:
        with torch.no_grad(), low:
            return module(x)

    def medians(ours: Any, theirs: Any) -> tuple[float, float]:
        pairs = [(_seconds(ours), _seconds(theirs)) for _ in range(repeats + 1)][1:]
        return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)

    network.train()
    first = _seconds(lambda: step(inductor))
    a, b = medians(lambda: step(network), lambda: step(inductor))
    rows = [[f"{name}, training step, {batch} images", f"{1e3 * a:.1f} ms", f"{1e3 * b:.1f} ms", f"{b / a:.2f}x", f"{first:.0f} s"]]
    network.eval()
    ours = engine.frozen(network, x)
    off = float((ours(x) - answer(inductor).float()).abs().mean() / ours(x).std())
    a, b = medians(lambda: ours(x), lambda: answer(inductor))
    rows.append([f"{name}, inference, {batch} images", f"{1e3 * a:.1f} ms", f"{1e3 * b:.1f} ms", f"{b / a:.2f}x",
                 f"answers differ by {off:.3f} of their spread"])
    print(*rows, sep="\n", flush=True)
    return rows


def _seconds(call: Any) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


# -- CIFAR-10 -----------------------------------------------------------------------------------------------------------

def cifar() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """uint8 (N, 3, 32, 32) and labels, training and held out: 250 of each class, drawn with seed 0."""
    from PIL import Image

    xs, ys = [], []
    for label, name in enumerate(("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")):
        for sheet in sorted((DATA / "cifar10" / "train").glob(f"{name}-*.webp")):
            pixels = np.asarray(Image.open(sheet).convert("RGB"))
            rows, columns = pixels.shape[0] // 32, pixels.shape[1] // 32
            xs.append(pixels.reshape(rows, 32, columns, 32, 3).transpose(0, 2, 4, 1, 3).reshape(-1, 3, 32, 32))
            ys.append(np.full(len(xs[-1]), label))
    x, y = torch.from_numpy(np.concatenate(xs)), torch.from_numpy(np.concatenate(ys))
    draws = np.random.default_rng(0)
    mixed = [draws.permutation(np.flatnonzero(y.numpy() == k)) for k in range(10)]
    held = np.concatenate([m[:250] for m in mixed])
    rest = draws.permutation(np.concatenate([m[250:] for m in mixed]))
    return x[rest], y[rest], x[held], y[held]


class BasicBlock(nn.Module):
    """Of the ResNet-18 that CIFAR is usually trained with: 3 x 3 stem, no pooling, 64 to 512 channels, 11 million weights."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.short = nn.Sequential() if stride == 1 and inputs == outputs else nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.short(x))


def resnet18() -> nn.Sequential:
    widths, blocks, inputs = (64, 128, 256, 512), [], 64
    for i, width in enumerate(widths):
        blocks += [BasicBlock(inputs, width, 1 if i == 0 else 2), BasicBlock(width, width, 1)]
        inputs = width
    return nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(), *blocks,
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


class Usual(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """What a tutorial's transforms do: pad by 4, crop, mirror, normalise, one image at a time."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y
        self.mean, self.std = (torch.tensor(v).reshape(3, 1, 1) for v in (cifar94.MEAN, cifar94.STD))

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
        image = F.pad(self.x[place].float() / 255, (4, 4, 4, 4))
        i, j = (int(v) for v in torch.randint(0, 9, (2,)))
        image = image[:, i : i + 32, j : j + 32]
        return ((image.flip(-1) if torch.rand(()) < 0.5 else image) - self.mean) / self.std, self.y[place]


def usual_steps(x: Tensor, y: Tensor, steps: int) -> float:
    """Seconds a step of the standard loop: SGD, momentum 0.9, decay 5e-4, fp32, NCHW, a DataLoader with two workers,
    batches of 128."""
    network = resnet18().train()
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
    loader = torch.utils.data.DataLoader(Usual(x, y), 128, shuffle=True, num_workers=2)
    ends = []
    for images, labels in loader:
        loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ends.append(time.perf_counter())
        if len(ends) > steps:
            break
    return (ends[-1] - ends[0]) / steps


def recipe_steps(x: Tensor, y: Tensor, steps: int) -> float:
    """Seconds a step of the recipe's, batches of its own size."""
    ends: list[float] = []
    note = training.LambdaCallback(on_train_batch_end=lambda b, logs: ends.append(time.perf_counter()))
    cifar94.train(x[: cifar94.BATCH * (steps + 1)], y[: cifar94.BATCH * (steps + 1)], classes=10, epochs=1, verbose=0,
                  callbacks=[note])
    return (ends[-1] - ends[0]) / steps


def cifar_steps(repeats: int = 3) -> None:
    x, y, _, _ = cifar()
    engine.keep_memory()
    ours, theirs = [], []
    for _ in range(repeats):
        theirs.append(usual_steps(x, y, 3) / 128)
        ours.append(recipe_steps(x, y, 5) / cifar94.BATCH)
    a, b = statistics.median(theirs), statistics.median(ours)
    publish("CIFAR-10: seconds an image", ["loop", "ms an image", "s for 22,500"], [
        ["ResNet-18, SGD, fp32, NCHW, DataLoader, batches of 128", f"{1e3 * a:.2f}", f"{22500 * a:.0f}"],
        [f"recipe cifar94, batches of {cifar94.BATCH}", f"{1e3 * b:.2f}", f"{22500 * b:.0f}"]],
        f"Median of {repeats} alternating runs of a few steps, data loading and augmentation included.")


def cifar_usual(epochs: int, seed: int = 0) -> None:
    """What the usual loop's ResNet-18 reaches in so many epochs, its rate falling along a cosine made for them. Only the
    accuracy is measured here (in bf16, which is faster): the seconds are those of `cifar-steps`."""
    x, y, xt, yt = cifar()
    torch.manual_seed(seed)
    network = resnet18().train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
    loader = torch.utils.data.DataLoader(Usual(x, y), 128, shuffle=True)
    total = epochs * len(loader)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: min((i + 1) / 60, (1 + np.cos(np.pi * i / total)) / 2))
    rows, mean, std = [], *(torch.tensor(v).reshape(3, 1, 1) for v in (cifar94.MEAN, cifar94.STD))
    for epoch in range(epochs):
        for images, labels in loader:
            with torch.autocast("cpu", torch.bfloat16):
                loss = F.cross_entropy(network(images.contiguous(memory_format=torch.channels_last)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rates.step()
        network.eval()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            found = torch.cat([network((part.float() / 255 - mean) / std).argmax(1) for part in xt.split(250)])
        network.train()
        rows.append([str(epoch + 1), f"{(found == yt).float().mean():.2%}"])
        print(rows[-1], flush=True)
    publish(f"CIFAR-10: what the usual loop reaches in {epochs} epochs", ["epochs of 22,500 images", "accuracy"], rows,
            f"ResNet-18, SGD, cosine over {epochs} epochs, seed {seed}, {len(xt):,} images held out.")


def cifar_run(images: int | None, epochs: int | None, seeds: list[int], checkpoint: str | None) -> None:
    """With a checkpoint (one seed), a run that was stopped goes on where it was; only the time it ran counts."""
    x, y, xt, yt = cifar()
    x, y = x[:images], y[:images]
    rows = []
    for seed in seeds:
        options: dict[str, Any] = {} if epochs is None else {"epochs": epochs}
        network, history = cifar94.train(x, y, seed=seed, verbose=2, checkpoint=checkpoint, checkpoint_seconds=10.0, **options)
        if history.interrupted:
            raise SystemExit("stopped: the same command goes on")
        seconds = history.seconds[-1]
        plain, averaged = accuracies(network, xt, yt)
        rows.append([len(x), len(history.epoch), seed, f"{seconds:.0f} s", f"{plain:.2%}", f"{averaged:.2%}"])
        print(rows[-1], flush=True)
    publish(f"CIFAR-10: recipe cifar94, {epochs or cifar94.EPOCHS} epochs", ["images", "epochs", "seed", "seconds to train", "accuracy",
                                         "with test-time augmentation"], rows,
            f"{len(xt):,} images held out.")


def accuracies(network: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Without and with test-time augmentation."""
    return accuracy(cifar94, network, x, y), float((cifar94.predict(network, x).argmax(1) == y).float().mean())


def ablation(name: str, images: int | None, epochs: int | None, seeds: list[int], only: list[str] | None) -> None:
    """Each trick left out in turn, all else equal. `only` measures some of them."""
    recipe: Any = recipes.get(name)
    x, y, xt, yt = cifar() if name == "cifar94" else digits()
    options: dict[str, Any] = {} if epochs is None else {"epochs": epochs}
    rows, whole = [], 0.0
    for trick in ("", *(only or recipe.TRICKS)):
        found = []
        for seed in seeds:
            network, _ = recipe.train(x[:images], y[:images], seed=seed, without=[trick] if trick else [], verbose=0, **options)
            found.append(accuracies(network, xt, yt) if name == "cifar94" else 2 * (accuracy(recipe, network, xt, yt),))
            print(trick or "all", seed, found[-1], flush=True)
        plain, averaged = (float(v) for v in np.mean(found, 0))
        whole = whole or averaged
        rows.append([f"without {trick}" if trick else "all tricks", f"{averaged:.2%}", f"{averaged - whole:+.2%}"])
        if not trick and name == "cifar94":
            rows.append(["without test-time augmentation", f"{plain:.2%}", f"{plain - whole:+.2%}"])
    deviation = (whole * (1 - whole) / len(xt)) ** 0.5
    publish(f"What each trick gives: recipe {name}", [f"recipe {name}", "accuracy", "difference"], rows,
            f"{len(x[:images]):,} training images, {epochs or 'the usual'} epochs, seeds {seeds}, {len(xt):,} images "
            f"tested: their number alone makes {deviation:.2%} of uncertainty.")


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """MNIST's training and test images, uint8 (N, 1, 28, 28), and labels."""
    from hubel import data

    source = data.load(DATA / "mnist")
    found = []
    for part in (source.train, source.test):
        found += [torch.from_numpy(part.arrays(size=(28, 28), channels=1)).permute(0, 3, 1, 2).contiguous(),
                  torch.from_numpy(np.array(part.labels))]
    return found[0], found[1], found[2], found[3]


def accuracy(recipe: Any, network: nn.Module, x: Tensor, y: Tensor) -> float:
    return training.evaluate(network, (x, y), normalise=recipes.normaliser(recipe), batch_size=500)["accuracy"]


def publish(section: str, header: list[str], rows: list[list[Any]], note: str) -> None:
    table = markdown(header, rows, note)
    print(table)
    append_results(section, table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("part", choices=["overhead", "ceiling", "compiled", "cifar-steps", "cifar-usual", "cifar-run", "ablation"])
    parser.add_argument("--images", type=int, default=None)
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--recipe", default="cifar94", choices=recipes.names(), help="for the ablation")
    parser.add_argument("--checkpoint", default=None, help="for cifar-run: its state, to go on from")
    parser.add_argument("--only", nargs="+", default=None, help="tricks to leave out, for the ablation")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    if arguments.part == "cifar-run":
        cifar_run(arguments.images, arguments.epochs, arguments.seeds, arguments.checkpoint)
    elif arguments.part == "cifar-usual":
        cifar_usual(arguments.epochs or 3)
    elif arguments.part == "ablation":
        ablation(arguments.recipe, arguments.images, arguments.epochs, arguments.seeds, arguments.only)
    else:
        {"overhead": overhead, "ceiling": ceiling, "compiled": compiled, "cifar-steps": cifar_steps}[arguments.part]()
