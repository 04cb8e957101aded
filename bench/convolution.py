"""Convolution and matching against OpenCV, SciPy, scikit-image and kornia: `python -m bench.convolution [PART ...]`.

Every candidate's answer is compared with Hubel's before it is timed. SciPy's FFTs are tried with one worker and with as
many as there are cores. A peer slower than 20 times Hubel in one call is timed by that call alone. kornia is left out
where it is not installed, and of kernels so large that it takes seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.signal
import skimage.filters
import torch
from bench._table import alternate, append_results, markdown, median

from hubel import kernels
from hubel.convolve import correlate

Calls = dict[str, Callable[[], Any]]
REPEATS = 9
rng = np.random.default_rng(0)


def kornia_filter(x: Any, w: Any, kind: str = "filter2d") -> Callable[[], Any] | None:
    """kornia's filter2d or filter3d of a float batch (N, 1, ...), or None without kornia."""
    try:
        from kornia import filters
    except ImportError:
        return None
    tensor, kernel = torch.from_numpy(x), torch.from_numpy(w)[None]
    return lambda: getattr(filters, kind)(tensor, kernel, border_type="constant")


def with_workers(peers: Calls) -> Calls:
    """Add each of SciPy's FFTs with as many workers as torch has threads, which sometimes is slower than with one."""
    count = torch.get_num_threads()

    def parallel(call: Callable[[], Any]) -> Any:
        with scipy.fft.set_workers(count):
            return call()

    more = {f"{name}, {count} workers": lambda call=call: parallel(call)
            for name, call in peers.items() if name in ("SciPy FFT", "SciPy overlap-add")}
    return peers | more if count > 1 else peers


def compare(ours: Callable[[], Any], peers: Calls, tolerance: float, target: str, name: str) -> list[Any]:
    """Return a row: name, our ms, fastest peer and its ms, ratio, target. Peers must give our answer."""
    ours()  # the planner measures the machine on its first large problem
    mine = np.asarray(ours())
    start = time.perf_counter()
    ours()
    base = time.perf_counter() - start
    scale = float(np.abs(mine).max())
    quick: Calls = {}
    once: dict[str, float] = {}
    for peer, call in with_workers(peers).items():
        start = time.perf_counter()
        theirs = np.asarray(call())
        took = time.perf_counter() - start
        worst = float(np.abs(theirs.reshape(mine.shape).astype(float) - mine).max())
        assert worst <= tolerance * scale, f"{name}: {peer} differs by {worst / scale:.2g} of the largest value"
        if took > 20 * base and took > 0.05:
            once[peer] = took
        else:
            quick[peer] = call
    seconds = {**median(alternate({"hubel": ours, **quick}, REPEATS)), **once}
    mine_s = seconds.pop("hubel")
    best = min(seconds, key=lambda peer: seconds[peer])
    row = [name, mine_s * 1e3, best, seconds[best] * 1e3, seconds[best] / mine_s, target]
    print("  ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row),
          "|", ", ".join(f"{p} {s * 1e3:.3g}" for p, s in sorted(seconds.items(), key=lambda i: i[1])), flush=True)
    return row


def single_images() -> list[list[Any]]:
    """1024x1024, kernels without structure: at least 1/1.15 of the fastest peer's speed."""
    rows = []
    x32 = rng.random((1024, 1024), dtype=np.float32)
    for kind in ("float32", "uint8", "uint8 to uint8"):
        x = x32 if kind == "float32" else (x32 * 255).astype(np.uint8)
        out = np.uint8 if kind.endswith("to uint8") else None
        depth = -1 if kind == "float32" or out else cv2.CV_32F
        for k in (3, 7, 15, 31, 63):
            w = rng.standard_normal((k, k)).astype(np.float32)
            if out:  # answers within 0..255, and one of them 255, so that 1 is the difference that rounding may make
                w = np.abs(w) / np.abs(w).sum() * 1.9
            xf = x.astype(np.float32)
            peers: Calls = {"OpenCV": lambda x=x, w=w, d=depth: cv2.filter2D(x, d, w, borderType=cv2.BORDER_CONSTANT)}
            if not out:
                peers |= {
                    "OpenCV, converted first": lambda x=x, w=w: cv2.filter2D(
                        x.astype(np.float32), -1, w, borderType=cv2.BORDER_CONSTANT),
                    "SciPy FFT": lambda x=x, w=w: scipy.signal.fftconvolve(
                        x.astype(np.float32, copy=False), w[::-1, ::-1], "same"),
                    "SciPy overlap-add": lambda x=x, w=w: scipy.signal.oaconvolve(
                        x.astype(np.float32, copy=False), w[::-1, ::-1], "same"),
                }
                if k <= 7:
                    peers["SciPy ndimage"] = lambda x=xf, w=w: scipy.ndimage.correlate(x, w, mode="constant")
                if k <= 31 and (call := kornia_filter(xf[None, None], w)):
                    peers["kornia"] = call
            row = compare(lambda x=x, w=w, o=out: correlate(x, w, "same", dtype=o), peers, 1.01 / 255 if out else 2e-5,
                          "0.87", f"{kind}, {k}x{k}")
            rows.append(row)
    return rows


