"""How to synthesise an input: named sets of parametrisation, objective, penalties and transforms. Depends on nothing.

What is maximised is  h(x) - g(x): h is the activation, in units of what the starting images reach, g the penalties.
"""

from __future__ import annotations

from dataclasses import dataclass

from hubel.errors import InputError


@dataclass(frozen=True)
class Recipe:
    """One way to go from nothing to a picture.

    canvas : what is free: 'fourier' coefficients, 'pixels', the data's 'components', 'yosinski' (pixels under the four
        regularisers below), or a 'ball' of L2 radius `radius` around the mean colour. power : how fast Fourier scales
        fall with frequency.
    objective : for classes 'logit', or 'odds' (the logit against all others); for units it is their activation.
    steps, rate : of Adam. shift (a share of the image's side), turn (degrees), scale : ranges of the random transforms.
    variation : weight of the total variation (mean absolute difference of neighbours).
    decay, blur, norm_clip, contribution_clip : Yosinski's four regularisers on pixels around the mean colour: the share
        taken off in each step; the pixels of a Gaussian blur every `blur_every` steps; the quantiles of pixels of small
        norm, and of small contribution to the activation, that are set to the mean colour in each step.
    """

    name: str
    canvas: str = "fourier"
    power: float = 1.25
    objective: str = "logit"
    steps: int = 128
    rate: float = 0.08
    shift: float = 0.08
    turn: float = 10.0
    scale: float = 0.2
    variation: float = 0.3
    radius: float = 1.0
    decay: float = 0.0
    blur: float = 0.0
    blur_every: int = 4
    norm_clip: float = 0.0
    contribution_clip: float = 0.0
    source: str = ""


# Tuned by eye on EfficientNet-Lite0 and on small networks for 8 and 28 px digits. A power of 1 gives grainy pictures, 1.5
# and more blurred ones; without turns and sizes the same motif is tiled in high frequencies. On digits a Fourier canvas
# ends in textures outside the strokes, 'odds' keeps parts of other digits out.
RECIPES = {
    r.name: r
    for r in (
        Recipe("photo", source="Olah et al. 2017, distill.pub/2017/feature-visualization"),
        Recipe("strong", steps=192, rate=0.25, shift=0.03, scale=0.1, variation=0.0, source="as photo, for the highest activation: grainier"),
        Recipe("sketch", power=1.3, rate=0.05, shift=0.08, scale=0.1, variation=0.0),
        Recipe("digit", canvas="components", objective="odds", rate=0.1, steps=160, shift=0.06, turn=6, scale=0.08,
               variation=0.0),
        # The four rows of Yosinski et al. 2015, table 1 (decay, blur width, blur every, norm and contribution quantiles)
        *(Recipe(f"yosinski-{letter}", canvas="yosinski", steps=300, rate=0.03, shift=0, turn=0, scale=0, variation=0,
                 decay=decay, blur=blur, blur_every=every, norm_clip=norm, contribution_clip=contribution,
                 source="Yosinski et al. 2015, arXiv:1506.06579, table 1")
          for letter, decay, blur, every, norm, contribution in (
              ("a", 0.0, 0.5, 4, 0.5, 0.0), ("b", 0.3, 0.0, 4, 0.2, 0.0), ("c", 1e-4, 1.0, 4, 0.0, 0.0),
              ("d", 0.0, 0.5, 4, 0.0, 0.9))),
        Recipe("ball", canvas="ball", steps=64, rate=0.5, shift=0, turn=0, scale=0, variation=0,
               source="Erhan et al. 2009, 'Visualizing Higher-Layer Features of a Deep Network'"),
    )
}


def recipe(name: str | Recipe | None, size: tuple[int, int], has_data: bool) -> Recipe:
    """Return the named recipe; None is 'photo' above 40 pixels, below 'digit' with data and 'sketch' without."""
    if isinstance(name, Recipe):
        return name
    if name is None:
        return RECIPES["photo" if max(size) > 40 else "digit" if has_data else "sketch"]
    if name not in RECIPES:
        raise InputError(f"preset={name!r} is unknown: one of {', '.join(RECIPES)}")
    return RECIPES[name]
