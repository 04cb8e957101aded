"""Looking inside EfficientNet-Lite0: against inference alone, the grad-cam package and a loop in the manner of lucent.

`HUBEL_DATA=... python bench/look.py [topk] [gradcam] [synthesis]`, in an environment with grad-cam. Data: Caltech
101. Everybody computes with the same network on the same photos, in turns in one process.
"""

from __future__ import annotations

import os
import sys
import time
import types
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from _lucid import transforms, visualise
from _table import alternate, append_results, markdown, median
from hubel import data, look
from hubel.look.ascent import at_place
from hubel.look.canvasses import generator
from hubel.look.draw import as_tile, mosaic
from hubel.look.exciting import default_layers
from hubel.look.quick import quick
from hubel.look.stream import batches
from hubel.look.wobble import Draws, wobble
from hubel.model import pretrained

MODEL = pretrained()


class Pixels(nn.Module):
    """The network as the other libraries take it: normalisation inside, plain float32."""

    def __init__(self) -> None:
        super().__init__()
        self.network = MODEL.network

    def forward(self, x):
        return self.network(MODEL.normalise(x))


def stub_missing() -> None:
    """The peers import torchvision and IPython for helpers that are not measured here; empty modules will do."""
    names = ("torchvision", "torchvision.models", "torchvision.transforms", "torchvision.transforms.functional", "IPython",
             "IPython.display")
    for name in names:
        if name not in sys.modules:
            module = types.ModuleType(name)
            for word in ("Compose", "Normalize", "ToTensor", "resize", "display", "Image", "HTML"):
                setattr(module, word, lambda *a, **k: (lambda x: x))
            sys.modules[name] = module
    for name in names:
        parent, _, leaf = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], leaf, sys.modules[name])


def photos(count: int) -> np.ndarray:
    source = data.load(Path(os.environ["HUBEL_DATA"]) / "caltech101")
    return source.train.sample(count).arrays(224, 3)


def topk(repeats: int = 3) -> None:
    """Top-9 of every unit of every layer against inference alone, on the same fast copy and the same batches."""
    x = photos(2000)
    listed = look.layers(MODEL)
    names = default_layers(listed)
    copy = quick(MODEL, ["classifier"], MODEL.prepare(x[:4]))
    used = []

    def inference():
        with torch.no_grad():
            for part, _ in batches(MODEL, x):
                copy.network(copy.inputs(part))

    best = median(alternate({"inference": inference, "all": lambda: used.append(look.top_inputs(MODEL, x)[1])}, repeats))
    units = sum(listed[n].channels for n in names)
    rows = [[f"inference alone ({copy.precision})", best["inference"], len(x) / best["inference"], 1.0],
            [f"top-9, {units:,} units of {len(names)} layers ({used[-1]})", best["all"], len(x) / best["all"],
             best["all"] / best["inference"]]]
    append_results("Top-9 inputs of every unit", markdown(
        ["what", "seconds", "images/s", "ratio"], rows, f"EfficientNet-Lite0, {len(x)} photos, 224 px, arrays in memory."))


def gradcam(repeats: int = 1) -> None:
    stub_missing()
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    x = torch.from_numpy(photos(256)).permute(0, 3, 1, 2).float() / 255
    network = Pixels().eval()
    y = look.gradcam(MODEL, x).targets
    theirs = GradCAM(model=network, target_layers=[network.network.head_act])

    def package():
        return np.concatenate([theirs(x[i : i + 16], [ClassifierOutputTarget(int(k)) for k in y[i : i + 16]])
                               for i in range(0, len(x), 16)])

    times = median(alternate({"grad-cam": package, "hubel": lambda: look.gradcam(MODEL, x, y)}, repeats))
    maps = look.gradcam(MODEL, x, y).maps
    mine = torch.nn.functional.interpolate(maps / maps.amax((1, 2, 3), keepdim=True).clamp_min(1e-9), (224, 224),
                                           mode="bilinear")[:, 0].numpy()
    other = package()
    alike = [float(np.corrcoef(a.ravel(), b.ravel())[0, 1]) for a, b in zip(mine, other, strict=True)]
    rows = [["grad-cam", times["grad-cam"], 1.0], ["hubel", times["hubel"], times["grad-cam"] / times["hubel"]]]
    append_results("Grad-CAM", markdown(
        ["library", "seconds for 256 photos", "times faster"], rows,
        f"Maps: correlation {np.mean(alike):.4f} in the mean, {min(alike):.4f} at least (ours at 7 x 7, enlarged)."))


def synthesis(layer: str = "blocks.8", units: tuple[int, ...] = (22, 89), count: int = 16) -> None:
    """Channels of a middle layer, mean of the map: 512 steps of the loop, one unit at a time, against ours, many at once.

    Both pictures are judged by the network in float32 under draws of transforms that neither has seen: ours, and the loop's.
    """
    network = Pixels().eval()
    module = network.network.get_submodule(layer)
    many = [*units, *(u for u in range(80) if u not in units)][:count]
    look.synthesise(MODEL, layer=layer, units=many[:2], steps=2)  # not counted: the engine's choice is made once a machine
    start = time.perf_counter()
    mine = look.synthesise(MODEL, layer=layer, units=many, place="everywhere", preset="strong")
    ours = (time.perf_counter() - start) / len(many)
    start = time.perf_counter()
    pictures = torch.cat([visualise(network, module, unit) for unit in units])
    theirs = (time.perf_counter() - start) / len(units)
    which = torch.tensor(units)

    def reached(images, change):
        values = []
        for _ in range(16):
            with torch.no_grad():
                a = look.activations(MODEL.network, MODEL.normalise(change(images)), [layer])[layer]
            values.append(at_place(a, which, "everywhere"))
        return torch.stack(values).mean(0).tolist()

    how, rows = mine.recipe, []
    for label, images, seconds in (("the loop, 512 steps", pictures, theirs),
                                   (f"hubel, preset {how.name}, {how.steps} steps", mine.images[: len(units)], ours)):
        draws = Draws([generator((u, 99), 5) for u in units])
        ours_ = reached(images, lambda x: wobble(x, draws.next(), how.shift * 224, how.turn, how.scale))  # noqa: B023
        rows.append([label, seconds, 60 / seconds, theirs / seconds, " ".join(f"{v:.1f}" for v in ours_),
                     " ".join(f"{v:.1f}" for v in reached(images, transforms))])
    append_results("Synthesised inputs", markdown(
        ["what", "seconds a unit", "units a minute", "times faster", "activation, our transforms", "the loop's transforms"],
        rows, f"EfficientNet-Lite0, mean of channels {units} of {layer}, 224 px ({mine.precision}); the loop is bench/_lucid.py."))
    if "HUBEL_PICTURES" in os.environ:
        for name, images in (("loop", pictures), ("hubel", mine.images)):
            tiles = mosaic([as_tile(i) for i in images], 4, 224)
            Image.fromarray((tiles * 255).round().astype(np.uint8)).save(Path(os.environ["HUBEL_PICTURES"]) / f"{name}.png")


if __name__ == "__main__":
    for part in sys.argv[1:] or ("topk", "gradcam", "synthesis"):
        {"topk": topk, "gradcam": gradcam, "synthesis": synthesis}[part]()
