"""From JPEG files to features, images a second: hubel against a plain PyTorch loop, ONNX Runtime and OpenVINO.

    HUBEL_DATA=... python bench/embedding.py speed       # onnxruntime and openvino must be installed
    HUBEL_DATA=... python bench/embedding.py memory      # peak memory at 1,000 and 20,000 images
    python bench/embedding.py index 50000                # similarity search: building, size, speed, what it finds

One network (EfficientNet-Lite0, 1,280 features), the same photos. The plain loop decodes with Pillow and runs fp32, NCHW,
in batches of 32. The other runtimes get every help: hubel's decoder on all threads, a batch ahead, and their own defaults
for speed (OpenVINO: hint THROUGHPUT, which chooses bf16 where the processor has it). Hubel's figure is the whole of
`embed_files`: hashing, decoding, the network, and the file.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from _table import alternate, append_results, markdown, median
from hubel import reuse
from hubel.data import read_image
from hubel.data.parallel import ordered_map
from hubel.model import Model, pretrained

BATCH = 32


def photos(count: int) -> list[Path]:
    found = sorted((Path(os.environ["HUBEL_DATA"]) / "caltech101").rglob("*.jpg"))
    return found[:: max(1, len(found) // count)][:count]


def plain_loop(paths: list[Path], network: nn.Module) -> np.ndarray:
    rows = []
    with torch.no_grad():
        for start in range(0, len(paths), BATCH):
            images = [np.asarray(Image.open(p).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR))
                      for p in paths[start : start + BATCH]]
            x = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().div(255)
            rows.append(network((x - 127 / 255) / (128 / 255)))
    return torch.cat(rows).numpy()


def batches(paths: list[Path]) -> Any:
    """float32 (32, 3, 224, 224), decoded by all threads, some ahead of the reader."""
    part = []
    for _, image in ordered_map(lambda p: read_image(p, 224, 3), paths, ahead=2 * BATCH):
        part.append(image)
        if len(part) == BATCH:
            yield prepared(part)
            part = []
    if part:
        yield prepared(part)


def prepared(images: list[np.ndarray]) -> np.ndarray:
    x = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().div_(255)
    return x.sub_(127 / 255).div_(128 / 255).contiguous().numpy()


def onnx_runtime(file: Path) -> Callable[[list[Path]], np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda paths: np.concatenate([session.run(None, {name: x})[0] for x in batches(paths)])


def open_vino(file: Path) -> Callable[[list[Path]], np.ndarray]:
    import openvino

    compiled = openvino.Core().compile_model(str(file), "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})

    def run(paths: list[Path]) -> np.ndarray:
        rows: dict[int, np.ndarray] = {}
        queue = openvino.AsyncInferQueue(compiled)
        queue.set_callback(lambda request, i: rows.__setitem__(i, request.get_output_tensor(0).data.copy()))
        for i, x in enumerate(batches(paths)):
            queue.start_async({0: x}, i)
        queue.wait_all()
        return np.concatenate([rows[i] for i in sorted(rows)])

    return run


def speed(count: int, repeats: int) -> None:
    paths = photos(count)
    model = pretrained()
    network = nn.Sequential(*[m for n, m in _chain(model.network)]).eval()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "network.onnx")
        torch.onnx.export(network, (torch.rand(BATCH, 3, 224, 224),), str(file), dynamo=False, input_names=["x"],
                          dynamic_axes={"x": {0: "n"}})
        body = reuse.feature_model(model)

        def ours() -> np.ndarray:
            reuse.embed_files(paths, Path(folder, "f.npz"), body, cache=False)
            return np.array(reuse.read_features(Path(folder, "f.npz")).features)

        runtimes = {"ONNX Runtime": onnx_runtime(file), "OpenVINO": open_vino(file)}
        calls: dict[str, Callable[[], np.ndarray]] = {"hubel, `embed_files`": ours}
        calls |= {name: (lambda run=run: run(paths)) for name, run in runtimes.items()}
        calls["PyTorch loop"] = lambda: plain_loop(paths, network)
        answers = {name: call() for name, call in calls.items()}
        exact = answers["PyTorch loop"]
        times = median(alternate(calls, repeats))
    rows = []
    for name, seconds in times.items():
        found = answers[name]
        cosine = (found * exact).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(exact, axis=1)
        rows.append([name, float(count / seconds), f"{times['PyTorch loop'] / seconds:.2f}", f"{np.median(cosine):.4f}"])
        print(rows[-1], flush=True)
    precision = body.frozen(body.preprocess(body.example(4)), "auto").precision
    note = (f"{count} JPEG photos of Caltech-101 (about 300 x 200), medians of {repeats} alternating runs; hubel ran in "
            f"{precision}. Cosine: the features' median likeness to the loop's (decoders and resizing differ, too).")
    append_results("From JPEG files to features", markdown(["way", "images/s", "against the loop", "cosine"], rows, note))


def _chain(network: Any) -> list[tuple[str, nn.Module]]:
    names = ("stem", "stem_norm", "stem_act", "blocks", "head", "head_norm", "head_act", "pool", "flatten")
    return [(name, getattr(network, name)) for name in names]


def memory() -> None:
    rows = []
    for count in (1000, 20_000):
        text = subprocess.run([sys.executable, __file__, "one", str(count)], check=True, capture_output=True, text=True).stdout
        rows.append([f"{count:,}", float(text)])
        print(rows[-1], flush=True)
    note = ("`embed_files` to .npz of 32 px copies of Caltech-101's photos, each of other content, with 1,280 features from a "
            "small network, so that the pipeline's memory shows and not the network's.")
    append_results("Memory of embedding a folder", markdown(["images", "peak memory, MB"], rows, note))


def index(count: int) -> None:
    rng = np.random.default_rng(0)
    hidden = rng.standard_normal((count, 48), np.float32) + 3 * np.eye(48, dtype=np.float32)[rng.integers(0, 48, count)]  # crowds, as photos have
    x = np.maximum(hidden, 0) @ rng.standard_normal((48, 1280), np.float32)
    np.maximum(x, 0, out=x)
    asked = x[:200] * rng.uniform(0.8, 1.2, (200, 1280)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        spent = time.process_time()
        made = reuse.build_index(reuse.Features(x, tuple(f"{i}.jpg" for i in range(count)), ("",) * count), Path(folder, "i"))
        built = time.process_time() - spent
        size = sum(f.stat().st_size for f in Path(folder, "i").iterdir())
        made.search(asked, 10)
        began = time.perf_counter()
        made.search(asked, 10)
        one = (time.perf_counter() - began) / len(asked)
        began = time.perf_counter()
        (asked @ x.T).argpartition(-10, axis=1)
        exact = (time.perf_counter() - began) / len(asked)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # the graph is in memory while it grows, as are the features here
        rows = [[f"{count:,}", built, size / 2**20, peak, 1000 * one, 1000 * exact, f"{made.recall(asked, x):.3f}"]]
    print(rows, flush=True)
    note = "Made-up features of 1,280 numbers in crowds; 200 queries, the ten nearest; recall against brute force."
    append_results("Similarity search", markdown(
        ["images", "built in, CPU s", "on disk, MB", "peak memory, MB", "a query, ms", "brute force, ms", "recall"], rows, note))


def one(count: int) -> None:
    small = Model(nn.Sequential(nn.Conv2d(3, 1280, 3, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 2)),
                  size=32, channels=3)
    with tempfile.TemporaryDirectory() as folder:
        files = [p.read_bytes() for p in photos(100)]
        for i in range(count):
            Path(folder, f"{i:05d}.jpg").write_bytes(files[i % len(files)] + i.to_bytes(4, "little"))
        files.clear()
        reuse.embed_files([folder], Path(folder, "f.npz"), small, cache=False)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("speed", "memory", "index", "one"))
    parser.add_argument("count", type=int, nargs="?", default=256)
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.what == "speed":
        speed(arguments.count, arguments.repeats)
    elif arguments.what == "memory":
        memory()
    else:
        {"one": one, "index": index}[arguments.what](arguments.count)