def separable_images() -> list[list[Any]]:
    """A Gaussian given as a 2-D kernel; and the same against peers that are told the sigma or the two passes."""
    rows = []
    x = rng.random((1024, 1024), dtype=np.float32)
    for k in (7, 15, 31, 63):
        sigma = (k - 1) / 6
        w = kernels.gaussian(sigma, size=k).weights.astype(np.float32)
        v = kernels.gaussian(sigma, size=k, dims=1).weights.astype(np.float32)
        blind: Calls = {
            "OpenCV filter2D": lambda w=w: cv2.filter2D(x, -1, w, borderType=cv2.BORDER_REFLECT_101),
            "SciPy overlap-add": lambda w=w, p=k // 2: scipy.signal.oaconvolve(np.pad(x, p, "reflect"), w, "valid"),
        }
        told: Calls = {
            "OpenCV sepFilter2D": lambda v=v: cv2.sepFilter2D(x, -1, v, v, borderType=cv2.BORDER_REFLECT_101),
            "OpenCV GaussianBlur": lambda k=k, s=sigma: cv2.GaussianBlur(x, (k, k), s),
            "SciPy ndimage": lambda s=sigma, k=k: scipy.ndimage.gaussian_filter(x, s, radius=k // 2, mode="mirror"),
            "scikit-image": lambda s=sigma, k=k: skimage.filters.gaussian(x, s, mode="mirror", truncate=(k // 2) / s),
        }
        try:
            from kornia import filters

            tensor, size = torch.from_numpy(x)[None, None], ((k, k), (sigma, sigma))
            told["kornia"] = lambda t=tensor, a=size: filters.gaussian_blur2d(t, *a, border_type="reflect")
        except ImportError:
            pass
        ours = lambda w=w: correlate(x, w, "mirror")  # noqa: E731
        rows.append(compare(ours, blind, 2e-5, "3", f"Gaussian {k}x{k}, peers given the kernel"))
        rows.append(compare(ours, told, 2e-5, "3", f"Gaussian {k}x{k}, peers given the passes"))
    return rows


def banks() -> list[list[Any]]:
    """64 images of 128x128 by 16 filters (N, H, W) -> (N, 16, H, W)."""
    rows = []
    images = rng.random((64, 128, 128), dtype=np.float32)
    for kind in ("float32", "uint8"):
        x = images if kind == "float32" else (images * 255).astype(np.uint8)
        for k in (3, 7, 15, 31):
            w = rng.standard_normal((16, k, k)).astype(np.float32)
            tensors = torch.from_numpy(x), torch.from_numpy(w)

            def opencv(x: np.ndarray = x, w: np.ndarray = w) -> np.ndarray:
                out = np.empty((64, 16, 128, 128), np.float32)
                for n, image in enumerate(x):
                    image = image.astype(np.float32, copy=False)
                    for f in range(16):
                        cv2.filter2D(image, -1, w[f], dst=out[n, f], borderType=cv2.BORDER_CONSTANT)
                return out

            def overlap_add(x: np.ndarray = x, w: np.ndarray = w, k: int = k) -> np.ndarray:
                full = scipy.signal.oaconvolve(x.astype(np.float32, copy=False)[:, None], w[None, :, ::-1, ::-1], axes=(2, 3))
                return full[:, :, k // 2 : k // 2 + 128, k // 2 : k // 2 + 128]

            def engine(tensors: Any = tensors, k: int = k) -> torch.Tensor:
                return torch.conv2d(tensors[0].float()[:, None], tensors[1][:, None], padding=k // 2)

            peers: Calls = {"OpenCV, looped": opencv, "SciPy overlap-add": overlap_add}
            if k <= 15:
                peers["torch conv2d, as kornia calls it"] = engine
            rows.append(compare(lambda t=tensors: correlate(t[0], t[1], "same", layout="nhw"), peers, 2e-5, "3",
                                f"bank: {kind}, 16 filters of {k}x{k}, 64 images of 128x128"))
    return rows


def batches() -> list[list[Any]]:
    """One kernel over 64 images of 256x256."""
    rows = []
    x = rng.random((64, 256, 256), dtype=np.float32)
    for k in (3, 7, 15, 31):
        w = rng.standard_normal((k, k)).astype(np.float32)

        def opencv(w: np.ndarray = w) -> np.ndarray:
            out = np.empty_like(x)
            for n, image in enumerate(x):
                cv2.filter2D(image, -1, w, dst=out[n], borderType=cv2.BORDER_CONSTANT)
            return out

        peers: Calls = {"OpenCV, looped": opencv,
                        "SciPy overlap-add": lambda w=w: scipy.signal.oaconvolve(
                            x, w[None, ::-1, ::-1], "same", axes=(1, 2))}
        if k <= 15 and (call := kornia_filter(x[:, None], w)):
            peers["kornia"] = call
        rows.append(compare(lambda w=w: correlate(x, w, "same", layout="nhw"), peers, 2e-5, "3",
                            f"batch: {k}x{k} over 64 images of 256x256"))
    return rows


def volumes() -> list[list[Any]]:
    """A volume of 128x128x128."""
    rows = []
    x = rng.random((128, 128, 128), dtype=np.float32)
    for k in (3, 5, 7, 11, 15):
        w = rng.standard_normal((k, k, k)).astype(np.float32)
        flipped = w[::-1, ::-1, ::-1]
        peers: Calls = {"SciPy FFT": lambda f=flipped: scipy.signal.fftconvolve(x, f, "same"),
                        "SciPy overlap-add": lambda f=flipped: scipy.signal.oaconvolve(x, f, "same")}
        if k <= 5:
            peers["SciPy ndimage"] = lambda w=w: scipy.ndimage.correlate(x, w, mode="constant")
        if k <= 7 and (call := kornia_filter(x[None, None], w, "filter3d")):
            peers["kornia"] = call
        rows.append(compare(lambda w=w: correlate(x, w, "same"), peers, 2e-5, "3", f"volume: {k}x{k}x{k} in 128^3"))
    w = kernels.gaussian(2.5, dims=3).weights.astype(np.float32)
    peers = {"SciPy FFT": lambda: scipy.signal.fftconvolve(x, w, "same"),
             "SciPy ndimage, told sigma": lambda: scipy.ndimage.gaussian_filter(x, 2.5, radius=8, mode="constant")}
    rows.append(compare(lambda: correlate(x, w, "same"), peers, 2e-5, "3", "volume: Gaussian 17x17x17 in 128^3"))
    return rows


def series() -> list[list[Any]]:
    """A million samples."""
    rows = []
    x = rng.standard_normal(1_000_000).astype(np.float32)
    for taps in (8, 64, 512, 4096):
        w = rng.standard_normal(taps).astype(np.float32)
        peers: Calls = {"SciPy overlap-add": lambda w=w: scipy.signal.oaconvolve(x, w[::-1], "valid"),
                        "SciPy FFT": lambda w=w: scipy.signal.fftconvolve(x, w[::-1], "valid")}
        if taps <= 512:
            peers["NumPy"] = lambda w=w: np.correlate(x, w, "valid")
            peers["SciPy ndimage"] = lambda w=w, t=taps: scipy.ndimage.correlate1d(x, w, mode="constant")[
                t // 2 : t // 2 + len(x) - t + 1]
        rows.append(compare(lambda w=w: correlate(x, w), peers, 2e-5, "1", f"series: {taps} taps, 1,000,000 samples"))
    return rows


def templates() -> list[list[Any]]:
    """Normalised cross-correlation of 64x64 patterns in 1024x1024."""
    from hubel.features import score_map

    x = cv2.GaussianBlur(rng.random((1024, 1024), dtype=np.float32), (0, 0), 2)
    patterns = np.stack([x[i : i + 64, i : i + 64] for i in range(0, 16 * 50, 50)]).copy()
    match = lambda p: cv2.matchTemplate(x, p, cv2.TM_CCOEFF_NORMED)  # noqa: E731
    one = compare(lambda: score_map(patterns[0], x), {"OpenCV": lambda: match(patterns[0])}, 2e-4, "1",
                  "template: 1 of 64x64 in 1024x1024")
    many = compare(lambda: score_map(patterns, x), {"OpenCV, looped": lambda: np.stack([match(p) for p in patterns])},
                   2e-4, "3", "template: 16 of 64x64 in 1024x1024")
    return [one, many]


def limits() -> None:
    """What three times the fastest peer would take, beside what no program can go below on this machine: to read x and
    write the answer once (a copy of as many bytes, memory in use already, both cores), and the multiplications at the
    rate of a large matrix product. The two can overlap, so the larger is the limit of the direct ways."""
    square = torch.rand(2048, 2048)
    rate = 2048**3 / median(alternate({"product": lambda: square @ square}, REPEATS))["product"]
    image = rng.random((1024, 1024), dtype=np.float32)
    cases: list[tuple[str, np.ndarray, int, int, Callable[[], Any]]] = []
    for k in (7, 15, 31, 63):
        v = kernels.gaussian((k - 1) / 6, size=k, dims=1).weights.astype(np.float32)
        cases.append((f"Gaussian {k}x{k}, peers given the passes", image, 1, 2 * k, lambda v=v: cv2.sepFilter2D(image, -1, v, v)))
    stack, small = rng.random((64, 256, 256), dtype=np.float32), rng.random((64, 128, 128), dtype=np.float32)
    out = np.empty((64, 16, 256, 256), np.float32)

    def looped(x: np.ndarray, w: np.ndarray) -> None:
        for n, one in enumerate(x):
            for f, kernel in enumerate(w):
                cv2.filter2D(one, -1, kernel, dst=out[n, f, : one.shape[0], : one.shape[1]])

    for name, x, filters, k in (("batch", stack, 1, 3), ("batch", stack, 1, 7), ("bank of 16", small, 16, 3)):
        w = rng.standard_normal((filters, k, k)).astype(np.float32)
        cases.append((f"{name}: {k}x{k}", x, filters, filters * k * k, lambda x=x, w=w: looped(x, w)))
    rows = []
    for name, x, filters, each, call in cases:
        source = torch.rand(x.size * (1 + filters) // 2)
        target = torch.empty_like(source)
        seconds = median(alternate({"peer": call, "copy": lambda s=source, t=target: t.copy_(s)}, REPEATS))
        work = x.size * each / rate
        limit = max(seconds["copy"], work)
        rows.append([name, seconds["peer"] * 1e3, seconds["peer"] / 3 * 1e3, seconds["copy"] * 1e3, work * 1e3, seconds["peer"] / limit])
        print(rows[-1], flush=True)
    append_results("Convolution: where three times the peer's speed is beyond the machine", markdown(
        ["case", "OpenCV, ms", "a third of it", "copying as many bytes, ms", "the multiplications, ms", "most times as fast"], rows,
        f"Multiplications at {2 * rate / 1e9:.0f} GFLOP/s, that of a product of matrices 2048 wide."))


PARTS: dict[str, tuple[str, Callable[[], list[list[Any]]]]] = {
    "single": ("Convolution: single images of 1024x1024", single_images),
    "separable": ("Convolution: separable kernels, 1024x1024", separable_images),
    "banks": ("Convolution: banks", banks),
    "batches": ("Convolution: batches", batches),
    "volumes": ("Convolution: volumes", volumes),
    "series": ("Convolution: series", series),
    "templates": ("Matching", templates),
}


def table(part: str) -> str:
    """Run one part and return its markdown."""
    return markdown(["case", "Hubel, ms", "fastest peer", "its ms", "times as fast", "target"], PARTS[part][1](),
                    f"Median of {REPEATS} alternating runs; answers compared.")


def main(parts: list[str]) -> None:
    for part in parts or [*PARTS, "limits"]:
        if part == "limits":
            limits()
            continue
        print(f"# {PARTS[part][0]}", flush=True)
        text = table(part)
        append_results(PARTS[part][0], text)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main(sys.argv[1:])
