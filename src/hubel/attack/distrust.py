"""Reasons not to believe a robust accuracy: the battery of tests that every evaluation should pass, in plain words.

After Carlini et al. 2019 (arXiv:1902.06705), Tramer et al. 2020 (arXiv:2002.08347) and, for the planted adversarials,
Zimmermann et al. 2022 (arXiv:2206.13991). Depends on pgd, square, planted, subject and running.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hubel.attack.eot import is_random
from hubel.attack.losses import cross_entropy
from hubel.attack.noise import noise
from hubel.attack.pgd import fgsm, pgd
from hubel.attack.planted import planted
from hubel.attack.running import as_classes
from hubel.attack.square import square
from hubel.attack.subject import Subject
from hubel.attack.threat import norm_name, project, rows, steepest
from hubel.pixels import parse_eps

if TYPE_CHECKING:
    from hubel.attack.evaluated import Evaluation

IMAGES, PLANTS = 64, 8
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Flag:
    """A reason for distrust: the test's name, what was seen in plain words, what to do, and the numbers."""

    test: str
    seen: str
    remedy: str
    facts: dict[str, Any]

    def __str__(self) -> str:
        return f"! {self.test}: {self.seen} {self.remedy}"

    def to_dict(self) -> dict[str, Any]:
        return {"test": self.test, "seen": self.seen, "remedy": self.remedy, "facts": self.facts}


@dataclass(frozen=True)
class Distrust:
    """What the battery found: `flags` raised, `facts` the measurements of every test that was run."""

    flags: tuple[Flag, ...]
    facts: dict[str, Any]
    images: int
    seconds: float

    @property
    def trusted(self) -> bool:
        return not self.flags

    def __str__(self) -> str:
        if self.trusted:
            return f"no reason for distrust in {len(self.facts)} tests on {self.images} images"
        return "\n".join(map(str, self.flags))

    def to_dict(self) -> dict[str, Any]:
        return {"flags": [f.to_dict() for f in self.flags], "facts": self.facts, "images": self.images, "seconds": self.seconds}

    def _repr_html_(self) -> str:
        import html

        return f"<pre>{html.escape(str(self))}</pre>"


def distrust(model: Any, x: Any, y: Any, norm: Any = "linf", eps: float | str = "8/255", *, evaluation: Evaluation | None = None,
             images: int = IMAGES, precision: str = "float", seed: int = 0, progress: bool | str = False) -> Distrust:
    """Run the battery on up to `images` images that the network gets right. Returns a Distrust.

    evaluation : an Evaluation of the same images, whose verdicts are compared with what is found here.
    """
    began = time.perf_counter()
    name, size = norm_name(norm), parse_eps(eps)
    subject = model if isinstance(model, Subject) else Subject(model)
    pixels = subject.prepare(x).detach()
    if precision == "uint8":
        pixels = (pixels * 255).round() / 255
    subject.ready(pixels)
    labels = as_classes(y, len(pixels), subject.names(subject.outputs(pixels)), "labels")
    head = torch.arange(min(len(pixels), 2 * images))
    right = (subject.predictions(pixels[head])[0] == labels[head]).nonzero().flatten()[:images]
    battery = _Battery(subject, pixels[right], labels[right], name, size, {"precision": precision, "seed": seed,
                                                                           "progress": progress})
    battery.outputs(pixels[head], labels[head])
    if len(right):
        standing = None if evaluation is None else evaluation.robust(size)[right.numpy()]
        battery.attacks(standing)
    return Distrust(tuple(battery.flags), battery.facts, len(right), time.perf_counter() - began)


