"""Adversarials made on one network for another: momentum (MI, Dong et al. 2018, arXiv:1710.06081) and input diversity (DI, Xie
et al. 2019, arXiv:1803.06978). Depends on running, subject, losses, streams and threat.

Here no point leaves early: what has just broken the source does not yet break another network.
"""

from __future__ import annotations

import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hubel.attack.losses import loss_named
from hubel.attack.progress import Bar
from hubel.attack.result import AttackResult
from hubel.attack.running import collected, opened, radius
from hubel.attack.streams import stream
from hubel.attack.subject import Subject
from hubel.attack.tasks import Hit, Points, Task
from hubel.attack.threat import TINY, length, norm_name, on_levels, project, rows, steepest
from hubel.attack.verify import confirmed
from hubel.errors import InputError


def transfer(source: Any, model: Any, x: Any, y: Any, eps: float | str, norm: Any = "linf", *, steps: int = 20,
             momentum: float = 1.0, diversity: float = 0.5, shrink: float = 0.9, loss: str = "ce", target: Any = None,
             precision: str = "uint8", seed: int = 0, batch_size: int = 32, progress: bool | str = "auto") -> AttackResult:
    """Attack `source` with every step, then see whether that breaks `model`. Returns `model`'s AttackResult.

    momentum : of gradients of L1 length 1 (0: none). diversity : the probability with which a step sees the image shrunk to
    `shrink`..1 of its size at a random place on grey. `source` may be a list of networks: their losses are added (an ensemble).
    """
    began = time.perf_counter()
    name = norm_name(norm)
    size = radius(eps, name, precision)
    if steps < 1 or not 0 <= diversity <= 1 or not 0.3 <= shrink <= 1:
        raise InputError(f"steps={steps} is at least 1, diversity={diversity} in 0..1, shrink={shrink} in 0.3..1")
    victim = Subject(model)
    points, before, confidence = opened(victim, x, y, name, target, precision, seed)
    sources = [Subject(s) for s in (source if isinstance(source, (list, tuple)) else [source])]
    for s in sources:
        s.ready(points.x)
    climb = loss_named(loss)
    right = torch.nonzero(~points.broken(before, torch.arange(len(before)))).flatten()
    hits: dict[int, Hit] = {}
    with Bar("transfer", len(right), progress) as bar:
        for part in right.split(batch_size):
            q = _made(sources, points, part, size, steps, momentum, diversity, shrink, climb)
            for i, point in zip(part.tolist(), q, strict=True):
                hit = confirmed(victim, points, Task(i, size), point, steps)
                if hit is not None:
                    hits[i] = hit
                bar.advance(broke=hit is not None)
    return collected(victim, points, before, confidence, hits, "transfer", size, time.perf_counter() - began)


def _made(sources: list[Subject], points: Points, part: Tensor, size: float, steps: int, momentum: float, diversity: float,
          shrink: float, climb: Any) -> Tensor:
    x, y = points.x[part], points.y[part]
    wanted = None if points.targets is None else points.targets[part]
    eps = torch.full((len(part),), size)
    z, moment = x.clone(), torch.zeros_like(x)
    luck = [stream(points.keys[i], "transfer") for i in part.tolist()]
    for t in range(steps):
        numbers = torch.stack([torch.rand(4, generator=g) for g in luck])
        g = torch.zeros_like(x)
        for source in sources:
            seen = z.detach().requires_grad_()
            with torch.enable_grad():
                view = diverse(seen, numbers, diversity, shrink)
            slope = source.gradient(view.detach(), lambda o: climb(o, y, wanted))[2]
            g += torch.autograd.grad(view, seen, slope)[0]  # back through what the network was shown
        moment = momentum * moment + g / rows(length(g, "l1").clamp_min(TINY), g)
        step = max(2.5 / steps, 0.1) * (1.0 if t < steps // 2 else 0.5)
        z = project(z + rows(eps * step, z) * steepest(moment, points.norm, z), x, eps, points.norm)
    return on_levels(z, x, eps, points.norm) if points.exact else z


def diverse(x: Tensor, numbers: Tensor, probability: float, shrink: float) -> Tensor:
    """Return each image as it is, or, with `probability`, shrunk and put at a random place on grey; `numbers` (N, 4) uniform."""
    h, w = x.shape[2:]
    out = []
    for one, (chance, scale, top, left) in zip(x.split(1), numbers.tolist(), strict=True):
        share = shrink + (1 - shrink) * scale
        small_h, small_w = max(1, int(h * share)), max(1, int(w * share))
        if chance >= probability or (small_h, small_w) == (h, w):
            out.append(one)
            continue
        small = F.interpolate(one, size=(small_h, small_w), mode="bilinear", align_corners=False, antialias=True)
        a, b = int(top * (h - small_h + 1)), int(left * (w - small_w + 1))
        out.append(F.pad(small, (b, w - small_w - b, a, h - small_h - a), value=0.5))
    return torch.cat(out)
