"""Pictures of attacks: example rows and the robustness curve. Depends on look.draw and Matplotlib."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hubel.attack.result import AttackResult, eps_text
from hubel.look.draw import INK, MUTED, Group, as_tile, canvas, data_uri, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hubel.attack.certify import Certificates
    from hubel.attack.curve import RobustnessCurve
    from hubel.attack.evaluated import Evaluation

WORST, COLOURS = "#c0392b", {"uniform": "#2d6cb5", "sign": "#7a9cc6", "gaussian": "#2d6cb5"}


def magnified(original: np.ndarray, adversarial: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the perturbation (H, W, C) as a picture around mid-grey, and how many times it was magnified: the largest
    of 1, 2, 5, 10, ... that keeps all but its largest thousandth within the picture's range."""
    d = as_float(adversarial) - as_float(original)
    most = float(np.quantile(np.abs(d), 0.999)) or float(np.abs(d).max())
    room = 0.5 / most if most > 0 else 1.0
    decade = 10.0 ** np.floor(np.log10(max(room, 1.0)))
    scale = float(max(1.0, decade * max(k for k in (1, 2, 5) if k * decade <= max(room, 1.0))))
    return np.clip(0.5 + d * scale, 0, 1), scale


def as_float(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float64) / 255 if image.dtype == np.uint8 else image.astype(np.float64)


def examples(result: AttackResult, which: np.ndarray, title: str | None = None) -> Figure:
    """Draw images of `result`: original, perturbation magnified as stated, adversarial, with both predictions."""
    heading = title or f"{result.attack}, {result.norm} {eps_text(result.eps, result.norm)}"
    if not len(which):
        figure = canvas(0.8)
        figure.text(0.03, 0.7, heading, size=10.5, color=INK, weight="bold", va="top")
        figure.text(0.03, 0.35, "No image was broken that was right before.", size=8.5, color=MUTED, va="top")
        return figure
    groups = []
    for i in which:
        groups += _triple(result, int(i))
    return sheet(groups, 1, 3, title=heading, foot="The perturbation is drawn around mid-grey, magnified as stated.")


def _triple(result: AttackResult, i: int) -> list[Group]:
    picture, scale = magnified(result.originals[i], result.adversarials[i])
    before, after = (_short(result.classes[k]) for k in (result.predicted_before[i], result.predicted_after[i]))
    size = f"size {eps_text(result.distances[i], result.norm)}" if np.isfinite(result.distances[i]) else "withstood"
    return [Group([as_tile(as_float(result.originals[i]))], before, f"{result.confidence_before[i]:.0%} sure"),
            Group([as_tile(picture)], f"change × {scale:g}", size),
            Group([as_tile(as_float(result.adversarials[i]))], after, f"{result.confidence_after[i]:.0%} sure")]


def _short(name: str, most: int = 22) -> str:
    name = name.split(",")[0]
    return name if len(name) <= most else name[: most - 1] + "…"


def extremes(curve: RobustnessCurve, most: int = 3) -> Figure:
    """Draw the least robust images above the most robust ones."""
    result = curve.smallest
    groups = []
    for which in (curve.fragile(most), curve.sturdy(most)):
        for i in which:
            groups += _triple(result, int(i))
    title = "The least robust images above, the most robust below"
    return sheet(groups, 1, 3, title=title, foot="Each with its smallest perturbation found, magnified as stated.")


def curve(c: RobustnessCurve) -> Figure:
    """Draw accuracy against eps: worst case with its 95% interval, and noise of the same size."""
    figure = canvas(3.3)
    axes = figure.add_axes((0.115, 0.15, 0.855, 0.67))
    levels = c.norm == "linf"
    at = np.arange(len(c.epsilons))  # equally spaced: sizes double from one to the next
    axes.fill_between(at, *(100 * c.worst_interval.T), color=WORST, alpha=0.15, lw=0)
    for kind, values in c.noise.items():
        axes.plot(at, 100 * values, "--" if kind == "sign" else "-", color=COLOURS[kind], marker="o", ms=3, lw=1.6)
    axes.plot(at, 100 * c.worst, color=WORST, marker="o", ms=4, lw=2.2)
    names = [("worst case", WORST, "-")] + [(f"{k} noise", COLOURS[k], "--" if k == "sign" else "-") for k in c.noise]
    handles = [axes.plot([], [], style, color=colour, lw=2)[0] for _, colour, style in names]
    legend = axes.legend(handles, [n for n, _, _ in names], loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3,
                         frameon=False, fontsize=8.5, handlelength=1.6, columnspacing=1.4, borderaxespad=0.2)
    for text, (_, colour, _) in zip(legend.get_texts(), names, strict=True):
        text.set_color(colour)
    axes.set_xticks(at, [f"{e * 255:.3g}" if levels else f"{e:.3g}" for e in c.epsilons])
    axes.set_ylim(0, 102)
    axes.set_yticks([0, 25, 50, 75, 100], ["0", "25", "50", "75", "100%"])
    axes.set_xlabel("eps, the most a value may change, in 255ths" if levels else f"eps, size of the change ({c.norm})",
                    size=8.5, color=INK)
    axes.tick_params(labelsize=8, colors=MUTED, length=2)
    axes.grid(axis="y", color="#e4e7ec", lw=0.6)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    figure.text(0.02, 0.975, _finding(c), size=10, color=INK, weight="bold", va="top")
    return figure


