"""The learned codec against JPEG and WebP on Kodak's photographs: `python -m bench.codec rate|time`.

`rate` writes a table and bench/codec.png: PSNR over bits a pixel, each averaged over the photographs; and, at the rates of
the codec, what JPEG and WebP need for the same PSNR. `time` measures compress and decompress.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from bench._kodak import photographs, psnr, ssim
from bench._table import alternate, append_results, markdown, median
from PIL import Image

from hubel.autoencode.codec import compress, decompress

Code = Callable[[np.ndarray, int], tuple[int, np.ndarray]]  # bytes and the picture that comes back


def hubel(x: np.ndarray, quality: int) -> tuple[int, np.ndarray]:
    data = compress(x, quality)
    return len(data), decompress(data)


def _pillow(x: np.ndarray, **options: object) -> tuple[int, np.ndarray]:
    file = io.BytesIO()
    Image.fromarray(x).save(file, **options)  # type: ignore[arg-type]
    return file.tell(), np.asarray(Image.open(file).convert("RGB"))


def jpeg420(x: np.ndarray, quality: int) -> tuple[int, np.ndarray]:
    return _pillow(x, format="JPEG", quality=quality, subsampling="4:2:0", optimize=True)


def jpeg444(x: np.ndarray, quality: int) -> tuple[int, np.ndarray]:
    return _pillow(x, format="JPEG", quality=quality, subsampling="4:4:4", optimize=True)


def progressive(x: np.ndarray, quality: int) -> tuple[int, np.ndarray]:
    return _pillow(x, format="JPEG", quality=quality, subsampling="4:2:0", optimize=True, progressive=True)


def webp(x: np.ndarray, quality: int) -> tuple[int, np.ndarray]:
    return _pillow(x, format="WEBP", quality=quality, method=6)


CODES: dict[str, tuple[Code, tuple[int, ...]]] = {
    "hubel": (hubel, (1, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90, 100)),
    "JPEG 4:2:0": (jpeg420, (2, 3, 4, 5, 7, 9, 12, 15, 20, 25, 30, 40, 50, 60, 75, 85, 92, 97)),
    "JPEG 4:2:0 progressive": (progressive, (2, 3, 4, 5, 7, 9, 12, 15, 20, 25, 30, 40, 50, 60, 75, 85, 92, 97)),
    "JPEG 4:4:4": (jpeg444, (2, 3, 4, 5, 7, 9, 12, 15, 20, 25, 30, 40, 50, 60, 75, 85, 92, 97)),
    "WebP": (webp, (0, 1, 2, 4, 7, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100)),
}


def curve(code: Code, qualities: tuple[int, ...], photos: list[np.ndarray]) -> np.ndarray:
    """Return (qualities, photographs, 3): bits a pixel, PSNR, SSIM."""
    out = []
    for quality in qualities:
        row = []
        for x in photos:
            size, back = code(x, quality)
            row.append((8 * size / (x.shape[0] * x.shape[1]), psnr(back, x), ssim(back, x)))
        out.append(row)
    return np.array(out)


def rate_at(points: np.ndarray, decibels: float) -> float:
    """Bits a pixel at a PSNR, by interpolating log rate; NaN outside of what was measured."""
    rate, quality = points[:, 0], points[:, 1]
    return float(np.exp(np.interp(decibels, quality, np.log(rate), np.nan, np.nan)))


def rates() -> None:
    photos = photographs()
    curves = {name: curve(code, qualities, list(photos.values())) for name, (code, qualities) in CODES.items()}
    means = {name: c.mean(axis=1) for name, c in curves.items()}
    rows = []
    for quality, (bpp, decibels, similarity) in zip(CODES["hubel"][1], means["hubel"], strict=True):
        others = [rate_at(means[name], decibels) for name in CODES if name != "hubel"]
        rows.append([quality, f"{bpp:.3f}", f"{decibels:.2f}", f"{similarity:.3f}",
                     *("out of its range" if np.isnan(r) else f"{r:.3f} ({r / bpp:.2f}x)" for r in others)])
        print(rows[-1], flush=True)
    text = markdown(["quality", "bits a pixel", "PSNR, dB", "SSIM", *(f"{n} at that PSNR" for n in CODES if n != "hubel")], rows,
                    f"Means over {', '.join(photos)}. JPEG by libjpeg-turbo with optimised Huffman tables, WebP with method 6.")
    text += "\n" + markdown(["photograph", "best JPEG's bits over ours: least below 0.35", "least at any rate", "WebP's: least below 0.35",
                             "least at any rate"], [[name, *_least(curves, k)] for k, name in enumerate(photos)])
    append_results("The learned codec on Kodak's photographs", text)
    _draw(means)


def _least(curves: dict[str, np.ndarray], k: int) -> list[str]:
    """For photograph k, the smallest ratio of JPEG's (the best of the three) and of WebP's bits to ours at the same PSNR."""
    ours, cells = curves["hubel"][:, k], []
    for family in ("JPEG", "WebP"):
        for limit in (0.35, np.inf):
            rivals = [[rate_at(c[:, k], d) / r for name, c in curves.items() if name.startswith(family)] for r, d, _ in ours if r < limit]
            ratios = [min(row) for row in np.where(np.isnan(rivals), np.inf, rivals)]
            cells.append(f"{min(ratios):.2f}x" if np.isfinite(min(ratios)) else "it goes no lower")
    return cells


def _draw(means: dict[str, np.ndarray]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.subplots()
    styles = {"hubel": ("#b3243c", "o-"), "JPEG 4:2:0": ("#30363d", "--"), "JPEG 4:2:0 progressive": ("#30363d", "-"),
              "JPEG 4:4:4": ("#8a929a", ":"), "WebP": ("#1f6fb2", "-")}
    for name, points in means.items():
        colour, style = styles[name]
        axes.plot(points[:, 0], points[:, 1], style, color=colour, markersize=4, linewidth=1.4, label=name)
    axes.axvline(0.35, color="#c8ccd0", linewidth=0.8, zorder=0)
    axes.set_xlim(0, 1.4)
    axes.set_ylim(24, 39)
    axes.set_xlabel("bits a pixel")
    axes.set_ylabel("PSNR, dB")
    axes.set_title("Rate and distortion, mean of six Kodak photographs", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#eceef0", linewidth=0.8)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    figure.savefig(Path(__file__).with_name("codec.png"), dpi=150, facecolor="white")


def seconds() -> None:
    rows = []
    photo = next(iter(photographs().values()))
    for name, x in (("768 x 512", photo), ("3840 x 2160", np.tile(photo, (5, 5, 1))[:2160, :3840])):
        for quality in (25, 75):
            data = compress(x, quality)
            times = median(alternate({"compress": lambda x=x, q=quality: compress(x, q), "decompress": lambda d=data: decompress(d)},
                                     5 if x is photo else 1))
            mega = x.shape[0] * x.shape[1] / 1e6
            rows.append([name, quality, f"{8 * len(data) / mega / 1e6:.3f}", *(f"{mega / times[k]:.2f}" for k in ("compress", "decompress"))])
            print(rows[-1], flush=True)
    append_results("The learned codec: speed", markdown(
        ["picture", "quality", "bits a pixel", "compress, megapixels a second", "decompress, megapixels a second"], rows,
        "Python's bytes to NumPy array and back, both cores."))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("rate", "time"))
    {"rate": rates, "time": seconds}[parser.parse_args().what]()


if __name__ == "__main__":
    main()
