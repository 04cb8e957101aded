"""`hubel study` on 15 Scenes: test accuracy on a stratified fifth over seeds, and how long all of it takes. Needs HUBEL_DATA.

    python bench/scenes15.py [--seeds 0 1 2] [--train-only]

Each seed is one whole study in a process of its own and a new folder, with the machine's choices measured anew, as on a
fresh machine. With --train-only the training and the test alone, without the rest of the report.
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


def study(seed: int) -> tuple[float, float, float]:
    """(test accuracy, seconds to train, seconds in all)."""
    with tempfile.TemporaryDirectory() as folder:
        data = str(Path(os.environ["HUBEL_DATA"]) / "scenes15")
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "hubel.cli", "study", data, "--seed", str(seed), "--out", folder], check=True,
                       env={**os.environ, "HUBEL_CACHE": str(Path(folder) / "cache")})
        seconds = time.perf_counter() - began
        facts = json.loads((Path(folder) / "report.json").read_text())
    return facts["evaluation"]["accuracy"], facts["training"]["seconds"], seconds


def training(seed: int) -> tuple[float, float, float]:
    """The same without the report: what `hubel train` does."""
    from hubel import data
    from hubel.study.teach import teach

    source = data.load(Path(os.environ["HUBEL_DATA"]) / "scenes15", seed=seed)
    began = time.perf_counter()
    taught = teach(source, seed=seed, verbose=2)
    accuracy = float((taught.model.predict(source.test).argmax(1) == source.test.labels).mean())
    return accuracy, taught.seconds, time.perf_counter() - began


def report(found: dict[int, tuple[float, float, float]], what: str) -> None:
    rows = [[seed, f"{accuracy:.1%}", f"{trained:.0f} s", f"{seconds:.0f} s"]
            for seed, (accuracy, trained, seconds) in found.items()]
    mean = np.mean([accuracy for accuracy, _, _ in found.values()])
    rows.append(["mean", f"{mean:.1%}", "", ""])
    note = (f"1,200 photos to learn from, 300 to test, stratified; {what}. Logistic regression on the pretrained network's "
            "pooled features gives 91.5%.")
    append_results("15 Scenes", markdown(["seed", "test accuracy", "training", "in all"], rows, note))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--train-only", action="store_true")
    arguments = parser.parse_args()
    chosen = training if arguments.train_only else study
    report({seed: chosen(seed) for seed in arguments.seeds},
           "training and test" if arguments.train_only else "a whole `hubel study` each, on two cores")
