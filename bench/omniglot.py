"""One-shot characters: train on Omniglot's background alphabets, answer Lake et al.'s twenty runs. Needs HUBEL_DATA.

    HUBEL_DATA=... python bench/omniglot.py [--minutes 15] [--model characters.hubel]

Within-alphabet one-shot classification, 20 ways, every drawing named by itself; nothing but the background is learned
from. With --model a trained model is asked only.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch

from _table import append_results, markdown
from hubel.model import Model
from hubel.reuse import characters, omniglot

PUBLISHED = (("pixels", "21.7"), ("modified Hausdorff distance (Lake et al. 2015)", "61.2"),
             ("prototypical network, as in Lake et al. 2019", "86.3"), ("Bayesian program learning", "95 to 97"), ("people", "95.5"))


def main(minutes: float, seed: int, file: Path | None) -> None:
    root = Path(os.environ["HUBEL_DATA"]) / "omniglot"
    background = omniglot.read_background(next(iter(sorted(root.glob("images_background*.zip")))))
    began = time.perf_counter()
    if file is not None and file.exists():
        model = Model.load(file)
    else:
        model = characters.train_characters(background, minutes=minutes, seed=seed, verbose=2)
        model.notes["seconds"] = time.perf_counter() - began
        model.save(file or Path("characters.hubel"))
    runs = omniglot.read_runs(root / "all_runs.zip")
    found = np.array([characters.one_shot(model, run) for run in runs])
    half = 1.96 * found.std(ddof=1) / np.sqrt(len(found))
    print(f"{found.mean():.1%} ± {half:.1%}", np.round(100 * found).astype(int).tolist(), flush=True)
    rows = [[name, value] for name, value in PUBLISHED]
    rows.append(["hubel: `train_characters`, `one_shot`", f"{100 * found.mean():.1f} ± {100 * half:.1f}"])
    note = (f"Omniglot's 20 one-shot runs, within alphabets, 20 ways, in percent; ours learned from the {len(background.names)} "
            f"alphabets of the small background set ({len(background.images):,} drawings; the published figures, quoted and not "
            f"measured here, from 30 alphabets or 5), in {model.notes.get('seconds', 0) / 60:.0f} minutes on "
            f"{torch.get_num_threads()} core(s) that others used as well. ±: 95% over runs.")
    append_results("One-shot characters", markdown(["way", "accuracy"], rows, note))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, default=None)
    arguments = parser.parse_args()
    main(arguments.minutes, arguments.seed, arguments.model)
