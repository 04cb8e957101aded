"""What giving up runs costs and spares: every run of an attack to its end, then judged as if less had been asked of it.

    python bench/pace.py MODEL IMAGES.npz EPS COUNT [linf|l2|l1]

A run whose gap went from 5 to 3 withstood; taken for a run that had 3 less to close it succeeds, and that by its last step. Over
all such levels between an image's first gap and the smallest of its runs (of FAB: sizes of balls), `lost` is the share at which
every run that gets there is given up before; `looks` is what of all looks at images that stand is left. IMAGES.npz holds uint8 x
(N, H, W, C) and y (N,).
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from _table import append_results, markdown
from hubel.attack.loop import run
from hubel.attack.pace import MARKS, Pace
from hubel.attack.protocol import Stage, protocol
from hubel.attack.running import likeliest, opened
from hubel.attack.subject import Subject
from hubel.attack.tasks import Hit, Task
from hubel.model import Model
from hubel.pixels import parse_eps

LEVELS = 100
Run = list[tuple[int, float, float]]  # steps done, smallest gap, largest


class Recorder(Pace):
    """Never gives up and remembers what it was told."""

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self.told: dict[tuple[int, int], Run] = defaultdict(list)

    def hopeless(self, s: dict[str, Tensor], at: Tensor, gap: Tensor, widest: Tensor) -> Tensor:
        for index, toward, *told in zip(*(v.tolist() for v in (s["index"], s["toward"], at, gap, widest)), strict=True):
            self.told[index, toward].append(tuple(told))
        return torch.zeros(len(at), dtype=torch.bool)


def recorded(model: Model, x: np.ndarray, y: np.ndarray, eps: float, norm: str, stage: Stage) -> tuple[dict[int, list[Run]], set[int]]:
    """The runs of each image, towards all classes whether or not one broke it, and which images one did."""
    subject = Subject(model)
    points, before, _ = opened(subject, x, y, norm, None, "float", 0)
    right = torch.nonzero(before == points.y).flatten().tolist()
    aims = likeliest(subject, points, right, max(1, stage.runners_up))
    recorder = stage.search.pace = Recorder(stage.search.steps)  # type: ignore[attr-defined]
    broken = set()

    def follow(task: Task, hit: Hit | None) -> Task | None:
        broken.update([] if hit is None else [task.index])
        following = task.run + 1
        if following >= min(stage.runners_up, len(aims[task.index])):
            return None
        return replace(task, run=following, toward=aims[task.index][following], start=None)

    run(subject, stage.search, points, [Task(i, eps, 0, aims[i][0] if stage.runners_up else -1) for i in right], follow)
    runs: dict[int, list[Run]] = defaultdict(list)
    for (index, _), told in recorder.told.items():
        runs[index].append(told)
    return runs, broken


def judged(told: Run, levels: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """For each level at which look the run gets there, and at which it is given up; len(told): at none. The rule is asked where
    it may answer: at the first look of each part of the run, and once the gap is known."""
    at, gaps, widest = np.array(told).T
    there = gaps[:, None] <= levels
    reached = np.where(there.any(0), there.argmax(0), len(told))
    pace, state = Pace(steps), dict[str, Tensor]()
    pace.begin(state, len(levels))
    given_up = np.full(len(levels), len(told))
    known = int(np.isfinite(gaps).argmax())
    for i in sorted({known, *np.unique(at * MARKS // steps, return_index=True)[1].tolist()}):
        left, most = (torch.from_numpy(v[i] - levels).float() for v in (gaps, widest))
        hopeless = pace.hopeless(state, torch.full((len(levels),), int(at[i])), left, most).numpy()
        given_up = np.where(hopeless, np.minimum(given_up, i), given_up)
    return reached, given_up


def measured(runs: dict[int, list[Run]], broken: set[int], steps: int) -> tuple[float, float]:
    """The mean share of levels lost, and the share of looks that is left of images that stand."""
    lost, looks, spent = [], 0, 0
    for index, of in runs.items():
        known = [np.array([g for _, g, _ in told if np.isfinite(g)]) for told in of]
        ends = [g.min() for g in known if len(g)]
        first = max((g[0] for g in known if len(g)), default=0.0)
        if ends and first > min(ends):
            levels = np.linspace(min(ends), first, LEVELS, endpoint=False)
            got = [judged(told, levels, steps) for told in of]
            reached = np.any([(r < len(told)) & (r <= g) for (r, g), told in zip(got, of, strict=True)], axis=0)
            lost.append(float((~reached).mean()))
        if index in broken:
            continue
        for told in of:
            looks += len(told)
            spent += min(int(judged(told, np.zeros(1), steps)[1][0]) + 1, len(told))
    return float(np.mean(lost)), spent / max(looks, 1)


def main(model_file: str, images: str, eps: float, count: int, norm: str = "linf") -> None:
    with np.load(images, allow_pickle=False) as held:
        x, y = held["x"][:count], held["y"][:count]
    model = Model.load(model_file)
    rows = []
    for stage in protocol("standard", norm):
        steps = int(stage.search.steps)  # type: ignore[attr-defined]
        runs, broken = recorded(model, x, y, eps, norm, stage)
        lost, left = measured(runs, broken, steps)
        rows.append([stage.name, sum(len(of) for of in runs.values()), len(broken), f"{lost:.2%}", f"{left:.0%}"])
        print(rows[-1], flush=True)
    append_results(f"Runs given up: {Path(model_file).stem}, {norm}", markdown(
        ["attack", "runs", "images it breaks", "successes lost", "looks left"], rows,
        f"{Path(model_file).name}, {len(x)} images, {norm} eps {eps:.4g}: every run to its end, then judged as if it had had less to close, at "
        f"{LEVELS} levels an image (bench/pace.py)." + (" That is why APGD never gives up within l1." if norm == "l1" else "")))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], parse_eps(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
