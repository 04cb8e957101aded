"""The text detector on lettering it was not trained on, on scikit-image's scans, and on photographs without text."""

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageDraw, ImageFont

from hubel import features
from hubel.cli import run
from hubel.errors import InputError

FONTS = ("DejaVuSans.ttf", "DejaVuSerif-BoldItalic.ttf", "STIXGeneralBol.ttf", "cmr10.ttf")  # the learned ones are others


def lettering(font: str, size: int, ink: int, ground: int) -> np.ndarray:
    import matplotlib

    picture = Image.new("L", (360, 200), ground)
    face = ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/{font}", size)
    ImageDraw.Draw(picture).multiline_text((20, 30), "Twelve jugs of\nblack vinegar", fill=ink, font=face)
    return np.asarray(picture)


@pytest.mark.parametrize("font", FONTS)
@pytest.mark.parametrize(("size", "ink", "ground"), [(18, 20, 230), (28, 240, 90), (40, 90, 160)])
def test_lettering_is_found_where_it_is(font, size, ink, ground):
    image = lettering(font, size, ink, ground)
    found = features.find_text(image)
    assert found.contains and found.score > 0.5
    rows, columns = np.nonzero(image != ground)
    for left, top, w, h in found.boxes:
        assert left >= columns.min() - 3 and left + w <= columns.max() + 4
        assert top >= rows.min() - 3 and top + h <= rows.max() + 4
    assert max(w for _, _, w, _ in found.boxes) > 0.4 * np.ptp(columns)


def test_a_scanned_page_holds_text():
    found = features.find_text(skimage.data.page())
    assert found.contains and len(found.boxes) >= 2


def test_empty_pictures_and_photographs_hold_none():
    rng = np.random.default_rng(0)
    noise = cv2.GaussianBlur(rng.integers(0, 255, (200, 300)).astype(np.uint8), (0, 0), 2)
    photos = [skimage.data.camera(), skimage.data.coins(), skimage.data.moon(), noise]
    for image in (np.full((50, 60), 128, np.uint8), np.zeros((3, 3)), np.zeros((120, 5, 3), np.uint8)):
        found = features.find_text(image)
        assert not found.contains and found.score == 0 and found.boxes == ()
    assert sum(features.find_text(p).contains for p in photos) <= 1
    assert features.find_text(lettering(FONTS[0], 30, 0, 255)).to_dict()["contains_text"] is True


def test_one_image_at_a_time():
    with pytest.raises(InputError, match="one image at a time"):
        features.find_text(np.zeros((2, 20, 20, 1)))


def test_the_command_says_so(tmp_path, capsys):
    Image.fromarray(lettering(FONTS[0], 30, 0, 255)).save(tmp_path / "words.png")
    Image.fromarray(skimage.data.moon()).save(tmp_path / "moon.png")
    assert run(["match", "text", str(tmp_path / "words.png"), str(tmp_path / "moon.png"), "-o", str(tmp_path / "m")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "words.png: text, 2 rows" in lines[0] and "moon.png: no text" in lines[1]
    assert (tmp_path / "m" / "words.match.png").exists() and not (tmp_path / "m" / "moon.match.png").exists()