class _Battery:
    def __init__(self, subject: Subject, x: Tensor, y: Tensor, norm: str, eps: float, options: dict[str, Any]) -> None:
        self.subject, self.x, self.y, self.norm, self.eps, self.options = subject, x, y, norm, eps, options
        self.flags: list[Flag] = []
        self.facts: dict[str, Any] = {}

    def flag(self, test: str, raised: bool, facts: dict[str, Any], seen: str, remedy: str) -> None:
        self.facts[test] = facts
        if raised:
            self.flags.append(Flag(test, seen, remedy, facts))

    # -- what can be told without attacking ---------------------------------------------------------------------------

    def outputs(self, x: Tensor, y: Tensor) -> None:
        with torch.no_grad():
            z = torch.cat([self._forward(part) for part in x.split(32)])
        sums = z.sum(dim=1)
        softmax = bool((z >= -1e-5).all() and (z <= 1 + 1e-5).all() and ((sums - 1).abs() < 1e-4).all())
        self.flag("softmax outputs", softmax, {"least": float(z.min()), "most": float(z.max())},
                  "the network gives probabilities, not logits; where it is sure, their gradients vanish in float32.",
                  "Attack the layer before the softmax.")
        random = is_random(self._forward, x[:8])
        self.flag("randomness", random, {"random": random},
                  "the same image gets different outputs from one pass to the next; single gradients mislead.",
                  "Use version='rand', or Expectation(model).")
        given = float((z.argmax(dim=1) == y).float().mean())
        scales: dict[str, Callable[[Tensor], Tensor]] = {"0..255": lambda q: q * 255, "-1..1": lambda q: 2 * q - 1}
        if x.shape[1] == 3:
            mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in IMAGENET)
            scales["ImageNet's mean and deviation"] = lambda q: (q - mean) / std
        found = {}
        with torch.no_grad():
            for scale, change in scales.items():
                again = torch.cat([self._forward(change(part)) for part in x.split(32)])
                found[scale] = float((again.argmax(dim=1) == y).float().mean())
        best = max(found, key=lambda k: found[k])
        self.flag("normalisation", found[best] > given + 0.1, {"as given": given, **found},
                  f"accuracy is {given:.0%} on pixels in 0..1 but {found[best]:.0%} on inputs scaled to {best}.",
                  "The network expects other inputs: give Model its mean and std.")

    # -- what attacks tell about each other ---------------------------------------------------------------------------

    def attacks(self, standing: np.ndarray | None) -> None:
        n = len(self.x)
        one = self._run(fgsm).success
        ten, hundred = self._run(pgd, steps=10).success, self._run(pgd, steps=100, restarts=2).success
        self.flag("one step against many", one.sum() > hundred.sum() + 1, {"fgsm": int(one.sum()), "pgd": int(hundred.sum())},
                  f"a single step breaks {one.sum()} of {n} images, a hundred smaller ones only {hundred.sum()}: the gradient is "
                  "no guide beyond the first step.", "Gradients are masked; look for what makes the loss rugged.")
        more = int((hundred & ~ten).sum())
        self.flag("more steps", standing is None and more > max(2, 0.05 * n), {"10": int(ten.sum()), "100": int(hundred.sum())},
                  f"100 steps break {more} more of {n} images than 10 do.", "Report no result of a few steps.")
        huge = {"linf": 1.0, "l2": float(self.x[0].numel()) ** 0.5, "l1": float(self.x[0].numel()),
                "l0": float(self.x[0].numel())}[self.norm]
        free = self._run(pgd, eps=huge, steps=50, step_size=max(2 * self.eps, huge / 40) if self.norm != "l0" else None, restarts=3)
        left = int((~free.success & ~hundred).sum())
        self.flag("unbounded size", left > 0, {"left": left, "of": n},
                  f"{left} of {n} images withstand an attack that may change them at will, which no classifier can.",
                  "The attack fails, not the network: its gradients do not lead to other classes.")
        shares = self._zero_gradients()
        self.flag("zero gradients", max(shares) > 0.1, {"share by step": shares},
                  f"up to {max(shares):.0%} of the images have a gradient of exactly zero (step {int(np.argmax(shares))}).",
                  "Something saturates or is not differentiable; attack around it.")
        if self.norm != "l0":
            blind = self._run(square, steps=500).success & ~hundred
            self.flag("random search", bool(blind.sum() > max(1, 0.02 * n)), {"only square": int(blind.sum())},
                      f"a search without gradients breaks {blind.sum()} of {n} images that PGD leaves standing.",
                      "Gradients are masked: trust the random search, with more queries.")
        kind = "uniform" if self.norm == "linf" else "gaussian"
        draws = noise(self.subject, self.x, self.y, self.eps, self.norm, kind=kind, draws=20, **self.options)
        noisy = int(((draws.right < 1) & ~hundred).sum())
        self.flag("noise", noisy > 0, {"only noise": noisy},
                  f"random noise breaks {noisy} of {n} images that PGD leaves standing.", "The attack is weaker than chance.")
        if standing is not None:
            missed = int((hundred & standing).sum())
            self.flag("sandwich", missed > 0, {"missed": missed},
                      f"PGD breaks {missed} images that the evaluation left standing: AutoAttack <= PGD does not hold.",
                      "The evaluation was too weak, or the network is random.")
        self._planted()

    def _planted(self) -> None:
        found = planted(self.subject, self.x[:PLANTS], self.norm, self.eps, seed=self.options["seed"])
        if found is None:
            self.facts["planted adversarials"] = {"skipped": "the network has no last dense layer to replace"}
            return
        self.flag("planted adversarials", found.rate < 0.9 and found.tried >= 4, found.to_dict(),
                  f"of {found.tried} adversarials planted within reach the attack found {found.found}.",
                  "An attack that misses what is there proves nothing where it finds nothing.")

    def _run(self, attack: Any, eps: float | None = None, **options: Any) -> Any:
        return attack(self.subject, self.x, self.y, self.eps if eps is None else eps, self.norm, **options, **self.options)

    def _zero_gradients(self, steps: int = 10) -> list[float]:
        """The share of points without any gradient along the way of PGD."""
        z, eps = self.x.clone(), torch.full((len(self.x),), self.eps)
        shares = []
        for _ in range(steps):
            g = torch.cat([self.subject.gradient(q, partial(cross_entropy, y=c))[2]
                           for q, c in zip(z.split(32), self.y.split(32), strict=True)])
            shares.append(float((g.flatten(1).abs().amax(dim=1) == 0).float().mean()))
            z = project(z + rows(eps / 4, z) * steepest(g, self.norm, z), self.x, eps, self.norm)
        return shares

    def _forward(self, x: Tensor) -> Tensor:
        """The network's own outputs in float32, in evaluation mode."""
        return self.subject.direct(x)


