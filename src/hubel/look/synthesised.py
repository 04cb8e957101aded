"""What a synthesised input is: the picture, and the evidence that it excites its unit. Depends on draw, recipes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from hubel.look.draw import BLANK, Group, Shown, as_tile, sheet
from hubel.look.recipes import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FRESH = 16  # draws of new transforms that an image is tested under


@dataclass(frozen=True)
class Synthesised(Shown):
    """One image per unit and seed, with the evidence that it excites it. All activations are in full precision.

    images : float32 (n, C, H, W) in 0..1. activations : float32 (n,), reached at the wanted place of the map.
    under_transforms, their_spread : float32 (n,), mean and standard deviation over fresh random transforms.
    noise : float32 (n,), what random images of the same colours reach on average. best_real : float32 (n,) or None, the
    best of the images given, anywhere in the map. over_seeds : float32 (n,) or None, the deviation over the unit's seeds.
    states : 'moved'; 'rescued' where the unit was silent at first and stronger noise woke it; 'dead' where nothing tried
    moves it at all; 'saturated' where it is at its end stop from the start. Pictures of the last two mean nothing.
    """

    layer: str
    units: tuple[int, ...]
    seeds: tuple[int, ...]
    names: tuple[str, ...]
    images: Tensor
    activations: Tensor
    under_transforms: Tensor
    their_spread: Tensor
    noise: Tensor
    best_real: Tensor | None
    over_seeds: Tensor | None
    states: tuple[str, ...]
    recipe: Recipe
    place: str
    sign: int
    colours: str
    precision: str
    model: str = ""

    def address(self, i: int) -> str:
        """Names the picture for good: model hash, layer, unit, seed."""
        return f"{self.model}/{self.layer}/{self.units[i]}/{self.seeds[i]}"

    def plot(self, columns: int | None = None) -> Figure:
        columns = columns or (5 if max(self.images.shape[-2:]) <= 40 else 3 if len(self.units) > 4 else 2)
        tiles = [as_tile(x) if state in ("moved", "rescued") else _crossed_out(x.shape[1], x.shape[2])
                 for x, state in zip(self.images, self.states, strict=True)]
        groups = [Group([tile], name[: 48 // columns], self._evidence(i))
                  for i, (tile, name) in enumerate(zip(tiles, self.names, strict=True))]
        foot = "Activation reached" + (" / best real input" if self.best_real is not None else "")
        if self.recipe.shift or self.recipe.turn or self.recipe.scale:
            foot += f";\nthen its mean under {FRESH} fresh shifts, turns and sizes"
        does = "excite" if self.sign > 0 else "silence"
        return sheet(groups, 1, columns, title=f"Made to {does} {self.layer}", foot=foot + ".")

    def _evidence(self, i: int) -> str:
        if self.states[i] in ("dead", "saturated"):
            return f"{self.states[i]}: nothing\ntried moves it"
        real = "" if self.best_real is None else f" / {float(self.best_real[i]):.3g}"
        fresh = f"{float(self.under_transforms[i]):.3g} ± {float(self.their_spread[i]):.2g}"
        return f"{float(self.activations[i]):.3g}{real}\n{fresh}"

    def to_dict(self) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "layer": self.layer, "model": self.model, "units": list(self.units), "seeds": list(self.seeds),
            "names": list(self.names), "addresses": [self.address(i) for i in range(len(self.units))],
            "states": list(self.states), "place": self.place, "sign": self.sign, "colours": self.colours,
            "precision": self.precision, "recipe": asdict(self.recipe),
        }
        for key in ("activations", "under_transforms", "their_spread", "noise", "best_real", "over_seeds"):
            value = getattr(self, key)
            facts[key] = None if value is None else value.tolist()
        return facts


def _crossed_out(height: int, width: int) -> np.ndarray:
    side = max(64, height, width)
    tile = np.empty((side, side, 3))
    tile[:] = BLANK
    step = np.arange(side)
    for thick in range(max(1, side // 64)):
        tile[step, np.minimum(step + thick, side - 1)] = tile[step, np.maximum(side - 1 - step - thick, 0)] = 0.75
    return tile
