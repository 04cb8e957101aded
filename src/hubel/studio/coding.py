"""What the Encode tab shows, without the page: noise taken off, holes filled, files made small, walks between codes.

Depends on autoencode, which does all of it; on features for PSNR, on links.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, ClassVar

import numpy as np

from hubel.dataurl import data_url
from hubel.errors import InputError, ModelError
from hubel.studio import limits, parts
from hubel.studio.links import Again, Settings, command, setting, to_query
from hubel.studio.pictures import Picture, as_png, shown, uri
from hubel.studio.stock import Stock

MODES = {"denoise": "Denoise", "inpaint": "Inpaint", "compress": "Compress", "walk": "Walk"}
SIDE = 512  # pixels of the longer side: what a network does to a photograph while one waits
WEIGHTS = {"denoise": ("restore", "denoise"), "inpaint": ("restore", "inpaint"), "compress": ("codec", "codec")}
EPOCHS = 30


@dataclass(frozen=True)
class Encode(Settings):
    TAB: ClassVar[str] = "encode"
    mode: str = setting("denoise", one_of=tuple(MODES))
    picture: str = setting("")
    noise: int = setting(25, least=0, most=75)
    known: bool = setting(True)
    mask: str = setting("")  # the key of a painted picture
    quality: int = setting(30, least=1, most=100)
    latents: int = setting(8, least=2, most=32)
    start: int = setting(0, least=0, most=100_000)
    end: int = setting(1, least=0, most=100_000)
    seed: int = setting(0, least=0, most=2**31)


def ready(mode: str) -> None:
    """Raise ModelError, in a sentence, where the weights that a mode needs are not in the package."""
    if mode in WEIGHTS:
        folder, name = WEIGHTS[mode]
        if not files(f"hubel.autoencode.{folder}").joinpath(f"{name}.safetensors").is_file():
            raise ModelError(f"the weights for this ({name}.safetensors) are not in this version of Hubel: {MODES[mode].lower()} waits for them")


def prepared(picture: Picture) -> tuple[np.ndarray, str]:
    """Return the picture at most SIDE pixels wide and high, and the Python that reads it so."""
    small = shown(picture.pixels, SIDE)
    if small.shape == picture.pixels.shape:
        return small, picture.code
    return small, f"pictures.shown({picture.code}, {SIDE})"


def noisy(image: np.ndarray, s: Encode) -> np.ndarray:
    """Return the image with white Gaussian noise of sigma levels, rounded and clipped to 8 bits."""
    if not s.noise:
        return image
    return np.clip(image + np.random.default_rng(s.seed).normal(0, s.noise, image.shape), 0, 255).round().astype(np.uint8)


def _psnr(a: np.ndarray, b: np.ndarray) -> str:
    from hubel.features import psnr

    value = float(np.asarray(psnr(a, b)))
    return "the same" if value > 99 else f"{value:.1f} dB"


def _save(pixels: np.ndarray, name: str) -> str:
    return f'<a download="{name}" href="{data_url(as_png(pixels), "image/png")}">{name}</a>'


def _reads(code: str) -> str:
    lines = "import hubel\n" if "hubel." in code else ""
    lines += "from hubel.data import read_image\n" if "read_image" in code else ""
    return lines + ("from hubel.studio import pictures\n" if "pictures." in code else "")


def denoised(picture: Picture, s: Encode) -> tuple[str, Again]:
    """The picture, with noise, and without it again."""
    from hubel.autoencode.restore import denoise

    image, code = prepared(picture)
    given = noisy(image, s)
    sigma = float(s.noise) if s.known and s.noise else None
    answer = denoise(given, sigma)
    told = f"told sigma {s.noise}" if sigma else "not told how strong the noise is"
    page = parts.figures([
        parts.figure(uri(image), "The picture"),
        parts.figure(uri(given), f"With noise of sigma {s.noise}" if s.noise else "As it is", f"{_psnr(given, image)}; {_save(given, 'noisy.png')}"),
        parts.figure(uri(answer), "Denoised", f"{_psnr(answer, image)}, {told}; {_save(answer, 'denoised.png')}")])
    python = (f"import numpy as np\n{_reads(code)}from hubel.autoencode.restore import denoise\n\nimage = {code}\n"
              + (f"noise = np.random.default_rng({s.seed}).normal(0, {s.noise}, image.shape)\n"
                 "image = np.clip(image + noise, 0, 255).round().astype(np.uint8)\n" if s.noise else "")
              + f"answer = denoise(image{f', {sigma}' if sigma else ''})")
    return page, Again(to_query(s), command("hubel", "denoise", "noisy.png", *(["--sigma", s.noise] if sigma else [])), python)


def mask_of(stock: Stock, s: Encode, shape: tuple[int, ...]) -> np.ndarray:
    """The painted mask at the picture's size, bool (H, W); nothing painted: a stroke across, so that there is something to see."""
    import cv2

    mask: Any = np.zeros(shape[:2], np.uint8)
    if not s.mask:
        height, width = shape[:2]
        cv2.line(mask, (int(0.15 * width), int(0.3 * height)), (int(0.85 * width), int(0.7 * height)), 255, max(3, max(shape[:2]) // 40))
    else:
        painted = stock.picture(s.mask).pixels[..., 0]
        mask = cv2.resize(painted, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST)
    return mask > 100


def inpainted(stock: Stock, picture: Picture, s: Encode) -> tuple[str, Again]:
    """The picture with holes, and with the holes filled."""
    from hubel.autoencode.restore import inpaint

    image, code = prepared(picture)
    mask = mask_of(stock, s, image.shape)
    if mask.all():
        raise InputError("everything is painted over: leave something to go by, or press clear")
    answer = inpaint(image, mask)
    holes = np.where(mask[..., None], np.uint8(255), image)
    page = parts.figures([
        parts.figure(uri(holes), f"With {mask.mean():.0%} missing", f"white is missing; {_save(image, 'picture.png')}, {_save(mask[..., None] * np.uint8(255), 'mask.png')}"),
        parts.figure(uri(answer), "Filled", f"{_psnr(answer, image)} against the original; {_save(answer, 'filled.png')}"),
        parts.figure(uri(image), "The original", "what was painted over was not looked at")])
    python = (f"{_reads(code)}from hubel.data import read_image\nfrom hubel.autoencode.restore import inpaint\n\nimage = {code}\n"
              "mask = read_image('mask.png')[..., 0] > 100\nanswer = inpaint(image, mask)")
    return page, Again(to_query(s), command("hubel", "inpaint", "picture.png", "--mask", "mask.png"), python)


def jpeg_within(image: np.ndarray, size: int) -> tuple[bytes, int]:
    """Return the best JPEG of at most `size` bytes (the smallest there is, if none is), and its quality."""
    import cv2

    order = image[..., ::-1] if image.shape[2] == 3 else image
    best: tuple[bytes, int] | None = None
    low, high = 1, 100
    while low <= high:  # sizes grow with quality
        middle = (low + high) // 2
        data = cv2.imencode(".jpg", np.ascontiguousarray(order), [cv2.IMWRITE_JPEG_QUALITY, middle, cv2.IMWRITE_JPEG_OPTIMIZE, 1])[1].tobytes()
        if len(data) <= size or best is None or len(best[0]) > size:  # as long as none fits, each is smaller than the one before
            best = data, middle
        low, high = (middle + 1, high) if len(data) <= size else (low, middle - 1)
    assert best is not None
    return best


def compressed(picture: Picture, s: Encode) -> tuple[str, Again]:
    """The picture from a small file, beside a JPEG of the same size."""
    from hubel.autoencode.codec import compress, decompress
    from hubel.data import decode_image

    image, code = prepared(picture)
    data = compress(image, s.quality)
    answer = decompress(data)
    jpeg, quality = jpeg_within(image, len(data))
    other = decode_image(jpeg, channels=image.shape[2])
    rate = 8 / image.shape[0] / image.shape[1]
    link = f'<a download="picture.hbl" href="{data_url(data, "application/octet-stream")}">picture.hbl</a>'
    page = parts.figures([
        parts.figure(uri(image), "The picture", f"{image.nbytes:,} bytes of pixels; {_save(image, 'picture.png')}"),
        parts.figure(uri(answer), f"Hubel: {len(data):,} bytes", f"{_psnr(answer, image)}, {len(data) * rate:.2f} bits a pixel; {link}"),
        parts.figure(uri(other), f"JPEG: {len(jpeg):,} bytes", f"{_psnr(other, image)}, {len(jpeg) * rate:.2f} bits a pixel, quality {quality}"
                     + (", the smallest there is" if len(jpeg) > len(data) else ""))])
    python = (f"{_reads(code)}from hubel.autoencode.codec import compress, decompress\n\nimage = {code}\ndata = compress(image, {s.quality})\n"
              "answer = decompress(data)")
    return page, Again(to_query(s), command("hubel", "compress", "picture.png", "-o", "picture.hbl", "-q", s.quality), python)


def learned(stock: Stock, s: Encode) -> Any:
    """An autoencoder of the built-in digits with so many latents, trained once and kept."""
    from hubel.autoencode import build

    key = f"coder {s.latents} {s.seed}"
    kept = stock.made(key)
    if kept is None:
        coder = build("convolutional", size=8, channels=1, latents=s.latents, seed=s.seed)
        coder.fit(stock.source("digits").train, epochs=EPOCHS, seed=s.seed, verbose=0)
        kept = stock.made(key, coder)
    return kept


def walked(stock: Stock, s: Encode) -> tuple[str, Again]:
    """From one digit to another through their codes, and from the first along the directions in which codes differ most."""
    from hubel.autoencode import walk

    coder, test = learned(stock, s), stock.source("digits").test
    if max(s.start, s.end) >= len(test):
        raise InputError(f"there are the test digits 0 to {len(test) - 1}: choose two of them")
    images = test.arrays()
    between = walk(coder, images[[s.start, s.end]], steps=9)
    around = walk(coder, np.concatenate([images[s.start : s.start + 1], images]), steps=9, along=min(4, s.latents))
    labels = test.classes[test.labels[s.start]], test.classes[test.labels[s.end]]
    page = (_strip(between.images[0], f"From digit {s.start} (a {labels[0]}) to digit {s.end} (a {labels[1]})")
            + f'<h2 class="hb-h2">Around digit {s.start}: the directions in which codes differ most</h2>'
            + "".join(_strip(line, name) for line, name in zip(around.images, around.names, strict=True))
            + f'<p class="hb-rule">A code has {s.latents} numbers for 64 pixels. {html.escape(str(coder.bottleneck or ""))}</p>')
    line = (command("hubel", "autoencode", "train", "digits", "-o", "digits.hubel", "--latents", s.latents, "--epochs", EPOCHS) + "\n"
            + command("hubel", "autoencode", "walk", "digits.hubel", "digits"))
    python = (f"import hubel\nfrom hubel.autoencode import build, walk\n\nsource = hubel.load('digits')\n"
              f"coder = build('convolutional', size=8, channels=1, latents={s.latents}, seed={s.seed})\n"
              f"coder.fit(source.train, epochs={EPOCHS}, seed={s.seed}, verbose=0)\nimages = source.test.arrays()\n"
              f"walk(coder, images[[{s.start}, {s.end}]]).plot()")
    return page, Again(to_query(s), line, python)


def _strip(images: np.ndarray, title: str) -> str:
    cells = "".join(f'<img class="hb-pixelated" alt="step {i + 1}" src="{uri(image)}">' for i, image in enumerate(images))
    return f'<figure class="hb-figure hb-strip"><figcaption><b>{html.escape(title)}</b></figcaption><div>{cells}</div></figure>'


def mask_key(stock: Stock, strokes: str) -> str:
    """Keep what was painted as a picture; '' where nothing was."""
    data, name = limits.file_of(strokes, "mask.png")
    return stock.pictures.drop(strokes, name).key if limits.picture(data, name)[..., 0].max() > 100 else ""


RUN: dict[str, Callable[[Stock, Picture, Encode], tuple[str, Again]]] = {
    "denoise": lambda stock, picture, s: denoised(picture, s), "inpaint": inpainted, "compress": lambda stock, picture, s: compressed(picture, s),
    "walk": lambda stock, picture, s: walked(stock, s)}
