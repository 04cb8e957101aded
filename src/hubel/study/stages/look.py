"""The stages that look inside: first filters, exciting inputs, made-up inputs for classes, where decisions come from.

Depends on look, whose functions do the work; here their results become facts and pictures.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import torch

from hubel import look
from hubel.errors import DataError
from hubel.look.exciting import default_layers
from hubel.pixels import as_arrays
from hubel.study import pictures
from hubel.study.context import Context
from hubel.study.report.section import count, pct
from hubel.study.stages.data import SIDE

_FILTERS = 64
_PROBED, _FOLDS = 400, 3  # images and folds of the probes


def filters(context: Context) -> dict[str, Any]:
    found = look.filters(context.model)
    weights = found.weights
    h, w = weights.shape[2:]
    shown = weights[:_FILTERS]
    edges = int((_edge_share(weights) > 0.5).sum())
    return {
        "layer": found.layer, "count": len(weights), "size_text": f"{h} × {w}", "channels": int(weights.shape[1]),
        "pictures": [context.folder.picture(f"filter-{i}", pictures.filter_tile(f)) for i, f in enumerate(shown)],
        "edges": edges,
        "finding": f"{edges} of {len(weights)} filters are mostly a change of brightness across the window, an edge"
                   f"{'.' if edges != 1 else ', or one.'}",
        "detail": f"Each is scaled to its own largest weight{'' if len(shown) == len(weights) else '; the first 64'}. "
                  "Counted as an edge: a plane fitted to the filter's weights, summed over channels, explains more than "
                  "half of their variance.",
    }


def _edge_share(weights: np.ndarray) -> np.ndarray:
    """(units,): the share of a filter's variance, summed over channels, that a tilted plane (a gradient) explains."""
    grey = weights.sum(axis=1).reshape(len(weights), -1).astype(np.float64)
    h, w = weights.shape[2:]
    y, x = np.mgrid[:h, :w].reshape(2, -1).astype(np.float64)
    design = np.stack([y - y.mean(), x - x.mean()], axis=1)
    if h < 2 or w < 2:
        return np.zeros(len(weights))
    centred = grey - grey.mean(1, keepdims=True)
    fitted = centred @ design @ np.linalg.pinv(design)
    return (fitted**2).sum(1) / np.maximum((centred**2).sum(1), 1e-30)


def exciting(context: Context) -> dict[str, Any]:
    """A middle layer and the last one with places, so that features are seen to become larger and more abstract."""
    plan, subject = context.planned, context.subject
    data = subject.draw(plan.excited)
    chosen = _two_layers(context)
    layers: list[dict[str, Any]] = []
    for name in chosen:
        found = look.exciting(context.model, data, name, k=plan.per_unit, show=plan.units)
        units = []
        for u, crops, images, values in zip(found.units, found.crops, found.images, found.activations, strict=True):
            alive = np.isfinite(values) & (values > 0)
            if not alive.any():
                continue
            names = [data.classes[data.labels[i]] for i in images[alive]]
            top, n = Counter(names).most_common(1)[0]
            units.append({"unit": int(u), "activation": float(values[0]), "top": top, "share": n / len(names),
                          "text": f"unit {u}: {top}" + (f", all {n}" if n == len(names) else f", {n} of {len(names)}"),
                          "pictures": [context.folder.picture(f"exciting-{len(layers)}-{u}-{j}", crops[j], 96)
                                       for j in np.flatnonzero(alive)]})
        if units:
            layers.append({"layer": name, "small": context.small or max(found.layer.receptive_field) <= 40,
                           "units": units, "finding": _layer_finding(found, units), "detail": _layer_detail(found, plan)})
    return {"images": len(data), "k": plan.per_unit, "layers": layers, "depth": _depth(context)}


def _depth(context: Context) -> dict[str, Any] | None:
    """How far layers apart in depth separate the classes; None where the sample has too few images of a class."""
    data = context.subject.draw(min(context.planned.excited, _PROBED))
    names = default_layers(look.layers(context.model, context.subject.sample(1)[0]))
    names = [names[i] for i in np.unique(np.linspace(0, len(names) - 1, 6).round().astype(int))]
    try:
        found = look.depth(context.model, data, names, folds=_FOLDS)
    except DataError:
        return None
    first, last = found.probe[0], found.probe[-1]
    h, w = context.model.size or (0, 0)
    return {**found.to_dict(), "names": names, "sees": ["all" if f >= max(h, w) else f"{f} px" for f in found.fields],
            "finding": f"A linear probe tells the classes apart in {pct(first, 0)} of cases by the first layer's features, in "
                       f"{pct(last, 0)} by the last one's.",
            "detail": f"Features averaged over places, of {found.images} test images, in {_FOLDS} folds: a linear probe and the "
                      "nearest neighbour, each judged on the fold that it has not seen."}


def _two_layers(context: Context) -> list[str]:
    x, _ = context.subject.sample(1)
    maps = [layer for layer in look.layers(context.model, x) if layer.is_map and layer.kind != "Identity"]
    last = maps[-1]
    h, w = last.image
    # A unit of the middle layer sees less than half of the image: parts, not edges and not everything.
    middle = min(maps, key=lambda m: abs(max(m.receptive_field[0] / h, m.receptive_field[1] / w) - 0.45))
    same = [m for m in maps if m.shape == middle.shape and m.receptive_field == middle.receptive_field]
    return [same[-1].name, last.name] if same[-1].name != last.name else [last.name]


