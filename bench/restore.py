"""Denoising and in-painting on Kodak's photographs: `python -m bench.restore noise|time|holes`. Needs bm3d, scikit-image.

`noise` measures quality at sigma 15, 25 and 50, `time` the seconds of each method on one photograph, `holes` in-painting.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import cv2
import numpy as np
from bench._kodak import photographs, psnr, ssim
from bench._table import alternate, append_results, markdown, median

from hubel.autoencode.restore import denoise, inpaint, random_mask

Method = Callable[[np.ndarray, float], np.ndarray]  # float pixels 0..255, not clipped, and sigma; returns 0..255


def bm3d(x: np.ndarray, sigma: float) -> np.ndarray:
    from bm3d import bm3d_rgb

    return np.asarray(bm3d_rgb(x / 255, sigma / 255)) * 255


def opencv_means(x: np.ndarray, sigma: float) -> np.ndarray:
    given = x.round().clip(0, 255).astype(np.uint8)  # it takes nothing else
    return cv2.fastNlMeansDenoisingColored(given, None, sigma, sigma, 7, 21).astype(float)


def skimage_means(x: np.ndarray, sigma: float) -> np.ndarray:
    from skimage.restoration import denoise_nl_means

    return np.asarray(denoise_nl_means(x / 255, h=0.8 * sigma / 255, sigma=sigma / 255, fast_mode=True, patch_size=5,
                                       patch_distance=6, channel_axis=2)) * 255


def wavelets(x: np.ndarray, sigma: float) -> np.ndarray:
    from skimage.restoration import denoise_wavelet

    return np.asarray(denoise_wavelet(x / 255, sigma=sigma / 255, method="BayesShrink", convert2ycbcr=True, channel_axis=2,
                                      rescale_sigma=True)) * 255


METHODS: dict[str, Method] = {
    "hubel, told sigma": lambda x, sigma: denoise(x / 255, sigma) * 255.0,
    "hubel, blind": lambda x, sigma: denoise(x / 255) * 255.0,
    "BM3D (bm3d 4)": bm3d,
    "non-local means (OpenCV)": opencv_means,
    "non-local means (scikit-image)": skimage_means,
    "wavelets (scikit-image)": wavelets,
}


def noisy(clean: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    return clean + np.random.default_rng(seed).normal(0, sigma, clean.shape)


def quality(sigmas: list[int]) -> None:
    rows = []
    photos = photographs()
    for sigma in sigmas:
        given = {name: noisy(clean, sigma, seed) for seed, (name, clean) in enumerate(photos.items())}
        for method, run in METHODS.items():
            scores = np.array([(psnr(out, clean), ssim(out, clean)) for name, clean in photos.items()
                               for out in [run(given[name], sigma).clip(0, 255)]])
            print(sigma, method, scores.mean(0), flush=True)
            rows.append([sigma, method, f"{scores[:, 0].mean():.2f}", f"{scores[:, 1].mean():.3f}",
                         " ".join(f"{v:.2f}" for v in scores[:, 0])])
    text = markdown(["sigma", "method", "PSNR, dB", "SSIM", "PSNR of each photograph"], rows,
                    f"{len(photos)} photographs ({', '.join(photos)}), white Gaussian noise in colour, not clipped (rounded "
                    "and clipped for OpenCV, which takes bytes). BM3D's published mean over these six is 32.15 at sigma 25.")
    append_results("Denoising Kodak's photographs", text)


def seconds() -> None:
    clean = next(iter(photographs().values()))
    given = noisy(clean, 25, 0)
    times: dict[str, float] = {}
    for name, run in METHODS.items():
        call = {name: lambda run=run: run(given, 25.0)}
        times |= median(alternate(call, 1 if name.startswith("BM3D") else 3))
        print(name, times[name], flush=True)
    ours = times["hubel, told sigma"]
    append_results("Denoising: time", markdown(
        ["method", "seconds", "times ours"], [[name, t, t / ours] for name, t in times.items()],
        f"One photograph of {clean.shape[1]} x {clean.shape[0]}, both cores, sigma 25."))


def holes() -> None:
    rows = []
    photos = photographs()
    for kind, share, size in (("pixels", 0.25, 1), ("pixels", 0.5, 1), ("pixels", 0.8, 1), ("blocks", 0.25, 4), ("blocks", 0.25, 8),
                              ("blocks", 0.25, 16), ("blocks", 0.25, 32), ("blocks", 0.25, 64), ("strokes", 0.1, 3),
                              ("strokes", 0.1, 8)):
        scores: list[list[float]] = []
        for seed, clean in enumerate(photos.values()):
            mask = random_mask(kind, clean.shape[:2], share, np.random.default_rng(seed), size)
            broken = clean.copy()
            broken[mask] = 0
            flags = mask.astype(np.uint8)
            answers = [inpaint(broken, mask), cv2.inpaint(broken, flags, 3, cv2.INPAINT_TELEA),
                       cv2.inpaint(broken, flags, 3, cv2.INPAINT_NS)]
            assert all(np.array_equal(a[~mask], clean[~mask]) for a in answers[:1])
            scores.append([psnr(a, clean) for a in answers] + [ssim(a, clean) for a in answers])
        mean, worst = np.mean(scores, axis=0), min(s[0] - max(s[1], s[2]) for s in scores)
        name = {"pixels": "single pixels", "blocks": f"blocks of {size} px", "strokes": f"strokes {size} px wide"}[kind]
        print(kind, share, size, mean, worst, flush=True)
        rows.append([name, f"{share:.0%}", *(f"{v:.2f}" for v in mean[:3]), f"{worst:+.2f}", *(f"{v:.3f}" for v in mean[3:])])
    append_results("In-painting Kodak's photographs", markdown(
        ["holes", "share", "hubel, dB", "Telea", "Navier-Stokes", "least lead over both", "SSIM hubel", "Telea", "Navier-Stokes"],
        rows, f"Mean PSNR over the whole of {len(photos)} photographs (known pixels, which all leave alone, included); radius 3 for "
              "OpenCV's two. The least lead is that of the photograph where ours leads least."))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("noise", "time", "holes"))
    parser.add_argument("--sigmas", type=int, nargs="+", default=[15, 25, 50])
    a = parser.parse_args()
    {"noise": lambda: quality(a.sigmas), "time": seconds, "holes": holes}[a.what]()


if __name__ == "__main__":
    main()
