"""How the error falls as the bottleneck widens, against what PCA loses with as many numbers. Depends on autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hubel.autoencode.autoencoder import build
from hubel.errors import InputError
from hubel.look.draw import INK, MUTED, Shown, canvas
from hubel.training.progress import Display

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class BySize(Shown):
    """Mean squared error on held-out images, in pixels of 0..1, by numbers in the bottleneck; `pca`: with PCA's as many."""

    kind: str
    sizes: tuple[int, ...]
    errors: tuple[float, ...]
    pca: tuple[float, ...]
    inputs: int

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "sizes": list(self.sizes), "errors": list(self.errors), "pca": list(self.pca),
                "inputs": self.inputs}

    def plot(self) -> Figure:
        figure = canvas(3.2)
        axes = figure.add_axes((0.14, 0.16, 0.82, 0.7))
        for values, name, style, colour in ((self.pca, "PCA", "s--", MUTED), (self.errors, f"{self.kind} autoencoder", "o-", "#2563eb")):
            axes.plot(self.sizes, -10 * np.log10(np.maximum(values, 1e-10)), style, color=colour, label=name, markersize=4,
                      linewidth=1.5)
        axes.set_xscale("log", base=2)
        axes.set_xticks(self.sizes, [str(s) for s in self.sizes])
        axes.minorticks_off()
        axes.tick_params(labelsize=7.5, colors=INK)
        axes.set_xlabel(f"numbers in the bottleneck (an image has {self.inputs:,})", size=8.5, color=INK)
        axes.set_ylabel("PSNR on held-out images, dB", size=8.5, color=INK)
        axes.set_title("How much comes back through the bottleneck", size=10.5, color=INK, weight="bold", loc="left")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
        return figure


def error_by_size(x: Any, sizes: Sequence[int] = (2, 4, 8, 16, 32, 64), *, kind: str = "convolutional", held_out: float = 0.1,
                  seed: int = 0, verbose: int = 1, options: dict[str, Any] | None = None, **fit: Any) -> BySize:
    """Train one autoencoder for each size of the bottleneck on images x, NumPy uint8 (N, H, W, C), and measure on the
    share `held_out` of them. `options` go to `build`, others to `Autoencoder.fit`."""
    x = np.asarray(x)
    if x.dtype != np.uint8 or x.ndim != 4:
        raise InputError(f"images of type {x.dtype} and shape {x.shape}: give uint8 (N, H, W, C)")
    sizes = tuple(sorted(set(sizes)))
    kept = max(1, round(held_out * len(x)))
    if not 0 < held_out < 1 or len(x) - kept <= max(sizes):
        raise InputError(f"{len(x)} images, {held_out:.0%} held out: give more than {max(sizes)} to learn from")
    order = np.random.default_rng(seed).permutation(len(x))
    learn, test = x[order[kept:]], x[order[:kept]]
    errors, display = [], Display(verbose, None)
    for size in sizes:
        coder = build(kind, x.shape[1:3], x.shape[3], size, seed, **(options or {}))
        coder.fit(learn, seed=seed, verbose=0, **fit)
        errors.append(float(coder.error(test).mean()))
        display.line(f"{size} numbers: {-10 * np.log10(errors[-1]):.1f} dB")
    return BySize(kind, sizes, tuple(errors), tuple(_pca(learn, test, sizes)), int(np.prod(x.shape[1:])))


def _pca(learn: np.ndarray, test: np.ndarray, sizes: Sequence[int]) -> list[float]:
    """Mean squared errors of PCA with so many components, learned on (at most 10,000 of) the same images."""
    from sklearn.decomposition import PCA

    rows, others = (a.reshape(len(a), -1).astype(np.float32) / 255 for a in (learn[:10_000], test))
    pca = PCA(max(sizes), svd_solver="randomized", random_state=0).fit(rows)
    codes, centred = pca.transform(others), others - pca.mean_
    total = float((centred**2).mean())
    kept = np.cumsum((codes**2).sum(0)) / centred.size
    return [max(total - float(kept[size - 1]), 0.0) for size in sizes]
