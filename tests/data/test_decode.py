"""Reading image files: right pixels, upright, in 8 bits; every kind of damage is noticed."""

from __future__ import annotations

import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from hubel.data import decode_image, read_image, read_images
from hubel.data.decode import probe
from hubel.data.resize import fit_image, parse_size
from hubel.errors import DataError, InputError


def picture(height=75, width=110, seed=0):
    """Smooth colour with a few edges, so that JPEG keeps it well; no two corners alike."""
    y, x = np.mgrid[:height, :width]
    rng = np.random.default_rng(seed)
    a, b, c = rng.uniform(0.02, 0.08, 3)
    image = np.stack([127 + 120 * np.sin(a * x + b * y), 127 + 120 * np.cos(b * x - c * y), 255 * x / width], axis=-1)
    image[:10, :20] = (250, 20, 30)
    return image.round().astype(np.uint8)


def encoded(image, kind="JPEG", **options):
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, kind, **options)
    return file.getvalue()


def noisy_jpeg(side=200):
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return encoded(cv2.GaussianBlur(noise, (0, 0), 2), quality=90)


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {"lossless": True}),
                                               ("PPM", {}), ("TIFF", {"compression": "tiff_lzw"})])
def test_lossless_formats_give_the_very_pixels(tmp_path, kind, options):
    image = picture()
    path = tmp_path / "a.img"  # the content decides, not the name
    path.write_bytes(encoded(image, kind, **options))
    np.testing.assert_array_equal(read_image(path), image)
    grey = image[..., 0]
    if kind != "WEBP":
        path.write_bytes(encoded(grey, kind, **options))
        assert read_image(path).shape == (75, 110, 1)
        np.testing.assert_array_equal(read_image(path, channels=3), np.repeat(grey[..., None], 3, axis=2))
    assert probe(path) == probe(path, full=False) == (75, 110)


@pytest.mark.parametrize("options", [{"quality": 95}, {"quality": 60, "progressive": True}, {"subsampling": 0}])
def test_jpeg_agrees_with_pillow(options):
    data = encoded(picture(), **options)
    ours, theirs = decode_image(data).astype(int), np.asarray(Image.open(io.BytesIO(data))).astype(int)
    assert np.abs(ours - theirs).max() <= 3
    grey = np.asarray(Image.open(io.BytesIO(data)).convert("L")).astype(int)
    assert np.abs(decode_image(data, channels=1)[..., 0].astype(int) - grey).mean() < 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    data = encoded(picture(72, 112), kind, exif=exif.tobytes(), **options)
    stored = Image.open(io.BytesIO(encoded(picture(72, 112), "JPEG", quality=95) if kind == "JPEG" else
                                   encoded(picture(72, 112), "PNG")))
    stored.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(stored).convert("RGB")).astype(int)
    assert np.abs(decode_image(data).astype(int) - upright).max() <= 3
    for size, fit in (((20, 40), "squash"), ((20, 10), "crop"), ((9, 14), "squash")):  # the last at reduced size
        small = decode_image(data, size, 3, fit).astype(int)
        expected = fit_image(upright.astype(np.uint8), size, 3, fit).astype(int)
        assert np.abs(small - expected).mean() < 4
    assert probe_bytes(data, full=True) == probe_bytes(data, full=False) == upright.shape[:2]


def probe_bytes(data, full):
    import tempfile
    with tempfile.NamedTemporaryFile(suffix=".img") as file:
        file.write(data)
        file.flush()
        return probe(file.name, full)


