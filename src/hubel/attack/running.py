"""From what users give to tasks for the loop, and from hits to an AttackResult. Depends on loop, subject and result."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hubel.attack.loop import Search, run
from hubel.attack.losses import others
from hubel.attack.progress import Bar
from hubel.attack.result import AttackResult
from hubel.attack.subject import Subject
from hubel.attack.tasks import Hit, Points, Task
from hubel.errors import InputError, ModelError
from hubel.pixels import as_arrays, parse_eps

PRECISIONS = ("uint8", "float")
PART = 256  # images looked at together outside the loop


def attack(model: Any, x: Any, y: Any, search: Search, eps: float | str, norm: str, *, runs: int = 1, target: Any = None,
           runners_up: int = 0, precision: str = "uint8", seed: int = 0, batch_size: int | None = None,
           progress: bool | str = "auto", together: bool = False) -> AttackResult:
    """Run one attack within one ball: the common part of every fixed-eps attack (parameters as in `pgd` and `apgd`).

    together : all runs begin at once, and all end with the last image's first success, instead of each following the one before:
        the same successes, in less time where a step costs its calls rather than its pixels, as with one small image.
    """
    began = time.perf_counter()
    size = radius(eps, norm, precision) if eps != float("inf") else float("inf")
    if runs < 1:
        raise InputError(f"restarts={runs} must be at least 1")
    subject = Subject(model, "fp32") if getattr(search, "exact", False) else Subject(model)
    points, before, confidence = opened(subject, x, y, norm, target, precision, seed)
    right = torch.nonzero(~points.broken(before, torch.arange(len(before)))).flatten().tolist()
    aims = likeliest(subject, points, right, runners_up)
    runs = min(map(len, aims.values()), default=1) if runners_up else runs
    hits: dict[int, Hit] = {}

    def toward(index: int, run: int) -> int:
        if runners_up:
            return aims[index][run]
        return -1 if points.targets is None else int(points.targets[index])

    every_run = getattr(search, "minimum", False)  # the smallest of all runs' changes counts; else the first success ends it

    def follow(task: Task, hit: Hit | None) -> Task | None:
        if hit is not None and (task.index not in hits or hit.distance < hits[task.index].distance):
            hits[task.index] = hit
        if (hit is None or every_run) and not together and task.run + 1 < runs:
            return Task(task.index, size, task.run + 1, toward(task.index, task.run + 1))
        bar.advance(broke=task.index in hits)
        return None

    tasks = [Task(i, size, number, toward(i, number)) for number in range(runs if together else 1) for i in right]
    halt = (lambda: len(hits) == len(right)) if together and not every_run else None
    with Bar(search.name, len(tasks), progress) as bar:
        run(subject, search, points, tasks, follow, batch_size, halt)
    return collected(subject, points, before, confidence, hits, search.name, size, time.perf_counter() - began)


def radius(eps: float | str, norm: str, precision: str) -> float:
    """Return eps as a number, after checking that something can be done within it."""
    if precision not in PRECISIONS:
        raise InputError(f"precision={precision!r} is unknown: 'uint8' or 'float'")
    size = parse_eps(eps)
    if precision == "uint8" and norm != "l0" and 0 < size < 1 / 255 - 1e-6:
        raise InputError(f"eps={eps} is less than 1/255, one level of an 8-bit image: give more, or precision='float'")
    return size


def opened(subject: Subject, x: Any, y: Any, norm: str, target: Any, precision: str,
           seed: int) -> tuple[Points, Tensor, Tensor]:
    """Check the inputs and run the clean images: return the points, their clean predictions (N,) and confidences (N,)."""
    pixels = subject.prepare(x).detach()
    if not len(pixels):
        raise InputError("there are no images to attack: give at least one")
    if pixels.min() < 0 or pixels.max() > 1:
        raise InputError("attacks work on pixels in 0..1: this model's inputs lie outside")
    if precision == "uint8":
        pixels = (pixels * 255).round().div_(255)
    subject.ready(pixels)
    classes = subject.outputs(pixels)
    if classes < 2:
        raise ModelError(f"an attack needs at least 2 classes, the network gives {classes} outputs")
    names = subject.names(classes)
    labels = as_classes(y, len(pixels), names, "labels")
    wanted = None
    if target is not None:
        wanted = as_classes(target, len(pixels), names, "targets")
        if (wanted == labels).any():
            raise InputError(f"the target {names[int(wanted[wanted == labels][0])]!r} is the true class of an image")
    points = Points(pixels, labels, norm, precision == "uint8", wanted, seed)
    parts = [subject.predictions(points.x[part], partial(points.broken, index=part))
             for part in torch.arange(len(pixels)).split(PART)]
    before, confidence = torch.cat([p for p, _ in parts]), torch.cat([c for _, c in parts])
    return points, before, confidence


def likeliest(subject: Subject, points: Points, which: list[int], count: int) -> dict[int, list[int]]:
    """Return for each point of `which` its `count` likeliest classes but the true one, fewer where there are fewer."""
    found: dict[int, list[int]] = {}
    for part in torch.tensor(which, dtype=torch.long).split(PART) if count else ():
        if len(part):
            logits = others(subject.look(points.x[part]), points.y[part])
            order = logits.argsort(dim=1, descending=True, stable=True)[:, : min(count, logits.shape[1] - 1)]
            found.update(zip(part.tolist(), order.tolist(), strict=True))
    return found


def as_classes(y: Any, count: int, names: Sequence[str], what: str) -> Tensor:
    """Return classes as int64 (N,): integers or names, one for each image or one for all. Raises InputError."""
    if isinstance(y, str) or (np.ndim(y) == 0 and what == "targets"):
        y = [y] * count
    values = y.tolist() if isinstance(y, (Tensor, np.ndarray)) else list(y)
    if len(values) != count or any(isinstance(v, list) for v in values):
        raise InputError(f"{count} images need {count} {what}, one integer or name each, not shape {np.shape(values)}")
    index = {name: i for i, name in enumerate(names)}
    out = []
    for v in values:
        number = index.get(v) if isinstance(v, str) else int(v) if float(v).is_integer() else None
        if number is None or not 0 <= number < len(names):
            raise InputError(f"{what} hold {v!r}: classes are 0..{len(names) - 1}, or names such as {names[0]!r}")
        out.append(number)
    return torch.tensor(out, dtype=torch.long)


def collected(subject: Subject, points: Points, before: Tensor, confidence: Tensor, hits: dict[int, Hit], name: str,
              eps: float, seconds: float) -> AttackResult:
    """Put hits together with what was broken from the start."""
    n = len(points.x)
    clean = points.broken(before, torch.arange(n))
    images, after = points.x.clone(), before.clone()
    sure = confidence.clone()
    distances, iterations = np.full(n, np.nan), np.full(n, -1)
    success = clean.numpy().copy()
    distances[success], iterations[success] = 0.0, 0
    for i, hit in hits.items():
        images[i], after[i], sure[i] = hit.point, hit.predicted, hit.confidence
        success[i], distances[i], iterations[i] = True, hit.distance, hit.step
    as_array = as_arrays if points.exact else lambda t: t.permute(0, 2, 3, 1).contiguous().numpy()
    return AttackResult(
        attack=name, norm=points.norm, eps=eps, precision="uint8" if points.exact else "float",
        originals=as_array(points.x), adversarials=as_array(images), labels=points.y.numpy(),
        targets=None if points.targets is None else points.targets.numpy(), success=success, distances=distances,
        iterations=iterations, predicted_before=before.numpy(), predicted_after=after.numpy(),
        confidence_before=confidence.numpy(), confidence_after=sure.numpy(),
        classes=subject.names(int(max(points.y.max(), after.max(), before.max())) + 1), seed=points.seed,
        forwards=subject.forwards, backwards=subject.backwards, seconds=seconds)