def _layer_finding(found: Any, units: list[dict[str, Any]]) -> str:
    pure = sum(u["share"] == 1 for u in units)
    h, w = found.layer.receptive_field
    sees = "the whole image" if h >= found.layer.image[0] and w >= found.layer.image[1] else f"{w} × {h} pixels"
    text = f"Layer {found.layer.name}, whose units see {sees}: "
    if pure == 0:
        return text + "none of these units keeps to one class."
    verb = "are" if pure != 1 else "is"
    return text + f"{pure} of these {count(len(units), 'unit')} {verb} excited most by one class alone."


def _layer_detail(found: Any, plan: Any) -> str:
    return (f"The {plan.per_unit} strongest of {found.seen:,} test images for each of the units that stand out most, best "
            "first, and how many of them are of the commonest class.")


def classes(context: Context) -> dict[str, Any]:
    plan, subject = context.planned, context.subject
    wanted = subject.to_model[np.unique(np.linspace(0, len(subject.to_model) - 1, plan.classes).round().astype(int))]
    data = subject.draw(min(plan.excited, 512))
    found = look.synthesise(context.model, classes=[int(k) for k in wanted], data=data, steps=plan.class_steps,
                            seed=context.seed)
    assert found.best_real is not None
    with torch.no_grad():
        probabilities = torch.cat([context.model.probabilities(context.model(x)) for x in found.images.split(16)])
    own = [float(p[k]) for p, k in zip(probabilities, wanted, strict=True)]
    reached = (found.under_transforms / found.best_real.abs().clamp_min(1e-6)).tolist()
    shown = [{"class": subject.classes[k], "probability": sure, "logit": float(found.activations[i]),
              "best_real": float(found.best_real[i]), "text": f"{pct(sure, 0)} sure",
              "picture": context.folder.picture(f"class-{i}", pixels, SIDE + 96)}
             for i, (k, sure, pixels) in enumerate(zip(wanted, own, as_arrays(found.images), strict=True))]
    taken = sum(sure > 0.5 for sure in own)
    beyond = sum(r > 1 for r in reached)
    return {"indices": [int(k) for k in wanted], "images": len(data), "steps": plan.class_steps, "small": context.small,
            "shown": shown,
            "finding": f"Made from noise to excite a class: the model is more than 50% sure of {taken} of these "
                       f"{len(shown)}, and {beyond} excite it more than any of {len(data):,} real images.",
            "detail": f"Each in {plan.class_steps} steps that raise the class's logit; compared under fresh shifts and "
                      "turns. Where we recognise the class, the network has learned what we see; the rest is what it "
                      "makes do with."}


def decisions(context: Context) -> dict[str, Any]:
    """Right answers of different classes, and the surest mistakes."""
    subject, e = context.subject, context.facts["evaluation"]
    wrong = [m["index"] for m in e["mistakes"]]
    rng = np.random.default_rng([context.seed, 2])
    order = rng.permutation(len(subject.test))
    right, seen = [], set()
    for i in order:
        label = int(subject.test.labels[i])
        if int(i) not in wrong and label not in seen:
            right.append(int(i))
            seen.add(label)
    half = context.planned.decisions // 2
    indices = (right[: context.planned.decisions - len(wrong[:half])] + wrong[:half])[: context.planned.decisions]
    x, y = subject.images(indices)
    cam, gradient = look.gradcam(context.model, x), look.gradient(context.model, x)
    heat = cam.heat().numpy()
    change = (gradient.heat() if gradient.maps.shape[1] == 1 else gradient.maps.sum(1)).numpy()
    high, top = float(np.quantile(heat, 0.995)) or 1.0, float(np.quantile(np.abs(change), 0.995)) or 1.0
    examples = []
    for i, pixels in enumerate(as_arrays(x)):
        names = [context.folder.picture(f"decision-{i}-image", pixels, SIDE + 48),
                 context.folder.picture(f"decision-{i}-cam", pictures.overlay(pixels, heat[i], high), SIDE + 48),
                 context.folder.picture(f"decision-{i}-gradient", pictures.signed(change[i], top), SIDE + 48)]
        examples.append({"true": subject.classes[int(y[i])], "predicted": subject.classes[int(cam.targets[i])],
                         "confidence": float(cam.probabilities[i]), "pictures": names, "index": indices[i]})
    peak = _concentration(heat)
    return {"small": context.small, "indices": indices, "layer": cam.layer, "examples": examples,
            "finding": f"Half of Grad-CAM's weight lies on {pct(peak, 0)} of the image, on average over these.",
            "detail": f"Left to right: the image; Grad-CAM at {cam.layer}, dark to bright on one scale for all (0 to "
                      f"{high:.2g} added to the logit by a place); the gradient of the answer's logit, red where a brighter "
                      "pixel would raise it, blue where it would lower it."}


def _concentration(heat: np.ndarray) -> float:
    """The mean share of places that hold half of a map's sum."""
    shares = []
    for one in heat.reshape(len(heat), -1):
        total = one.sum()
        if total > 0:
            ordered = np.sort(one)[::-1].cumsum()
            shares.append((np.searchsorted(ordered, total / 2) + 1) / len(one))
    return float(np.mean(shares)) if shares else 1.0