def test_a_jpeg_decoded_at_a_fraction_is_near_to_the_whole_one_shrunk():
    for height, width in ((601, 803), (333, 500), (1024, 769)):
        data = encoded(picture(height, width), quality=95)
        for size in ((40, 60), (64, 64), (150, 150)):
            for fit in ("squash", "crop"):
                small = decode_image(data, size, 3, fit).astype(int)
                whole = fit_image(decode_image(data), size, 3, fit).astype(int)
                assert small.shape == (*size, 3)
                assert np.abs(small - whole).mean() < 4
    ramp = np.broadcast_to(np.linspace(0, 255, 333).round().astype(np.uint8), (333, 333))
    for image in (ramp, ramp.T):  # on which a shift by a fraction of a pixel shows
        data = encoded(image, quality=100)
        for fit, size in (("squash", (41, 41)), ("crop", (20, 41)), ("crop", (41, 20))):
            small, whole = decode_image(data, size, 1, fit), fit_image(image[..., None], size, 1, fit)
            assert np.abs(small.astype(int) - whole).max() <= 2


def test_deeper_and_stranger_pixels():
    ramp = np.linspace(0, 65535, 64 * 48).reshape(48, 64)
    deep = decode_image(encoded(ramp.astype(np.uint16), "PNG"))[..., 0]
    np.testing.assert_allclose(deep, ramp * 255 / 65535, atol=0.51)
    np.testing.assert_array_equal(decode_image(encoded(ramp.astype(np.uint16), "TIFF"))[..., 0], deep)
    unit = decode_image(encoded((ramp / 65535).astype(np.float32), "TIFF"))[..., 0]
    np.testing.assert_allclose(unit, ramp * 255 / 65535, atol=0.51)
    with pytest.raises(DataError, match=r"span 0\.\.6\.55"):
        decode_image(encoded(ramp.astype(np.float32), "TIFF"))
    bits = Image.fromarray(ramp > 30000)
    assert set(np.unique(decode_image(encoded(bits, "PNG")))) == {0, 255}
    rgb16 = cv2.imencode(".png", (picture().astype(np.uint16) * 257)[..., ::-1])[1].tobytes()
    np.testing.assert_array_equal(decode_image(rgb16), picture())


def test_palette_cmyk_and_transparency():
    image = Image.fromarray(picture())
    palette = image.convert("P", palette=Image.Palette.ADAPTIVE)
    np.testing.assert_array_equal(decode_image(encoded(palette, "PNG")), np.asarray(palette.convert("RGB")))
    cmyk = decode_image(encoded(image.convert("CMYK"), "JPEG", quality=95))
    assert np.abs(cmyk.astype(int) - picture()).mean() < 6
    half = np.dstack([np.full((4, 6, 3), 100, np.uint8), np.full((4, 6), 128, np.uint8)])
    half[0, 0] = (9, 9, 9, 0)
    laid = decode_image(encoded(half, "PNG"))
    assert laid[0, 0].tolist() == [255, 255, 255]
    assert abs(int(laid[1, 1, 0]) - (100 * 128 + 255 * 127) / 255) <= 1
    grey = Image.merge("LA", [Image.new("L", (5, 4), 50), Image.new("L", (5, 4), 255)])
    assert decode_image(encoded(grey, "PNG")).shape == (4, 5, 1)


