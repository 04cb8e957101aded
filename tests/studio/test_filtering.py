"""The arithmetic of a pixel is that of the answer; the Python and the command line give the same again."""

from __future__ import annotations

import shlex
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from hubel.cli import run
from hubel.data import read_image, write_sound
from hubel.errors import InputError
from hubel.studio import filtering
from hubel.studio.filtering import BORDERS, NAMES, Filter

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (23, 31, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (23, 31, 1), dtype=np.uint8)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("kernel", NAMES)
def test_the_arithmetic_is_the_answers(kernel, border):
    for s, x in ((Filter(kernel=kernel, border=border, angle=30, length=7), COLOUR), (Filter(kernel=kernel, border=border, stride=3, angle=200, length=7), GREY)):
        found = filtering.answer(x, s)
        height, width = found.values.shape[:2]
        for row, column in ((0, 0), (height // 2, width // 2), (height - 1, width - 1), (0, width - 1)):
            done = filtering.arithmetic(x, found, s, row, column)
            assert done.sums[0] == pytest.approx(done.value, abs=2e-5)
            assert np.asarray(found.values[row, column]).reshape(-1)[0] == np.float32(done.value)


@pytest.mark.parametrize("kernel", filtering.EITHER)
def test_the_arithmetic_at_whichever_angle(kernel):
    s = Filter(kernel=kernel, every_angle=True, length=7)
    found = filtering.answer(COLOUR, s)
    done = filtering.arithmetic(COLOUR, found, s, 11, 13)
    expected = np.hypot(*done.sums) if len(done.sums) == 2 else max(done.sums.max(), 0)
    assert done.value == pytest.approx(expected, abs=2e-5)
    assert done.to_html(11, 13, "").count("<output>") == (2 if len(done.sums) == 2 else 1)


@pytest.mark.parametrize("s", [Filter(kernel="gabor", angle=30, wavelength=6.5, border="wrap"), Filter(kernel="smooth", sigma=2.0, stride=2),
                               Filter(kernel="weights", weights="0 1 2; 2 2 0; 0 1 2"), Filter(kernel="sobel", every_angle=True),
                               Filter(kernel="difference", angle=10), Filter(kernel="uniform", size=4)])
def test_python_and_command_line_give_the_same(s, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(COLOUR).save("my picture.png")
    found = filtering.answer(COLOUR, s)
    how = filtering.again(s, "my picture.png", replace(s, row=3, column=4))
    space: dict = {}
    exec(how.python, space)
    assert np.array_equal(space["answer"].values, found.values)
    assert run(shlex.split(how.command)[1:]) == 0
    written = next(tmp_path.glob("filtered/*.png"))
    assert np.array_equal(read_image(written), found.picture())


def test_a_sound_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_sound("it.wav", RNG.uniform(-0.9, 0.9, 400).astype(np.float32), 4000)
    s = Filter(source="sound", kernel="uniform", size=7)
    how = filtering.again(s, "it.wav")
    space: dict = {}
    exec(how.python, space)
    assert np.array_equal(space["answer"].values, filtering.answer(space["sound"], s).values)
    assert run(shlex.split(how.command)[1:]) == 0


@pytest.mark.parametrize("text", ["", "1 2; 3", "a b", "nan 1", "1e400 2"])
def test_bad_kernels_are_refused(text):
    with pytest.raises(InputError, match="kernel"):
        filtering.rows_of(text)


def test_rows_come_back():
    rows = RNG.normal(size=(3, 5)).round(4)
    assert np.allclose(filtering.rows_of(filtering.text_of(rows)), rows)
