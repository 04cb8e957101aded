"""A map of a folder without any labels: clusters with example images, outliers, and where each image lies. scikit-learn.

    atlas = chart(features, files)
    atlas.plot(), atlas.write_html("map.html")
"""

from __future__ import annotations

import html
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hubel.dataurl import data_url
from hubel.errors import InputError
from hubel.look.draw import INK, MUTED, Group, Shown, canvas, sheet
from hubel.replacing import replacing
from hubel.reuse.learners import unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXACT = 5000  # images that t-SNE places; those beyond lie where their nearest placed neighbours do
_PICTURES = 220
COLOURS = ("#0b62a4", "#b43205", "#2f7d4f", "#7a5195", "#c28f00", "#00838a", "#a13d74", "#5b6b1e", "#3f51b5", "#8d5a3b")


@dataclass(frozen=True)
class Atlas(Shown):
    """places (N, 2) in 0..1: like images lie near each other (far distances mean nothing). cluster (N,) 0..K-1, the largest
    first. typical : K rows of the images nearest to each cluster's centre, best first. strangeness (N,): mean cosine distance
    to the five nearest images, over the median of all; `outliers` are the strangest, most first."""

    files: tuple[str, ...]
    places: np.ndarray
    cluster: np.ndarray
    typical: tuple[tuple[int, ...], ...]
    strangeness: np.ndarray
    outliers: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"clusters": [{"images": int((self.cluster == k).sum()), "typical": [self.files[i] for i in row]}
                             for k, row in enumerate(self.typical)],
                "outliers": [{"file": self.files[i], "strangeness": float(self.strangeness[i])} for i in self.outliers],
                "images": [{"file": f, "x": float(x), "y": float(y), "cluster": int(c)} for f, (x, y), c in
                           zip(self.files, self.places, self.cluster, strict=True)]}

    def plot(self) -> Figure:
        """The map, with pictures where there is room for them."""
        figure = canvas(7.2, 7.0)
        axes = figure.add_axes((0.01, 0.01, 0.98, 0.93))
        axes.set_xlim(-0.04, 1.04)
        axes.set_ylim(-0.04, 1.04)
        axes.axis("off")
        axes.scatter(self.places[:, 0], self.places[:, 1], s=9, c=[_colour(k) for k in self.cluster], linewidths=0)
        side = 0.02
        for i in spread(self.places, 2.05 * side, _PICTURES, self.outliers):
            x, y = self.places[i]
            picture = thumbnail(self.files[i], 72)
            if picture is None:
                continue
            h, w = (side * s / max(picture.shape[:2]) for s in picture.shape[:2])
            axes.imshow(picture, extent=(x - w, x + w, y - h, y + h), zorder=3, interpolation="antialiased")
            axes.plot([x - w, x + w, x + w, x - w, x - w], [y - h, y - h, y + h, y + h, y - h], color=_colour(self.cluster[i]),
                      linewidth=1.4, zorder=4)
        axes.set_aspect("equal")
        figure.text(0.02, 0.965, f"{len(self.files):,} images, {len(self.typical)} clusters: like lies by like", size=11,
                    color=INK, weight="bold")
        return figure

    def plot_clusters(self) -> Figure:
        """Each cluster's most typical images, and the outliers."""
        groups = [Group(_tiles(self.files, row[:6]), f"cluster {k + 1}", f"{int((self.cluster == k).sum()):,} images")
                  for k, row in enumerate(self.typical[:12])]
        groups.append(Group(_tiles(self.files, self.outliers[:6]), "unlike all others", "the strangest images"))
        return sheet([g for g in groups if g.tiles], 6, 1, title="Clusters, by their most typical images")

    def write_html(self, path: str | os.PathLike[str], side: int = 56) -> Path:
        """Write one self-contained page: pan, zoom, hover, search by name, look at clusters and outliers."""
        path = Path(path)
        images = [{"f": f, "x": round(float(x), 4), "y": round(float(y), 4), "c": int(c), "s": round(float(s), 2),
                   "t": _uri(f, side)} for f, (x, y), c, s in
                  zip(self.files, self.places, self.cluster, self.strangeness, strict=True)]
        page = resources("hubel.reuse").joinpath("atlas.html").read_text("utf-8")
        data = json.dumps({"images": images, "typical": self.typical, "outliers": self.outliers, "colours": COLOURS})
        title = html.escape(f"{len(self.files):,} images, {len(self.typical)} clusters")
        page = page.replace("{{title}}", title).replace("{{data}}", data.replace("<", "\\u003c"))
        with replacing(path) as partial:
            partial.write_text(page, "utf-8")
        return path