def after_evaluation(result: Evaluation, subject: Subject) -> tuple[Flag, ...]:
    """Return what an evaluation's own numbers tell: Square broke what white-box attacks left standing."""
    at = [k for k, s in enumerate(result.stages) if s.name == "square"]
    if not at or result.stages[at[0]].tried == 0:
        return ()
    broken = result.stages[at[0]].broken
    if broken <= 0.002 * len(result):  # AutoAttack's threshold
        return ()
    facts = {"square": broken, "tried": result.stages[at[0]].tried}
    return (Flag("random search", f"Square, which sees no gradients, broke {broken} images that all white-box attacks before it "
                 "left standing.", "Gradients are masked: expect stronger attacks to break more.", facts),)


def sandwich(*, clean: np.ndarray, pgd: np.ndarray | None = None, autoattack: np.ndarray | None = None,
             certified: np.ndarray | None = None) -> tuple[Flag, ...]:
    """Check certified <= AutoAttack <= PGD <= clean image by image; each is (N,) bool: right, standing, or certified."""
    known = [(k, np.asarray(v, bool)) for k, v in (("certified", certified), ("AutoAttack", autoattack), ("PGD", pgd),
                                                   ("clean", clean)) if v is not None]
    flags = []
    for (low, a), (high, b) in ((p, q) for i, p in enumerate(known) for q in known[i + 1:]):
        wrong = int((a & ~b).sum())
        if wrong:
            flags.append(Flag("sandwich", f"{wrong} images count as robust for {low} but not for {high}: {low} <= {high} must hold.",
                              "One of the two is wrong: another network, other images, or a bug.", {"images": wrong}))
    return tuple(flags)