def evaluation(e: Evaluation) -> Figure:
    """Draw robust accuracy by size with its intervals, beside the number of images that each attack broke."""
    figure = canvas(2.6)
    axes = figure.add_axes((0.09, 0.18, 0.47, 0.56))
    sizes = [0.0, *map(float, e.epsilons)]
    shares = 100 * np.array([e.clean_accuracy, *e.accuracies])
    at = np.arange(len(sizes))
    low, high = 100 * e.intervals.T
    axes.vlines(at[1:], low, high, color=WORST, alpha=0.35, lw=5)
    axes.plot(at, shares, color=WORST, marker="o", ms=5, lw=1.8)
    for place, share in zip(at, shares, strict=True):
        axes.annotate(f"{share:.1f}", (place, share), xytext=(6, 5), textcoords="offset points", size=8.5, color=INK)
    axes.set_xticks(at, ["clean", *(eps_text(s, e.norm) for s in sizes[1:])])
    axes.set_xlim(-0.3, len(sizes) - 0.4)
    axes.set_ylim(0, 108)
    axes.set_yticks([0, 25, 50, 75, 100], ["0", "25", "50", "75", "100%"])
    axes.set_xlabel(f"eps ({e.norm})", size=8.5, color=INK)
    axes.grid(axis="y", color="#e4e7ec", lw=0.6)
    bars = figure.add_axes((0.73, 0.18, 0.24, 0.56))
    order = ["clean", *(s.name for s in e.stages)]
    names = sorted(set(order), key=order.index)
    counts = [int((e.broken_by == n).sum()) for n in names] + [int(e.robust().sum())]
    labels = ["clean errors", *names[1:], "standing"]
    colours = [MUTED] + [WORST] * (len(names) - 1) + ["#2d6cb5"]
    bars.barh(np.arange(len(counts)), counts, color=colours, height=0.62)
    for k, count in enumerate(counts):
        bars.annotate(str(count), (count, k), xytext=(3, 0), textcoords="offset points", va="center", size=8.5, color=INK)
    bars.set_yticks(np.arange(len(counts)), labels)
    bars.invert_yaxis()
    bars.set_xticks([])
    bars.set_xlim(0, max(counts) * 1.2 + 1)
    for each in (axes, bars):
        each.tick_params(labelsize=8.5, colors=MUTED, length=2)
        for side in ("top", "right", "left"):
            each.spines[side].set_visible(False)
    bars.spines["bottom"].set_visible(False)
    bars.set_title("broken by", size=8.5, color=MUTED, loc="left")
    figure.text(0.02, 0.975, f"{e.robust_accuracy:.1%} withstand {eps_text(float(e.epsilons[-1]), e.norm)} ({e.norm})", size=10, color=INK,
                weight="bold", va="top")
    doubt = "no reason for distrust" if not e.flags else f"distrust: {', '.join(f.test for f in e.flags)}"
    figure.text(0.02, 0.895, f"{e.version} protocol, {len(e)} images; {doubt}"[:78], size=8, color=MUTED, va="top")
    return figure


def certificates(results: Sequence[Certificates]) -> Figure:
    """Draw certified accuracy against the L2 radius, one line for each result (sigma)."""
    figure = canvas(2.7)
    axes = figure.add_axes((0.1, 0.17, 0.87, 0.62))
    reach = max(max(float(r.radius.max()) for r in results), 1e-3)
    shades = ["#2d6cb5", WORST, "#3a8f5c", "#8a6bb8"]
    for k, r in enumerate(results):
        at = np.linspace(0, min(reach, float(r.radius.max()) * 1.02 + 1e-3), 300)
        axes.plot(at, [100 * r.accuracy(v) for v in at], color=shades[k % 4], lw=1.8, label=f"sigma {r.sigma:g}")
    axes.set_ylim(0, 102)
    axes.set_xlim(0, reach * 1.02)
    axes.set_yticks([0, 25, 50, 75, 100], ["0", "25", "50", "75", "100%"])
    axes.set_xlabel("L2 radius within which the answer cannot change, pixels of 0..1", size=8.5, color=INK)
    axes.tick_params(labelsize=8, colors=MUTED, length=2)
    axes.grid(axis="y", color="#e4e7ec", lw=0.6)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, fontsize=8.5, loc="upper right")
    n, alpha = len(results[0]), results[0].alpha
    figure.text(0.02, 0.975, f"Right and certified, of {n} images", size=10, color=INK, weight="bold", va="top")
    figure.text(0.02, 0.9, f"randomised smoothing; each certificate errs with probability below {alpha:g}", size=8, color=MUTED, va="top")
    return figure


def _finding(c: RobustnessCurve) -> str:
    k = len(c.epsilons) - 1 if c.half is None else int(np.flatnonzero(c.epsilons == c.half)[0])
    noise = f", {min(v[k] for v in c.noise.values()):.0%} under noise" if c.noise else ""
    return f"Accuracy at {eps_text(c.epsilons[k], c.norm)}: {c.worst[k]:.0%} at worst{noise}"


def as_html(figure: Figure, text: str) -> str:
    """Return a figure and its text for a notebook."""
    return f'<img style="max-width:100%" alt="attack" src="{data_uri(figure)}"><pre>{html.escape(text)}</pre>'