def _damaged():
    jpeg, n = noisy_jpeg(), len(noisy_jpeg())
    png, webp = encoded(picture(), "PNG"), encoded(picture(), "WEBP")
    huge = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + huge + struct.pack(">I", zlib.crc32(b"IHDR" + huge))
    dimensions = jpeg.find(b"\xff\xc0") + 5
    return {
        "empty": b"", "text": b"This is no image.\n" * 20, "html": b"<!DOCTYPE html><html>404</html>",
        "jpeg cut in half": jpeg[:n // 2], "jpeg without its end": jpeg[:-2], "jpeg header only": jpeg[:30],
        "jpeg with a piece missing": jpeg[:n // 2] + jpeg[n // 2 + 2000:],
        "jpeg with zeros inside": jpeg[:n // 2] + bytes(2000) + jpeg[n // 2 + 2000:],
        "jpeg cut and closed": jpeg[:n // 2] + b"\xff\xd9",
        "jpeg bomb": jpeg[:dimensions] + b"\xff\xff\xff\xff" + jpeg[dimensions + 4:],
        "two bytes": b"\xff\xd8", "png cut": png[:len(png) // 2], "png bomb": b"\x89PNG\r\n\x1a\n" + chunk + png[33:],
        "png with a flipped bit": png[:200] + bytes([png[200] ^ 16]) + png[201:], "webp cut": webp[:len(webp) // 2],
        "bmp cut": encoded(picture(), "BMP")[:5000], "tiff cut": encoded(picture(), "TIFF")[:5000],
        "gif cut": encoded(Image.fromarray(picture()).convert("P"), "GIF")[:1500],
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n",
    }


@pytest.mark.parametrize("case", sorted(_damaged()))
def test_damage_is_noticed_in_one_line(tmp_path, case, capfd):
    path = tmp_path / "some file.jpg"
    path.write_bytes(_damaged()[case])
    for read in (lambda: read_image(path), lambda: read_image(path, 24, 3), lambda: probe(path)):
        with pytest.raises(DataError, match=r"some file\.jpg") as error:
            read()
        assert "\n" not in str(error.value)
    assert "Corrupt JPEG" not in capfd.readouterr().err  # libjpeg's own remarks stay out of the terminal


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_harmless_oddities_are_read():
    jpeg = noisy_jpeg()
    np.testing.assert_array_equal(decode_image(jpeg + b"trailing bytes" * 9), decode_image(jpeg))
    bad_exif = jpeg[:2] + b"\xff\xe1\x00\x12Exif\0\0II*\0\xff\xff\xff\xff" + b"\0\0" + jpeg[2:]
    np.testing.assert_array_equal(decode_image(bad_exif), decode_image(jpeg))


def test_what_is_no_file(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_image(tmp_path / "none.png")
    with pytest.raises(DataError, match="folder"):
        read_image(tmp_path)
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(DataError, match="not a file"):
        read_image(tmp_path / "pipe.jpg")


def test_read_images_keeps_order_and_reports(tmp_path):
    paths = []
    for i in range(40):
        paths.append(tmp_path / f"{i}.png")
        paths[-1].write_bytes(b"broken" if i % 7 == 3 else encoded(np.full((4, 4), i, np.uint8), "PNG"))
    failed: list[str] = []
    values = [int(image[0, 0, 0]) for image in read_images(paths, errors=lambda path, error: failed.append(path))]
    assert values == [i for i in range(40) if i % 7 != 3]
    assert failed == [str(p) for i, p in enumerate(paths) if i % 7 == 3]
    with pytest.raises(DataError, match=r"3\.png"):
        list(read_images(paths))


def test_shrinking_averages_areas_and_crop_keeps_the_middle():
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    small = fit_image(image, (12, 16), 3)
    np.testing.assert_allclose(small, image.reshape(12, 4, 16, 4, 3).mean((1, 3)), atol=0.51)
    np.testing.assert_array_equal(fit_image(image, (48, 48), 3, "crop"), image[:, 8:56])
    np.testing.assert_array_equal(fit_image(image, (32, 64), 3, "crop"), image[8:40])
    luma = image @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(fit_image(image, None, 1)[..., 0], luma, atol=0.51)
    stretched = fit_image(image[:, :, :1], (96, 32), 1)  # one axis up, one down
    assert stretched.shape == (96, 32, 1)


@pytest.mark.parametrize("size", [0, -3, 2.5, (3,), (1, 2, 3), "224", (4, True)])
def test_bad_sizes(size):
    with pytest.raises(InputError, match="size="):
        parse_size(size)


def test_bad_options(tmp_path):
    with pytest.raises(InputError, match="channels=2"):
        read_image(tmp_path / "a.png", channels=2)
    with pytest.raises(InputError, match="fit='stretch'"):
        read_image(tmp_path / "a.png", 8, fit="stretch")
