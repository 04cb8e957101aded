"""Does an attribution tell about this model and this decision? Two tests of any method. Depends on attribution, torch.

Parameter randomisation (Adebayo et al. 2018, 'Sanity Checks for Saliency Maps', arXiv:1810.03292) and insertion/deletion
curves (Petsiuk et al. 2018, arXiv:1806.07421), the latter beside a random order of the pixels.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hubel.look.attribution import Attribution, chunk_of
from hubel.look.canvasses import blurred
from hubel.look.draw import INK, MUTED, WIDTH, Shown, canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def randomisation(model: Any, method: Callable[..., Attribution], x: Any, seed: int = 0) -> float:
    """Return how alike (mean Spearman correlation of magnitudes, -1..1) maps of `model` and of the same network with all
    weights shuffled within each tensor are. Near 0 is right; near 1 the method draws the image, not the decision.

    `method(model, x, y)` gives an Attribution; the same classes are explained in both.
    """
    real = method(model, x, None)
    twin = model.twin(copy.deepcopy(model.network))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in twin.network.parameters():
            p.copy_(p.flatten()[torch.randperm(p.numel(), generator=generator)].view_as(p))
    random = method(twin, x, real.targets)
    a, b = (_ranks(r.maps.abs().sum(1).flatten(1)) for r in (real, random))
    return float(F.cosine_similarity(a, b).mean())


def _ranks(values: Tensor) -> Tensor:
    """Centred ranks (N, d), equal values sharing their mean rank."""
    from scipy.stats import rankdata

    ranks = torch.from_numpy(rankdata(values.double().numpy(), axis=1))
    return ranks - ranks.mean(1, keepdim=True)


@dataclass(frozen=True)
class Curves(Shown):
    """Mean probability (steps + 1,) of the explained class against the share of pixels deleted or inserted, most important
    first; for the maps and for a random order. Areas: deletion should be below random, insertion above."""

    share: Tensor
    deletion: Tensor
    insertion: Tensor
    random_deletion: Tensor
    random_insertion: Tensor
    method: str

    def areas(self) -> dict[str, float]:
        names = ("deletion", "insertion", "random_deletion", "random_insertion")
        return {name: float(torch.trapezoid(getattr(self, name), self.share)) for name in names}

    def to_dict(self) -> dict[str, Any]:
        return {"method": self.method, "areas": self.areas(), "share": self.share.tolist(),
                "deletion": self.deletion.tolist(), "insertion": self.insertion.tolist()}

    def plot(self) -> Figure:
        figure = canvas(2.7)
        areas = self.areas()
        for k, name in enumerate(("deletion", "insertion")):
            axes = figure.add_axes((0.1 + 0.47 * k, 0.17, 0.4, 0.6))
            axes.plot(self.share, getattr(self, f"random_{name}"), color=MUTED, lw=1.2, ls="--",
                      label=f"random order, area {areas[f'random_{name}']:.2f}")
            axes.plot(self.share, getattr(self, name), color="#c2410c", lw=1.8, label=f"by the map, area {areas[name]:.2f}")
            axes.set(xlim=(0, 1), ylim=(0, 1.02))
            axes.set_xlabel(f"share of pixels {'deleted' if k == 0 else 'inserted'}", size=8, color=INK)
            axes.tick_params(labelsize=7.5, colors=MUTED)
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(fontsize=7.5, frameon=False, loc="lower left", bbox_to_anchor=(-0.05, 1.0), borderpad=0)
        title = f"{self.method}: probability of the class"
        figure.text(0.12 / WIDTH, 0.96, title, size=10.5, weight="bold", color=INK, va="top")
        return figure


def insertion_deletion(model: Any, attribution: Attribution, steps: int = 20, seed: int = 0) -> Curves:
    """Return the curves of `attribution` on `model`: pixels are deleted to a blurred image, or inserted into it."""
    x = attribution.images
    n, _, height, width = x.shape
    heat = F.interpolate(attribution.heat()[:, None], (height, width), mode="bilinear", align_corners=False).flatten(1)
    chance = torch.rand(heat.shape, generator=torch.Generator().manual_seed(seed))
    ground = blurred(x, max(height, width) / 20)
    forward = model.fast(x)
    curves = []
    for order in (heat, chance):
        rank = order.argsort(1, descending=True).argsort(1).view(n, 1, height, width)
        for start, end in ((x, ground), (ground, x)):
            points = []
            for step in range(steps + 1):
                mixed = torch.where(rank < round(step * height * width / steps), end, start)
                with torch.no_grad():
                    p = torch.cat([model.probabilities(forward(part)) for part in mixed.split(chunk_of(x))])
                points.append(p.gather(1, attribution.targets[:, None]).mean())
            curves.append(torch.stack(points))
    deletion, insertion, random_deletion, random_insertion = curves
    return Curves(torch.linspace(0, 1, steps + 1), deletion, insertion, random_deletion, random_insertion,
                  attribution.method)
