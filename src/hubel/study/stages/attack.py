"""The stage that breaks the model: the robustness curve, worst case and noise, and the least and most robust images.

Depends on attack, whose functions do the work.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hubel import attack as room
from hubel.study import pictures
from hubel.study.context import Context
from hubel.study.report.section import eps_text
from hubel.study.stages.data import SIDE

SMALL = (1, 2, 4, 8, 16, 24, 32, 48, 64)  # of 255, for pictures of a few pixels: it takes more to change one
LARGE = (1, 2, 3, 4, 6, 8, 12, 16)
_EXAMPLES = 6


def attack(context: Context) -> dict[str, Any]:
    plan, model = context.planned, context.model
    x, y = context.subject.sample(plan.attacked)
    levels = SMALL if context.small else LARGE
    curve = room.robustness_curve(model, x, y, epsilons=[f"{k}/255" for k in levels], steps=plan.attack_steps,
                                  seed=context.seed, progress="auto" if context.verbose else False)
    chance = 1 / len(model.classes)
    return {
        "norm": curve.norm, "points": len(x), "steps": curve.steps, "draws": curve.draws,
        "attack_text": f"Projected gradient descent ({curve.steps} steps, one start at each size)",
        "eps": curve.epsilons.tolist(), "worst": curve.worst.tolist(), "worst_interval": curve.worst_interval.tolist(),
        "noise": {kind: values.tolist() for kind, values in curve.noise.items()}, "half": curve.half, "chance": chance,
        "least": [None if np.isnan(v) else float(v) for v in curve.least], "flags": flags(context, curve, x, y),
        "fragile": [_example(context, curve, int(i), f"fragile-{k}") for k, i in enumerate(curve.fragile(_EXAMPLES))],
        "sturdy": [_example(context, curve, int(i), f"sturdy-{k}") for k, i in enumerate(curve.sturdy(_EXAMPLES))],
    }


def flags(context: Context, curve: Any, x: Any, y: Any) -> list[str]:
    """Signs that the attack was misled, in plain language (Carlini et al. 2019, arXiv:1902.06705, section 5)."""
    found = []
    for kind, values in curve.noise.items():
        ahead = np.flatnonzero(values < curve.worst - 1e-9)
        if len(ahead):
            k = int(ahead[0])
            found.append(f"At ε = {eps_text(float(curve.epsilons[k]))} {kind} noise does more harm than the attack: its "
                         "gradients lead nowhere, and the worst case is worse than what is drawn.")
    k = int(np.argmin(np.abs(curve.worst - curve.worst[0] / 2)))
    if k:
        eps = float(curve.epsilons[k])
        one = room.fgsm(context.model, x, y, eps, seed=context.seed, progress=False)
        if one.robust_accuracy < curve.worst[k] - 1e-9:
            found.append(f"At ε = {eps_text(eps)} a single gradient step does more harm than {curve.steps} of them: the "
                         "gradients point elsewhere nearby, and the worst case is worse than what is drawn.")
    return found


def _example(context: Context, curve: Any, i: int, name: str) -> dict[str, Any]:
    found, subject = curve.smallest, context.subject
    before, after = found.originals[i], found.adversarials[i]
    delta = (after.astype(np.float64) - before.astype(np.float64)) / 255
    broken = bool(found.success[i])
    magnified = pictures.magnification(delta)
    return {"true": subject.classes[int(found.labels[i])],
            "predicted": subject.classes[int(found.predicted_after[i])] if broken else None,
            "eps": float(curve.least[i]) if broken else None, "tried": float(curve.epsilons[-1]),
            "confidence": float(found.confidence_after[i]), "magnified": magnified, "index": i,
            "pictures": [context.folder.picture(f"{name}-before", before, SIDE + 48),
                         context.folder.picture(f"{name}-change", pictures.change(delta, magnified), SIDE + 48),
                         context.folder.picture(f"{name}-after", after, SIDE + 48)] if broken else
                        [context.folder.picture(f"{name}-before", before, SIDE + 48)]}
