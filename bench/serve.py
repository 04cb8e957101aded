"""The service under load against calling its model in batches directly: throughput, right answers, memory. Needs HUBEL_DATA.

    python bench/serve.py [--seconds 60] [--only photos|small] [--keep]

50 clients on the same machine, each sending its next request when the last is answered; JPEG decoding is in both. 'Direct' is
one process that decodes a batch in two threads and then computes it, before and after the service's turn. Each answer is
compared with the model's own in full precision. The clients' own work is on the service's account.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import hubel
from _load import Answers, load
from _table import append_results, markdown
from hubel import nets
from hubel.data.decode import decode_image
from hubel.serve.quick import batch_size

CLIENTS = 50
HEADER = ["model", "requests", "clients", "direct, images/s", "served, images/s", "share", "latency, median and 99%", "wrong of answered",
          "refused", "memory, first and last tenth"]


def photos() -> list[bytes]:
    """256 JPEGs as people have them."""
    paths = sorted((Path(os.environ["HUBEL_DATA"]) / "imagenet").rglob("*.JPEG"))
    return [p.read_bytes() for p in random.Random(0).sample(paths, min(256, len(paths)))]


def digits() -> tuple[np.ndarray, np.ndarray]:
    source = hubel.load(Path(os.environ["HUBEL_DATA"]) / "mnist").train.sample(4000, 0)
    return source.arrays((28, 28), 1), source.labels


def jpeg(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0]).save(file, "JPEG", quality=90)
    return file.getvalue()


def small_model(folder: Path) -> Path:
    x, y = digits()
    model = hubel.Model(nets.default(10, 1, (28, 28), seed=0), size=28, channels=1, mean=0.13, std=0.31)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    model.fit(x, y, epochs=1, batch_size=100, verbose=0)
    return model.save(folder / "digits.hubel")


def direct(model: Any, files: list[bytes], seconds: float, precision: str = "fp32") -> float:
    """Images a second of the model called in batches."""
    size, fast = batch_size(model), model.fast(precision=precision)
    with ThreadPoolExecutor(2) as pool, torch.no_grad():
        def batch(start: int) -> None:
            some = [files[(start + i) % len(files)] for i in range(size)]
            arrays = list(pool.map(lambda f: decode_image(f, model.size, model.channels), some))
            model.probabilities(fast(model.prepare(np.stack(arrays)))).numpy()

        batch(0)
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            batch(count)
            count += size
        return count / (time.perf_counter() - began)


def checker(model: Any, files: list[bytes], each: int) -> Callable[[int, bytes], str | None]:
    """Complain of an answer whose class is not the model's in full precision, or whose probability is off by 0.05."""
    p = np.concatenate([model.predict(decode_image(f, model.size, model.channels)[None]) for f in files])
    known: dict[tuple[int, bytes], str | None] = {}

    def look(place: int, body: bytes) -> str | None:
        for i, result in enumerate(json.loads(body)["results"]):
            row = p[place * each + i]
            if result["number"] != row.argmax() or abs(result["probability"] - row.max()) > 0.05:
                return f"image {place * each + i}: {result['number']} {result['probability']:.4f}, should be {row.argmax()} {row.max():.4f}"
        return None

    def check(place: int, body: bytes) -> str | None:
        key = place, body
        if key not in known:
            known[key] = look(place, body)
        return known[key]

    return check


def post(body: bytes, kind: str) -> bytes:
    return (f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


def form(files: list[bytes]) -> bytes:
    parts = b"".join(b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + f + b"\r\n" for f in files)
    return post(parts + b"--x--\r\n", "multipart/form-data; boundary=x")


def under_load(name: str, requests: list[bytes], seconds: float, check: Callable[[int, bytes], str | None],
               *options: str) -> tuple[Answers, list[int]]:
    """Start `hubel serve`, load it, stop it; its memory is read ten times a second."""
    command = [sys.executable, "-m", "hubel.cli", "serve", name, "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(re.search(r":(\d+)", process.stdout.readline())[1])  # type: ignore[index]
    memory: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            memory.append(int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))

    load(port, requests, CLIENTS, 2.0)
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        answers = load(port, requests, CLIENTS, seconds, check)
    finally:
        stop.set()
        thread.join()
        process.terminate()
        process.wait()
    return answers, memory


def measure(title: str, name: str, files: list[bytes], each: int, seconds: float) -> list[Any]:
    model = hubel.pretrained() if name == "efficientnet_lite0" else hubel.Model.load(name)
    groups = [files[i : i + each] for i in range(0, len(files) - each + 1, each)]
    requests = [post(g[0], "image/jpeg") if each == 1 else form(g) for g in groups]
    check = checker(model, files, each)
    span = min(6.0, seconds / 4)
    before = direct(model, files, span)
    answers, memory = under_load(name, requests, seconds, check)
    after = direct(model, files, span)
    base = (before + after) / 2
    served = len(answers.latencies) * each / answers.seconds
    late = np.quantile(answers.latencies, [0.5, 0.99]) * 1000
    tenth = max(1, len(memory) // 10)
    first, last = (statistics.mean(part) / 2**20 for part in (memory[:tenth], memory[-tenth:]))
    print(title, f"direct {before:.0f} and {after:.0f}", answers.statuses, answers.wrong[:3], flush=True)
    refused = sum(n for status, n in answers.statuses.items() if status != 200)
    return [title, f"{'one image' if each == 1 else f'{each} images'} each, {answers.seconds:.0f} s", CLIENTS, round(base), round(served),
            f"{served / base:.0%}", f"{late[0]:.0f} and {late[1]:.0f} ms", f"{len(answers.wrong)} of {len(answers.latencies):,}", refused,
            f"{first:.0f} and {last:.0f} MB"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--only", choices=("photos", "small"))
    parser.add_argument("--keep", action="store_true", help="write the tables into RESULTS.md")
    arguments = parser.parse_args()
    if arguments.only != "small":
        report("Serving", [measure("EfficientNet-Lite0, 224 px", "efficientnet_lite0", photos(), 1, arguments.seconds)], arguments.keep)
    if arguments.only != "photos":
        with tempfile.TemporaryDirectory() as folder:
            name, files = str(small_model(Path(folder))), [jpeg(x) for x in digits()[0][:1600]]
            rows = [measure("small_resnet, 28 px", name, files, each, arguments.seconds) for each in (1, 32)]
        report("Serving small images", rows, arguments.keep)


def report(section: str, rows: list[Any], keep: bool) -> None:
    table = markdown(HEADER, rows, "Each answer checked against the model in full precision: its class, and its probability to 0.05. "
                                   "The clients, on the same two cores, are part of what is served.")
    print(table, flush=True)
    if keep:
        append_results(section, table)


if __name__ == "__main__":
    main()