def chart(features: np.ndarray, files: Sequence[str], clusters: int | None = None, *, outliers: int = 12, seed: int = 0) -> Atlas:
    """Cluster images by their features (N, D) and lay them out in the plane.

    clusters : how many; None tries several numbers and takes the one of the best silhouette (Rousseeuw 1987).
    k-means on unit-length, centred features in their 50 first principal directions; t-SNE (van der Maaten and Hinton 2008)
    for the plane. Raises InputError for fewer than five images.
    """
    from sklearn.decomposition import PCA

    n = len(features)
    if n < 5 or n != len(files):
        raise InputError(f"{n} features of {len(files)} files: give five images at least, and a file for each")
    z = unit(np.asarray(features, np.float32))
    z = unit(z - z.mean(0))
    z = unit(PCA(min(50, n - 1, z.shape[1]), random_state=seed).fit_transform(z).astype(np.float32))
    cluster, centres = _clusters(z, clusters, seed)
    typical = tuple(tuple(_nearest(z, centre, cluster == k)) for k, centre in enumerate(centres))
    strangeness = _strangeness(z)
    return Atlas(tuple(map(str, files)), _plane(z, seed), cluster, typical, strangeness,
                 tuple(np.argsort(-strangeness, kind="stable")[:outliers].tolist()))


def _clusters(z: np.ndarray, count: int | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    n = len(z)
    tried = [count] if count else [k for k in (2, 3, 5, 8, 12, 16, 24, 32, 48) if k <= max(2, n // 4)]
    best: tuple[float, Any] | None = None
    for k in tried:
        made = KMeans(min(k, n - 1), n_init=4, random_state=seed).fit(z)
        score = 0.0 if len(tried) == 1 else silhouette_score(z, made.labels_, sample_size=min(n, 1500), random_state=seed)
        if best is None or score > best[0]:
            best = (score, made)
    assert best is not None
    labels, centres = best[1].labels_, best[1].cluster_centers_
    order = np.argsort(-np.bincount(labels), kind="stable")
    return np.argsort(order)[labels], centres[order]


def _nearest(z: np.ndarray, centre: np.ndarray, members: np.ndarray, most: int = 12) -> list[int]:
    places = np.flatnonzero(members)
    return places[np.argsort(-(z[places] @ centre), kind="stable")][:most].tolist()


def _strangeness(z: np.ndarray) -> np.ndarray:
    from sklearn.neighbors import NearestNeighbors

    distance = NearestNeighbors(n_neighbors=min(6, len(z)), metric="cosine").fit(z).kneighbors(z)[0][:, 1:].mean(1)
    return distance / max(float(np.median(distance)), 1e-9)


def _plane(z: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE
    from sklearn.neighbors import NearestNeighbors

    chosen = np.arange(len(z)) if len(z) <= EXACT else np.sort(np.random.default_rng(seed).permutation(len(z))[:EXACT])
    made = TSNE(2, perplexity=min(30, (len(chosen) - 1) / 3), init="pca", random_state=seed).fit_transform(z[chosen])
    low, high = made.min(0), made.max(0)
    made = (made - low) / np.maximum(high - low, 1e-9)
    if len(chosen) == len(z):
        return made
    _, near = NearestNeighbors(n_neighbors=3).fit(z[chosen]).kneighbors(z)
    places = made[near].mean(1)
    places[chosen] = made
    return places


def spread(places: np.ndarray, gap: float, most: int, first: Sequence[int] = ()) -> list[int]:
    """Indices of places that keep `gap` from each other, `most` at most; those in `first` are asked first."""
    kept: list[int] = []
    for i in [*first, *range(len(places))]:
        if len(kept) == most:
            break
        if i not in kept and (not kept or np.abs(places[kept] - places[i]).max(1).min() >= gap):
            kept.append(i)
    return kept


def thumbnail(file: str, side: int) -> np.ndarray | None:
    """The picture (h, w, 3) in 0..1, `side` pixels at most; None if it cannot be read any more."""
    import cv2

    from hubel.data import read_image
    from hubel.errors import DataError

    try:
        image = read_image(file, channels=3)
    except DataError:
        return None
    scale = side / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC) / 255


def _tiles(files: Sequence[str], chosen: Sequence[int]) -> list[np.ndarray]:
    return [tile for i in chosen if (tile := thumbnail(files[i], 160)) is not None]


def _uri(file: str, side: int) -> str:

    import simplejpeg

    picture = thumbnail(file, side)
    if picture is None:
        return ""
    data = simplejpeg.encode_jpeg(np.ascontiguousarray((picture * 255).round().astype(np.uint8)), quality=72)
    return data_url(data, "image/jpeg")


def _colour(cluster: int) -> str:
    return COLOURS[int(cluster) % len(COLOURS)] if cluster >= 0 else MUTED
