"""Plant an adversarial and see whether the attack finds it: the binarisation test of Zimmermann et al. 2022
(arXiv:2206.13991). Depends on pgd, noise and subject.

For each image the last dense layer is replaced by one that tells points well inside the ball from one point on its
surface, which is then an adversarial by construction. An attack worth its name finds it, or another.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hubel import engine
from hubel.attack.pgd import pgd
from hubel.attack.streams import gaussian, sample_keys, uniform
from hubel.attack.subject import Subject
from hubel.attack.threat import length, project, rows
from hubel.model.outputs import Logits

INNER = 99  # points inside the ball that must stay in the image's class
DEPTH = 0.95  # how far inside they lie at most, in parts of eps


@dataclass(frozen=True)
class Planted:
    """Of `tried` planted adversarials `found`; `by_chance` were met by as many random points as the attack had looks."""

    tried: int
    found: int
    by_chance: int

    @property
    def rate(self) -> float:
        return self.found / max(1, self.tried)

    def to_dict(self) -> dict[str, Any]:
        return {"tried": self.tried, "found": self.found, "by_chance": self.by_chance}


def planted(model: Any, x: Any, norm: str, eps: float, *, steps: int = 100, restarts: int = 2, seed: int = 0) -> Planted | None:
    """Run the test with PGD on images x (N, ...). None if the network ends in no dense layer that could be replaced.

    Images for which no dense layer can tell the planted point from the rest are left out of `tried`.
    """
    subject = model if isinstance(model, Subject) else Subject(model)
    pixels = subject.prepare(x).detach()
    network = subject.model if subject.wraps_module else subject.model.network
    name = _last_dense(network)
    if name is None or norm == "l0":
        return None
    tried = found = by_chance = 0
    for i in range(len(pixels)):
        one = pixels[i : i + 1]
        keys = sample_keys(one, torch.zeros(1, dtype=torch.long), seed)
        inner = torch.cat([one, *(_inside(one, eps, norm, keys, k) for k in range(INNER))])
        edge = _edge(one, eps, norm, keys)
        try:
            twin = copy.deepcopy(network)
        except Exception:  # whatever a user's module holds
            return None
        readout = _readout(_features(subject, network, name, torch.cat([inner, edge])))
        if readout is None:
            continue
        parent, _, child = name.rpartition(".")
        setattr(twin.get_submodule(parent), child, readout)
        view = _Seen(twin, None if subject.wraps_module else subject.model.preprocess.normalise)
        tried += 1
        result = pgd(view, one, [0], eps, norm, steps=steps, restarts=restarts, loss="margin", precision="float",
                     progress=False, seed=seed)
        found += int(result.success[0])
        chance = torch.cat([_inside(one, eps, norm, keys, -k, 1.0) for k in range(1, steps + 1)])
        with torch.no_grad():
            by_chance += int((view(chance).argmax(dim=1) == 1).any())
    return Planted(tried, found, by_chance)


class _Seen(nn.Module):
    """Pixels to logits, in evaluation mode."""

    def __init__(self, network: nn.Module, normalise: Any) -> None:
        super().__init__()
        self.network, self.normalise = Logits(network.eval()), normalise

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x if self.normalise is None else self.normalise(x))


def _last_dense(network: nn.Module) -> str | None:
    """The name of the last leaf with weights, if it is a dense layer inside the network."""
    leaves = [(n, m) for n, m in network.named_modules() if n and not list(m.children()) and list(m.parameters(recurse=False))]
    return leaves[-1][0] if leaves and isinstance(leaves[-1][1], nn.Linear) else None


def _inside(x: Tensor, eps: float, norm: str, keys: list[int], k: int, depth: float = DEPTH) -> Tensor:
    size = torch.full((len(x),), depth * eps)
    if norm == "linf":
        return project(x + depth * eps * uniform(keys, tuple(x.shape[1:]), "inner", k), x, size, norm)
    d = gaussian(keys, tuple(x.shape[1:]), "inner", k)
    return project(x + d * rows(size / length(d, norm), d), x, size, norm)


def _edge(x: Tensor, eps: float, norm: str, keys: list[int]) -> Tensor:
    d = gaussian(keys, tuple(x.shape[1:]), "edge")
    size = torch.full((len(x),), eps)
    d = d.sign() * eps if norm == "linf" else d * rows(size / length(d, norm), d)
    return project(x + d, x, size, norm)


def _features(subject: Subject, network: nn.Module, name: str, x: Tensor) -> Tensor:
    """The inputs (N, D) of the last dense layer."""
    kept: list[Tensor] = []
    hook = network.get_submodule(name).register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0].detach().flatten(1)))
    try:
        with torch.no_grad(), engine.evaluation(network):
            for part in x.split(32):
                subject.direct(part)
    finally:
        hook.remove()
    return torch.cat(kept)


def _readout(features: Tensor) -> nn.Linear | None:
    """A dense layer with two outputs that gives the last row class 1 and all others class 0; None if there is none.

    The least-norm solution of w . (f - f_mean) = -1 for the inner points, +1 for the planted one, then the threshold at
    equal distance from both.
    """
    f = features.double().numpy()
    centre, spread = f.mean(axis=0), max(float(f.std()), 1e-12)
    z = (f - centre) / spread
    aim = np.array([-1.0] * (len(f) - 1) + [1.0])
    w, *_ = np.linalg.lstsq(np.hstack([z, np.ones((len(z), 1))]), aim, rcond=1e-8)
    score = z @ w[:-1] + w[-1]
    most, planted_score = score[:-1].max(), score[-1]
    if not planted_score > most + 1e-3:
        return None
    threshold = most + 0.5 * (planted_score - most)
    weight = w[:-1] / spread
    layer = nn.Linear(f.shape[1], 2)
    with torch.no_grad():
        scale = 10.0 / (planted_score - most)
        layer.weight.copy_(torch.from_numpy(np.stack([np.zeros_like(weight), scale * weight])))
        layer.bias.copy_(torch.tensor([0.0, float(scale * (w[-1] - threshold - weight @ centre))]))
    return layer
