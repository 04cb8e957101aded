"""MNIST to 99.0%: the recipe against the Keras tutorial's network, on this machine in one run. Needs HUBEL_DATA and Keras.

    python bench/mnist.py [--recipe mnist] [--seeds 0 1 2 3 4] [--keras-seeds 0]

What is timed, for both alike: from uint8 images in memory to a trained network, with everything the library does on the
way (Keras: JAX's compilation; Hubel: the choice of precision, measured anew in every run). Reading the files, importing
and evaluating on the test images are not timed. Keras counts up to the end of its first epoch with at least 99.0% of the
test images right; the recipe is of fixed length, and what it reached is stated for each seed. Each run has a process of
its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from _table import append_results, markdown

GOAL = 0.99


def images() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """uint8 (N, 28, 28, 1) and labels: training, test."""
    from hubel import data

    source = data.load(Path(os.environ["HUBEL_DATA"]) / "mnist")
    parts = [part for ds in (source.train, source.test)
             for part in (ds.arrays(size=(28, 28), channels=1), np.array(ds.labels))]
    return parts[0], parts[1], parts[2], parts[3]


def hubel(seed: int, recipe: str) -> tuple[float, float]:
    """(seconds, test accuracy) of the recipe."""
    import torch
    import torch._dynamo  # which torch's optimisers import at their first use, 1.3 s

    from hubel.training import evaluate, recipes

    x, y, xt, yt = (torch.from_numpy(a) for a in images())
    x, xt = x.permute(0, 3, 1, 2).contiguous(), xt.permute(0, 3, 1, 2).contiguous()
    chosen = recipes.get(recipe)
    began = time.perf_counter()
    network, _ = chosen.train(x, y, seed=seed, verbose=0)
    seconds = time.perf_counter() - began
    return seconds, evaluate(network, (xt, yt), normalise=recipes.normaliser(chosen))["accuracy"]


def keras(seed: int, most: int = 15) -> tuple[float, float]:
    """(seconds of training to the end of the first epoch at the goal, test accuracy there) of keras.io's 'Simple MNIST
    convnet', with all 60,000 images, since no part is needed for validation."""
    import keras

    keras.utils.set_random_seed(seed)
    x, y, xt, yt = images()
    layers = keras.layers
    began = time.perf_counter()
    x, xt = x.astype("float32") / 255, xt.astype("float32") / 255
    model = keras.Sequential([
        keras.Input((28, 28, 1)), layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(2), layers.Flatten(), layers.Dropout(0.5),
        layers.Dense(10, activation="softmax"),
    ])
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    seconds, accuracy = time.perf_counter() - began, 0.0
    for epoch in range(most):
        began = time.perf_counter()
        model.fit(x, y, batch_size=128, epochs=1, verbose=0)
        seconds += time.perf_counter() - began
        accuracy = float((model.predict(xt, batch_size=500, verbose=0).argmax(1) == yt).mean())
        print(f"  Keras, seed {seed}, epoch {epoch + 1}: {accuracy:.2%} after {seconds:.1f} s", file=sys.stderr, flush=True)
        if accuracy >= GOAL:
            break
    return seconds, accuracy


def measured(which: str, seed: int) -> tuple[float, float]:
    """One run in a process of its own; Hubel's with an empty cache of choices."""
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run([sys.executable, __file__, "--one", which, str(seed)], check=True, stdout=subprocess.PIPE,
                              env={**os.environ, "HUBEL_CACHE": cache, "KERAS_BACKEND": "jax"}, text=True)
    seconds, accuracy = json.loads(done.stdout.splitlines()[-1])
    print(f"{which}, seed {seed}: {accuracy:.2%} after {seconds:.2f} s", flush=True)
    return seconds, accuracy


def row(name: str, runs: list[tuple[float, float]], against: float) -> list[str]:
    seconds, accuracies = np.array(runs).T
    each = ["; ".join(f"{t:.2f}" for t in seconds), "; ".join(f"{100 * a:.2f}" for a in accuracies)]
    middle = float(np.median(seconds))
    return [name, f"{middle:.2f} s", each[0], f"{accuracies.mean():.2%}", each[1],
            f"{against / middle:.0f}x" if against == against else ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="mnist", choices=["mnist", "mnist_fine"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--keras-seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        which, seed = arguments.one[0], int(arguments.one[1])
        print(json.dumps(keras(seed) if which == "keras" else hubel(seed, which)))
        return
    ours = [measured(arguments.recipe, s) for s in arguments.seeds]
    peers = [measured("keras", s) for s in arguments.keras_seeds]
    against = float(np.median([s for s, _ in peers])) if peers else float("nan")
    rows = [row(f"recipe {arguments.recipe}", ours, against)]
    note = f"Seeds {arguments.seeds}"
    if peers:
        rows.append(row(f"Keras tutorial network, to {GOAL:.1%}", peers, against))
        note += f" (Keras on JAX: {arguments.keras_seeds})"
    table = markdown(["60,000 training images", "to train, median", "each, s", "test accuracy, mean", "each, %", "sooner"],
                     rows, f"{note}, one run after the other. Reading files, imports and evaluation are not timed; "
                     "compilation and the choice of precision are.")
    print(table)
    seeds = f"seeds {min(arguments.seeds)} to {max(arguments.seeds)}"
    append_results(f"MNIST: recipe {arguments.recipe}, {seeds}", table)


if __name__ == "__main__":
    main()
