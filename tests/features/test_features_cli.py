"""hubel filter, match, features: what they write, what they print, and one line for what cannot be read."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from hubel import features
from hubel.cli import run
from hubel.data import read_image
from hubel.data.sound import read_sound, write_sound
from hubel.features.filters import KINDS, SERIES, apply_filter

ROOT = Path(os.environ.get("HUBEL_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data"))


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(skimage.data.astronaut()[:160, 100:300]).save(path)
    return path


def fails(capsys, *words):
    assert run([str(w) for w in words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("hubel: ") and error.count("\n") == 1 and "Traceback" not in error, error
    return error


def test_every_filter_writes_a_picture_and_the_sheet(photo, tmp_path, capsys):
    for kind in KINDS:
        more = ["--weights", "0 1 2; 2 2 0; 0 1 2"] if kind == "weights" else []
        assert run(["filter", kind, str(photo), "-o", str(tmp_path / "out"), "--show", *more]) == 0
        picture = read_image(tmp_path / "out" / f"photo.{kind}.png")
        assert picture.shape[:2] == (160, 200) or kind == "pyramid"
        assert picture.std() > 3
    assert read_image(tmp_path / "out" / "contact_sheet.png").shape[1] == 1500
    assert "contact_sheet.png" in capsys.readouterr().out


def test_filters_are_the_rooms_functions(photo):
    x = read_image(photo)
    np.testing.assert_allclose(apply_filter("edges", x, angle=30, border="nearest").values, features.edges(x, 30), atol=1e-6)
    np.testing.assert_allclose(apply_filter("edges", x, border="nearest").values, features.edges(x), atol=1e-6)
    np.testing.assert_allclose(apply_filter("smooth", x, sigma=2).values, features.smooth(x / 255, 2.0), atol=1e-6)
    sobel = apply_filter("sobel", x, angle=90)
    assert sobel.picture().dtype == np.uint8 and abs(float(np.median(sobel.picture())) - 127.5) < 10
    assert json.dumps(sobel.to_dict()) and sobel.plot()


def test_sound_and_series_keep_their_kind(tmp_path):
    tone = 0.4 * np.sin(np.arange(4000) / 9) + np.random.default_rng(0).normal(0, 0.05, 4000)
    write_sound(tmp_path / "tone.wav", tone, 8000)
    np.savetxt(tmp_path / "series.csv", tone)
    assert run(["filter", "smooth", str(tmp_path / "tone.wav"), str(tmp_path / "series.csv"), "-o", str(tmp_path / "o"),
                "--show", "--numbers"]) == 0
    smoothed, rate = read_sound(tmp_path / "o" / "tone.smooth.wav")
    assert rate == 8000 and np.std(smoothed - 0.4 * np.sin(np.arange(4000) / 9)) < 0.025
    np.testing.assert_allclose(np.loadtxt(tmp_path / "o" / "series.smooth.csv"), np.load(tmp_path / "o" / "series.smooth.npy"),
                               atol=1e-6)
    for kind in set(SERIES) - {"weights"}:
        assert apply_filter(kind, tone).values.shape == tone.shape


def test_match_draws_boxes_at_every_place(photo, tmp_path, capsys):
    x = skimage.data.astronaut()
    Image.fromarray(x[20:70, 190:250]).save(tmp_path / "pattern.png")
    scene = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    scene[10:60, 20:80], scene[200:250, 150:210] = x[20:70, 190:250], x[20:70, 190:250] // 2
    Image.fromarray(scene).save(tmp_path / "scene.png")
    assert run(["match", str(tmp_path / "pattern.png"), str(tmp_path / "scene.png"), str(photo), "-o", str(tmp_path / "m"),
                "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)["files"]
    assert sorted(tuple(f["box"]) for f in facts[0]["found"]) == [(20, 10, 60, 50), (150, 200, 60, 50)]
    assert facts[1]["found"][0]["box"] == [90, 20, 60, 50]  # where it was cut out
    assert read_image(facts[0]["picture"]).size and json.loads((tmp_path / "m" / "matches.json").read_text())["files"] == facts
    grey = tmp_path / "grey.png"
    Image.fromarray(scene).convert("L").save(grey)
    assert run(["match", str(tmp_path / "pattern.png"), str(grey), "-o", str(tmp_path / "m")]) == 0
    assert "2 found" in capsys.readouterr().out


@pytest.mark.skipif(not (ROOT / "spoken_digits").is_dir(), reason="needs spoken digits (HUBEL_DATA)")
def test_a_spoken_word_is_found_inside_a_longer_recording(tmp_path, capsys):
    files = sorted((ROOT / "spoken_digits").glob("*_jackson_*.wav"))[:30]
    words = [read_sound(f)[0] for f in files]
    rng = np.random.default_rng(0)
    starts = np.cumsum([0] + [len(w) + 800 for w in words])
    long = np.concatenate([np.concatenate([w, np.zeros(800, np.float32)]) for w in words])
    noise = 0.3 * np.std(long)
    long = 0.6 * long + rng.normal(0, noise, len(long))
    write_sound(tmp_path / "long.wav", long, 8000)
    for which in (3, 12, 27):
        assert run(["match", str(files[which]), str(tmp_path / "long.wav"), "-o", str(tmp_path / "m"), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)["files"][0]["found"]
        expected = 1 / np.sqrt(1 + (noise / (0.6 * np.std(words[which]))) ** 2)  # of a word and itself in such noise
        assert found[0]["score"] == pytest.approx(expected, abs=0.02)
        assert all(other["score"] < found[0]["score"] - 0.03 for other in found[1:])  # the word's other takes
        assert found[0]["seconds"][0] == pytest.approx(starts[which] / 8000, abs=1e-3)
    assert (tmp_path / "m" / "long.match.png").exists()


def test_features_as_tables(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(rng.integers(0, 255, (40 + i, 50), dtype=np.uint8)).save(tmp_path / "set" / name / f"{i}.png")
    assert run(["features", str(tmp_path / "set"), "-o", str(tmp_path / "t.npz"), "--size", "64"]) == 0
    with np.load(tmp_path / "t.npz", allow_pickle=False) as table:
        assert table["x"].shape == (6, len(table["names"])) and table["y"].tolist() == [0, 0, 0, 1, 1, 1]
        assert table["classes"].tolist() == ["a", "b"]
        image = read_image(table["files"][0], size=64, channels=1)
        np.testing.assert_allclose(table["x"][0], features.hog(image).ravel(), atol=1e-6)
    assert run(["features", str(tmp_path / "set"), "-o", str(tmp_path / "t.csv"), "--kind", "hierarchy", "--kind", "sift"]) == 0
    rows = list(csv.reader((tmp_path / "t.csv").open()))
    assert len(rows) == 7 and rows[0][:2] == ["file", "class"] and len(rows[0]) == 2 + 24 + 128
    assert sorted(p.name for p in tmp_path.iterdir()) == ["set", "t.csv", "t.npz"]
    assert "2 classes" in capsys.readouterr().out


def test_what_cannot_be_read_is_one_line_and_the_rest_is_done(photo, tmp_path, capsys):
    (tmp_path / "empty.png").touch()
    (tmp_path / "bad.png").write_bytes(photo.read_bytes()[:2000])
    (tmp_path / "bad.wav").write_bytes(b"RIFF0000WAVE")
    (tmp_path / "bad.csv").write_text("one,two\n")
    for name in ("empty.png", "bad.png", "bad.wav", "bad.csv", "missing.png"):
        assert name in fails(capsys, "filter", "smooth", tmp_path / name, photo, "-o", tmp_path / "o")
        assert (tmp_path / "o" / "photo.smooth.png").exists()
    for name in ("empty.png", "missing.png", "bad.wav"):
        assert name in fails(capsys, "match", tmp_path / name, photo, "-o", tmp_path / "o")
    assert "empty.png" in fails(capsys, "match", photo, tmp_path / "empty.png", "-o", tmp_path / "o")
    assert "empty.png" in fails(capsys, "features", photo, tmp_path / "empty.png", "-o", tmp_path / "x.npz")
    assert "did you mean 'sobel'" in fails(capsys, "filter", "sobl", photo)
    assert "larger than x" in fails(capsys, "match", photo, tmp_path / "o" / "photo.smooth.png", "--scales", "3", "-o", tmp_path)
    assert "weights" in fails(capsys, "filter", "weights", photo, "-o", tmp_path / "o")
    assert "--scales" in fails(capsys, "match", photo, photo, "--scales", "big", "-o", tmp_path / "o")
    assert ".npz or .csv" in fails(capsys, "features", photo, "-o", tmp_path / "x.txt")
    (tmp_path / "nothing").mkdir()
    assert "holds no images" in fails(capsys, "features", tmp_path / "nothing", "-o", tmp_path / "y.npz")
