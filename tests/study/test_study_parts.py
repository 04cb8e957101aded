"""The folder of a study, its plan, pictures, and the matching of class names."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hubel.errors import DataError, InputError, ModelError
from hubel.study import pictures
from hubel.study.plan import make_plan
from hubel.study.store import Folder, key
from hubel.study.subject import match_classes


def test_facts_are_found_by_their_key_alone(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "s")
    folder.keep("attack", key("a", 1), {"x": np.float32(0.5), "y": np.arange(3)})
    assert folder.facts("attack", key("a", 1)) == {"x": 0.5, "y": [0, 1, 2]}
    assert folder.facts("attack", key("a", 2)) is None and folder.facts("other", key("a", 1)) is None
    (tmp_path / "s/facts/attack.json").write_text('{"format": 1, "key"')
    assert folder.facts("attack", key("a", 1)) is None
    assert not list((tmp_path / "s").rglob("*.new"))


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    first, second = Folder(tmp_path), Folder(tmp_path)
    first.lock()
    with pytest.raises(InputError, match="another run"):
        second.lock()
    first.unlock()
    second.lock()
    second.unlock()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(InputError, match="is a file"):
        Folder(tmp_path / "f")
    with pytest.raises(InputError, match="cannot be made"):
        Folder(tmp_path / "f" / "inside")


def test_small_pictures_are_kept_exactly_and_large_ones_shrunk(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    small = np.random.default_rng(0).integers(0, 256, (8, 8, 1), dtype=np.uint8)
    kept = np.asarray(Image.open(tmp_path / folder.picture("small", small)))
    assert (kept == small[..., 0]).all()
    large = folder.picture("large", np.full((400, 200, 3), 90, np.uint8), 100)
    assert Image.open(tmp_path / large).size == (50, 100)


def test_plans_shrink_with_cost_and_grow_with_time() -> None:
    small, photo = make_plan(1e5, 360, 10), make_plan(4e8, 300, 15)
    assert small.attacked == 256 and 8 <= photo.attacked < small.attacked
    assert make_plan(4e8, 300, 15) == photo  # no clock in it
    assert make_plan(4e8, 300, 15, minutes=1).attacked <= photo.attacked <= make_plan(4e8, 300, 15, minutes=60).attacked
    assert make_plan(4e8, 5, 2).excited <= 16 and make_plan(1e12, 10**6, 1000).attacked == 8


def test_signed_pictures_are_symmetric_and_white_at_zero() -> None:
    shown = pictures.signed(np.array([[-1.0, 0.0, 1.0]]), 1.0).astype(int)
    assert (shown[0, 1] > 240).all()
    assert shown[0, 0, 2] > shown[0, 0, 0] and shown[0, 2, 0] > shown[0, 2, 2]  # blue below, red above


def test_heat_of_zero_leaves_the_image_grey_and_heat_lightens() -> None:
    image = np.full((8, 8, 1), 100, np.uint8)
    heat = np.zeros((2, 2))
    heat[1, 1] = 1.0
    shown = pictures.overlay(image, heat, 1.0, side=64)
    assert shown.shape == (64, 64, 3)
    assert len(set(shown[0, 0].tolist())) == 1 and shown[-1, -1].sum() > shown[0, 0].sum()


@pytest.mark.parametrize("top", [1 / 255, 8 / 255, 0.1, 0.6])
def test_a_magnified_change_fits_the_scale(top: float) -> None:
    delta = np.array([[[top]], [[-top]]])
    factor = pictures.magnification(delta)
    shown = pictures.change(delta, factor).astype(int)
    assert 0 <= shown.min() < 127 < shown.max() <= 255
    if top <= 0.5:
        assert factor * top <= 0.5  # nothing is cut off


def test_filters_have_zero_at_mid_grey() -> None:
    tile = pictures.filter_tile(np.array([[[-2.0, 0.0, 1.0]]]))
    assert tile.shape == (1, 3, 1) and tile[0, 0, 0] == 0 and tile[0, 1, 0] in (127, 128)


def test_classes_are_matched_by_name() -> None:
    of_model = ["great white shark", "tench, Tinca tinca", "stop-sign", "Cat"]
    assert match_classes(["cat", "Stop_sign", "tench"], of_model).tolist() == [3, 2, 1]
    with pytest.raises(ModelError, match="no class 'dog'"):
        match_classes(["dog", "cat"], of_model)
    with pytest.raises(DataError, match="same name"):
        match_classes(["cat", "CAT"], of_model)


def test_a_picture_that_is_written_can_be_read(tmp_path: Path) -> None:
    name = Folder(tmp_path).picture("p", np.zeros((300, 300, 3), np.uint8), 200)
    assert Image.open(io.BytesIO((tmp_path / name).read_bytes())).size == (200, 200)
