"""hubel denoise and hubel inpaint: files, folders, pictures of before and after, what cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hubel.autoencode.restore import denoise, inpaint
from hubel.autoencode.restore.show import before_after, detail
from hubel.cli import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draws = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    (tmp_path / "masks").mkdir()
    for name, shape in (("a", (40, 60, 3)), ("b", (33, 20))):
        Image.fromarray(draws.integers(0, 256, shape, dtype=np.uint8)).save(tmp_path / "in" / f"{name}.png")
        mask = np.zeros(shape[:2], np.uint8)
        mask[5:9, 3:11] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / f"{name}.png")
    return tmp_path


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_denoise_writes_what_the_function_returns(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["denoise", str(folder / "in"), "-o", str(folder / "out"), "--sigma", "20", "--show"]) == 0
    for name in "ab":
        assert np.array_equal(pixels(folder / "out" / f"{name}.png"), denoise(pixels(folder / "in" / f"{name}.png"), 20))
    assert (folder / "out" / "before_after.png").exists()
    (folder / "in" / "c.png").write_bytes(b"nothing")
    capsys.readouterr()
    assert run(["denoise", str(folder / "in"), "-o", str(folder / "out")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_inpaint_takes_one_mask_or_a_folder_of_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inpaint", str(folder / "in"), "--mask", str(folder / "masks"), "-o", str(folder / "out"), "--show"]) == 0
    for name in "ab":
        before, hole = pixels(folder / "in" / f"{name}.png"), pixels(folder / "masks" / f"{name}.png") > 0
        after = pixels(folder / "out" / f"{name}.png")
        assert np.array_equal(after, inpaint(before, hole)) and np.array_equal(after[~hole], before[~hole])
    capsys.readouterr()
    assert run(["inpaint", str(folder / "in"), "--mask", str(folder / "masks" / "a.png"), "-o", str(folder / "out")]) == 2
    assert "does not fit" in capsys.readouterr().err


def test_the_square_shown_is_the_most_detailed() -> None:
    image = np.zeros((600, 500), np.uint8)
    image[450:500, 400:450] = np.random.default_rng(0).integers(0, 255, (50, 50))
    rows, columns = detail(image, 100)
    assert rows.start <= 450 and rows.stop >= 500 and columns.start <= 400 and columns.stop >= 450
    assert rows.stop - rows.start == columns.stop - columns.start == 100
    figure = before_after([("a", [("x", image), ("y", image)]), ("b", [("x", np.zeros((9, 30, 3), np.uint8))])])
    assert len(figure.axes) == 4
