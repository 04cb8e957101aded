"""Inputs made to excite a unit or a class as much as possible, many at once. Depends on ascent, canvasses, recipes, quick.

max over x of h(x) - g(x): Erhan et al. 2009; Simonyan et al. 2014 (arXiv:1312.6034); Yosinski et al. 2015
(arXiv:1506.06579); Olah et al. 2017 (distill.pub/2017/feature-visualization). What is reached is measured on the network
itself, in full precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from hubel.errors import InputError, ModelError
from hubel.look.ascent import Ascent, at_place
from hubel.look.canvasses import Ball, Canvas, Colours, Components, Fourier, Key, Pixels, Yosinski, generator
from hubel.look.capture import Taps
from hubel.look.layers import Layer, layers
from hubel.look.progress import track
from hubel.look.quick import Quick, quick
from hubel.look.recipes import Recipe, recipe
from hubel.look.stream import at, count, spread
from hubel.look.synthesised import FRESH, Synthesised
from hubel.look.topk import TopK, peak
from hubel.look.wobble import Draws, wobble

PLACES = ("centre", "everywhere", "layer")
REAL = 1024  # at most so many real images are looked at for comparison


def synthesise(model: Any, *, classes: Sequence[int] | None = None, layer: str | None = None,
               units: Sequence[int] | None = None, data: Any = None, place: str = "centre",
               preset: str | Recipe | None = None, steps: int | None = None, seed: int = 0, seeds: int = 1, sign: int = 1,
               diversity: float = 0.0, batch: int = 16) -> Synthesised:
    """Return images that excite `units` of `layer`, or the logits of `classes` (all classes where neither is given).

    Parameters
    ----------
    data : a Dataset or images: their colours are the starting point, and their best activations are reported beside
        what is reached.
    place : 'centre' excites the unit in the middle of the map, 'everywhere' the mean of the channel, 'layer' the whole
        layer's mean square (DeepDream; say units=[0]).
    preset : a name in `RECIPES`, or a Recipe. sign : -1 looks for the least instead.
    seeds : so many images for each unit, from seed, seed + 1, ...; with `diversity` > 0 they are driven apart (its weight,
        in units of the layer's typical activation), and belong together.
    batch : images optimised at once.

    Raises InputError for units or classes that do not exist and options that are none.
    """
    if (layer is not None and classes is not None) or (layer is None) != (units is None):
        raise InputError("say either classes=, or both layer= and units=")
    if place not in PLACES or sign not in (-1, 1) or seeds < 1:
        raise InputError(f"place={place!r}, sign={sign!r}, seeds={seeds!r}: place is one of {', '.join(PLACES)}, sign 1 or "
                         "-1, seeds at least 1")
    sample = model.example(1) if data is None else at(model, data, spread(count(data), 64))
    listed = layers(model, sample)
    target = listed[layer] if layer is not None else logits_layer(model, listed, sample)
    wanted = list(units) if units is not None else list(classes) if classes is not None else list(range(target.channels))
    bad = [u for u in wanted if not 0 <= u < target.channels]
    if bad or not wanted:
        raise InputError(f"unit {bad[0] if bad else '(none)'} of {target.name}: it has 0 to {target.channels - 1}")
    chosen = recipe(preset, target.image, data is not None)
    chosen = replace(chosen, steps=chosen.steps if steps is None else steps,
                     objective=chosen.objective if layer is None else "logit")
    colours = Colours.default(sample.shape[1]) if data is None else Colours.of(sample)
    copy = quick(model, [target.name], sample, fusion=False)  # units are climbed by what their function is given
    keys = [(int(u), seed + s) for u in wanted for s in range(seeds)]
    size = max(1, batch // seeds) * seeds
    images, states = _climb(model, copy, target, [keys[i : i + size] for i in range(0, len(keys), size)], chosen, colours,
                            data, place, sign, diversity)
    evidence = _evidence(model, target, keys, images, colours, chosen, place)
    real = None if data is None else _best_real(model, data, copy, target, wanted, sign, place)
    names = [str(model.classes[u]) if layer is None else f"unit {u}" for u, _ in keys]
    over = evidence[0].view(-1, seeds).std(1).repeat_interleave(seeds) if seeds > 1 else None
    return Synthesised(target.name, tuple(u for u, _ in keys), tuple(s for _, s in keys), tuple(names), images, *evidence,
                       None if real is None else real.repeat_interleave(seeds), over, tuple(states), chosen, place, sign,
                       colours.source, copy.precision, model.hash)


def _climb(model: Any, copy: Quick, target: Layer, groups: list[list[Key]], how: Recipe, colours: Colours, data: Any,
           place: str, sign: int, diversity: float) -> tuple[Tensor, list[str]]:
    parts, states = [], []
    total = sum(map(len, groups)) * how.steps
    ascent = None
    for keys, number in track(((g, s) for g in groups for s in range(how.steps)), total, "synthesising", "image steps",
                              size=lambda step: len(step[0])):
        if number == 0 or ascent is None:
            ascent = Ascent(copy, target.name, keys, canvas_of(model, how, keys, target.image, colours, data), how, place,
                            sign, diversity)
        ascent.step(number)
        if number == how.steps - 1:
            parts.append(ascent.canvas.images().detach().clone())
            states += ascent.states()
    return torch.cat(parts), states


def canvas_of(model: Any, how: Recipe, keys: Sequence[Key], size: tuple[int, int], colours: Colours, data: Any) -> Canvas:
    """Return the canvas a recipe asks for; raises InputError where it needs data that are not there."""
    if how.canvas == "fourier":
        return Fourier(keys, size, colours, how.power)
    if how.canvas == "pixels":
        return Pixels(keys, size, colours)
    if how.canvas == "yosinski":
        return Yosinski(keys, size, colours, how)
    if how.canvas == "ball":
        return Ball(keys, size, colours, how.radius)
    if how.canvas != "components":
        raise InputError(f"canvas={how.canvas!r} is unknown: fourier, pixels, yosinski, components or ball")
    if data is None or count(data) < 2:
        raise InputError(f"recipe {how.name!r} takes its components from images: hand in data=")
    return Components(keys, at(model, data, spread(count(data), 2000)))


def logits_layer(model: Any, listed: Any, sample: Tensor) -> Layer:
    """Return the last layer whose output is the logits; raises ModelError where they come from no layer."""
    for candidate in reversed(list(listed)):
        if candidate.shape == (len(model.classes),):
            with Taps(model.network, [candidate.name]) as taps, torch.no_grad():
                taps.run(model.normalise(sample[:1]))
                if torch.equal(model.forward(sample[:1]), taps[candidate.name]):
                    return candidate
    raise ModelError("no layer of this network gives its logits as they are: name a layer and units instead")


def _evidence(model: Any, target: Layer, keys: Sequence[Key], images: Tensor, colours: Colours, how: Recipe, place: str
              ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Activations (n,) reached, their mean and spread under transforms not used before, and what noise reaches."""
    which = torch.tensor([unit for unit, _ in keys])

    def measure(x: Tensor, own: Tensor) -> Tensor:
        return at_place(activation_of(model, target.name, x), own, place)

    shift = how.shift * max(images.shape[-2:])
    plain, mean, deviation = [], [], []
    for i in range(0, len(keys), 8):
        x, own = images[i : i + 8], which[i : i + 8]
        plain.append(measure(x, own))
        fresh = Draws([generator(key, 3) for key in keys[i : i + 8]])
        draws = torch.stack([measure(wobble(x, fresh.next(), shift, how.turn, how.scale), own) for _ in range(FRESH)])
        mean.append(draws.mean(0))
        deviation.append(draws.std(0))
    noise = Fourier([(unit, 0) for unit in range(8)], target.image, colours, 1.0, spread=1.0).images().detach()
    of_noise = activation_of(model, target.name, noise)
    typical = torch.stack([at_place(of_noise, which[i].expand(8), place).mean() for i in range(len(keys))])
    return torch.cat(plain), torch.cat(mean), torch.cat(deviation), typical


def activation_of(model: Any, layer: str, x: Tensor) -> Tensor:
    """Return the layer's activation for images in 0..1, on the network itself."""
    with Taps(model.network, [layer]) as taps, torch.no_grad():
        taps.run(model.normalise(x), stop=True)
    return taps[layer].float()


def _best_real(model: Any, data: Any, copy: Quick, target: Layer, units: Sequence[int], sign: int, place: str) -> Tensor:
    """The strongest activation (n,) among real images, anywhere in the map: found fast, measured exactly."""
    numbers = spread(count(data), REAL)
    top = TopK(len(units), 3)

    def of(activation: Tensor) -> Tensor:
        if place == "layer":
            return sign * at_place(activation.float(), torch.tensor(units), place)[:, None].expand(-1, len(units))
        own = sign * activation[:, list(units)]
        return own.mean((2, 3)) if place == "everywhere" and own.ndim == 4 else own

    some: list[int] = []

    def take(_: str, activation: Tensor) -> None:
        top.update(of(activation.detach()), torch.tensor(some))

    with Taps(copy.network, [target.name], keep=take) as taps, torch.no_grad():
        for i in range(0, len(numbers), 32):
            some = numbers[i : i + 32]
            taps.run(copy.inputs(at(model, data, some)), stop=True)
    distinct = torch.unique(top.inputs[top.inputs >= 0]).tolist()
    best = torch.full((len(units),), -torch.inf)
    for i in range(0, len(distinct), 16):
        activation = activation_of(model, target.name, at(model, data, distinct[i : i + 16]))
        best = torch.maximum(best, peak(of(activation)).amax(0))
    return sign * best
