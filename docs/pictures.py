"""Make the guide's pictures again, from built-in data: `python docs/pictures.py [NAME ...]`. Each function is one picture.

Small PNGs with a palette. The pages of the server and the studio are photographed with Playwright and Debian's chromium.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import hubel
from hubel import attack, autoencode, features, look, nets, phenomena, reuse
from hubel.attack.draw import certificates
from hubel.data.samples import sample_paths
from hubel.replacing import replacing
from hubel.training import Harden

FOLDER = Path(__file__).with_name("pictures")
MOST = 200_000  # bytes of a picture
PICTURES: dict[str, Callable[[], Any]] = {}
INK, MUTED, MAIN, WORST = "#1f2430", "#667085", "#1f4e9c", "#b3361f"


def picture(make: Callable[[], Any]) -> Callable[[], Any]:
    PICTURES[make.__name__.replace("_", "-").rstrip("-")] = make
    return make


@cache
def photo(name: str) -> np.ndarray:
    return hubel.data.read_image(sample_paths()[name])


@cache
def digits() -> hubel.data.Source:
    return hubel.load("digits")


def trained(**options: Any) -> tuple[hubel.Model, Any]:
    source = digits()
    model = hubel.Model(nets.default(10, 1, (8, 8), seed=0), source.train.classes, size=8, channels=1, mean=0.3, std=0.37)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    return model, model.fit(source.train, epochs=15, batch_size=32, validation_data=source.test, verbose=0, seed=0, **options)


@cache
def model() -> hubel.Model:
    return trained()[0]


@cache
def lite0() -> hubel.Model:
    return hubel.pretrained()


def row(images: list[np.ndarray], titles: list[str], height: float = 2.1) -> Figure:
    figure = Figure(figsize=(2.35 * len(images), height), facecolor="white")
    for axes, image, title in zip(np.atleast_1d(figure.subplots(1, len(images))), images, titles, strict=True):
        axes.imshow(image, cmap="gray")
        axes.set_title(title, size=9, color=INK)
        axes.axis("off")
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.89, wspace=0.04)
    return figure


def chart(title: str, x: str, y: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(5.6, 3.1), facecolor="white", layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, size=10, color=INK, loc="left")
    axes.set_xlabel(x, size=9, color=MUTED)
    axes.set_ylabel(y, size=9, color=MUTED)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


@picture
def filter() -> Figure:
    grey = hubel.data.read_image(sample_paths()["temple"], channels=1)[..., 0] / 255.0
    from hubel import convolve, kernels

    gabor = convolve.correlate(grey, kernels.gabor(wavelength=6, angle=45).weights, padding="same")
    shown = [features.smooth(grey, 4), np.abs(features.edges(grey, 90)), np.abs(features.edges(grey, 0)), np.abs(gabor)]
    clipped = [shown[0], *(np.minimum(s, np.quantile(s, 0.99)) for s in shown[1:])]
    return row([c[::2, ::2] for c in clipped], ["smoothed", "vertical edges", "horizontal edges", "Gabor filter at 45°"], 1.9)


@picture
def match() -> Figure:
    return features.match(photo("temple")[136:166, 207:234], photo("temple"), threshold=0.45).plot()


@picture
def train() -> Figure:
    return trained()[1].plot()


@picture
def look_filters() -> Figure:
    return look.filters(lite0()).plot()


@picture
def look_exciting() -> Figure:
    return look.exciting(model(), digits().test, k=6, show=6).plot()


@picture
def look_synthesised() -> Figure:
    return look.synthesise(model(), data=digits().test, classes=list(range(10))).plot()


@picture
def explain() -> Figure:
    return look.gradcam(lite0(), photo("cat")).plot()


@picture
def attack_() -> Figure:
    return attack.demonstrate(lite0(), photo("cat"), "toaster", "2/255").plot()


@picture
def attack_curve() -> Figure:
    test = digits().test
    return attack.robustness_curve(model(), test.arrays()[:150], test.labels[:150]).plot()


@picture
def certify() -> Figure:
    test = digits().test
    noisy = trained(harden=Harden(0.25, method="gaussian"))[0]
    x, y = test.arrays()[:80], test.labels[:80]
    return certificates([attack.smoothed(noisy, x, y, sigma, n=1000, progress=False) for sigma in (0.12, 0.25)])


@picture
def harden() -> Figure:
    test = digits().test
    x, y = test.arrays()[:150], test.labels[:150]
    eps = [f"{e}/255" for e in (0, 4, 8, 16, 24, 32, 48, 64)]
    figure, axes = chart("A hardened network holds out longer", "size of the change, in grey levels (L-infinity)", "accuracy, worst case")
    for name, one, colour in (("plain", model(), MAIN), ("hardened at 24/255", trained(harden=Harden(24 / 255, method="pgd"))[0], WORST)):
        curve = attack.robustness_curve(one, x, y, eps)
        axes.plot(np.asarray(curve.epsilons) * 255, curve.worst, "o-", color=colour, label=name)
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False, fontsize=9)
    return figure


@picture
def embed() -> Figure:
    test = digits().test
    images = test.arrays((64, 64), 3)
    where = reuse.chart(reuse.embed(None, images), [f"{i}.png" for i in range(len(images))], seed=0).places
    figure = Figure(figsize=(5.6, 4.4), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    size = float(np.ptp(where[:, 0])) / 60
    for (across, down), image in zip(where, test.arrays(), strict=True):
        axes.imshow(255 - image[..., 0], cmap="gray", extent=(across - size, across + size, down - size, down + size), zorder=1)
    for limit, column in ((axes.set_xlim, where[:, 0]), (axes.set_ylim, where[:, 1])):
        limit(column.min() - size, column.max() + size)
    axes.set_aspect("auto")
    return figure


@picture
def few_shot() -> Figure:
    return reuse.kshot_curve(hubel.load("samples"), draws=4, shots=(1, 2, 4)).plot()


@picture
def find() -> Figure:
    return reuse.find(photo("coffee")[:, :400], photo("coffee"), box=(150, 60, 240, 240))[0].plot()


@cache
def coder() -> autoencode.Autoencoder:
    made = autoencode.build("convolutional", size=8, channels=1, latents=8, width=16, seed=0)
    made.fit(digits().train.arrays(), epochs=25, verbose=0)
    return made


@picture
def autoencode_() -> Figure:
    return autoencode.reconstructions(coder(), digits().test.arrays()[:8]).plot()


@picture
def autoencode_walk() -> Figure:
    return autoencode.walk(coder(), digits().test.arrays()[:2]).plot()


@picture
def restore() -> Figure:
    from hubel.autoencode import restore as ready

    whole = photo("cat")[40:296, 60:400]
    noisy = (whole + np.random.default_rng(0).normal(0, 25, whole.shape)).clip(0, 255).round().astype(np.uint8)
    y, x = np.mgrid[: whole.shape[0], : whole.shape[1]]
    scratches = ((x + y) % 47 < 4) | ((x - 2 * y) % 83 < 4)
    scratched = np.where(scratches[..., None], np.uint8(255), whole)
    return row([noisy, ready.denoise(noisy), scratched, ready.inpaint(whole, scratches)],
               ["noise of 25 levels", "denoised", "scratched", "in-painted"], 2.0)


@picture
def restore_codec() -> Figure:
    from hubel.autoencode import codec

    whole = photo("coffee")
    ours = codec.compress(whole, quality=20)
    jpeg, size = b"", 0
    for quality in range(1, 96):  # the first that is no smaller than ours
        file = io.BytesIO()
        Image.fromarray(whole).save(file, "JPEG", quality=quality, optimize=True)
        jpeg, size = file.getvalue(), len(file.getvalue())
        if size >= len(ours):
            break
    shown = [whole, codec.decompress(ours), np.asarray(Image.open(io.BytesIO(jpeg)))]
    titles = [f"{whole.shape[1]} × {whole.shape[0]} pixels", f"Hubel, {len(ours) / 1000:.1f} kB", f"JPEG, {size / 1000:.1f} kB"]
    return row([s[40:280, 120:420] for s in shown], titles, 2.2)


@picture
def claims() -> Figure:
    return phenomena.run("two-sigma").plot()


@picture
def studio() -> Image.Image:
    with (tempfile.TemporaryDirectory() as folder, running("studio", "--port", "7995", "--work", folder) as address,
          browser(1200, 900) as page):
        page.goto(address)
        page.wait_for_timeout(6000)
        return Image.open(io.BytesIO(page.screenshot()))


@picture
def serve() -> Image.Image:
    with tempfile.TemporaryDirectory() as folder:
        path = model().save(Path(folder) / "digits.hubel")
        digit = Path(folder, "seven.png")
        Image.fromarray(digits().test.arrays()[list(digits().test.labels).index(7), ..., 0]).save(digit)
        with running("serve", str(path), "--port", "0") as address, browser() as page:
            page.goto(address)
            page.set_input_files("#predict input[type=file]", str(digit))
            page.click("#predict button")
            page.wait_for_selector("#predict .answer pre")
            return Image.open(io.BytesIO(page.screenshot(clip={"x": 0, "y": 0, "width": 900, "height": 1000})))


@contextmanager
def running(*words: str) -> Iterator[str]:
    """A command of Hubel's that serves, and its address."""
    process = subprocess.Popen([sys.executable, "-m", "hubel.cli", *words], stdout=subprocess.PIPE, text=True,
                               env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert process.stdout is not None
    try:
        yield next(m[0] for line in process.stdout if (m := re.search(r"http://[^\s]+", line)))
    finally:
        process.terminate()
        process.wait()


@contextmanager
def browser(width: int = 900, height: int = 1000) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tool:
        chromium = tool.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
                                        args=["--no-sandbox", "--disable-gpu"])
        yield chromium.new_page(viewport={"width": width, "height": height})
        chromium.close()


def save(name: str, made: Any) -> None:
    if isinstance(made, Figure):
        file = io.BytesIO()
        made.savefig(file, dpi=150 if made.get_figwidth() > 5 else 170, facecolor="white")
        made = Image.open(file)
    for colours in (256, 128, 64, 32):
        file = io.BytesIO()
        made.convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
        if len(file.getvalue()) < MOST:
            break
    with replacing(FOLDER / f"{name}.png") as partial:
        partial.write_bytes(file.getvalue())
    print(f"{name}.png {(FOLDER / f'{name}.png').stat().st_size // 1024} KB", flush=True)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[1:] or PICTURES:
        save(name, PICTURES[name]())
