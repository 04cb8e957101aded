"""hubel autoencode: every command on small images, what it writes, and what it says when it cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hubel import autoencode
from hubel.cli import run
from hubel.model import Model


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, blobs: Callable[..., np.ndarray]) -> Path:
    """Spots in spots/, two of them noise in odd/, masks of some in masks/, and a trained coder.hubel."""
    home = tmp_path_factory.mktemp("autoencode")
    images = blobs(80)
    for name in ("spots", "odd", "masks"):
        (home / name).mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(home / "spots" / f"s{i:02}.png")
        if i < 10:
            Image.fromarray((image[..., 0] > 100).astype(np.uint8) * 255).save(home / "masks" / f"s{i:02}.png")
    noise = np.random.default_rng(0).integers(0, 256, (2, 16, 16), dtype=np.uint8)
    for i, image in enumerate([*noise, *blobs(8, seed=5)[..., 0]]):
        Image.fromarray(image).save(home / "odd" / f"o{i}.png")
    assert run(["autoencode", "train", str(home / "spots"), "-o", str(home / "coder.hubel"), "--size", "16", "--epochs", "20",
                "--latents", "8", "--quiet"]) == 0
    return home


def test_train_writes_a_model_like_any_other_and_a_picture(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (files / "coder.png").stat().st_size > 10_000 and not (files / "coder.hubel.training").exists()
    assert autoencode.load(files / "coder.hubel").shape == (1, 16, 16)
    assert run(["info", str(files / "coder.hubel")]) == 0
    assert "256 -> 8 numbers" in capsys.readouterr().out
    assert run(["look", str(files / "coder.hubel"), "-o", str(files / "look"), "--layer", "encoder.0.2", "--unit", "1"]) == 0
    assert (files / "look" / "index.html").exists()


def test_reconstruct_and_walk(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["autoencode", "reconstruct", str(files / "coder.hubel"), str(files / "spots"), "-o", str(files / "back"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["images"] == 80 and facts["psnr"] > 15
    coder = autoencode.load(files / "coder.hubel")
    image = np.asarray(Image.open(files / "spots" / "s03.png"))
    np.testing.assert_array_equal(np.asarray(Image.open(files / "back" / "s03.png")), coder.reconstruct(image[None, ..., None])[0, ..., 0])
    for more in ([], ["--along", "2"]):
        assert run(["autoencode", "walk", str(files / "coder.hubel"), str(files / "spots"), "-o", str(files / "walk.png"), *more]) == 0
    assert (files / "walk.png").exists()


def test_anomalies_are_listed_first(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for model in ([], ["--model", str(files / "coder.hubel")]):
        assert run(["autoencode", "anomalies", str(files / "spots"), str(files / "odd"), *model, "-o", str(files / "strange.png"), "--json"]) == 0
        facts = json.loads(capsys.readouterr().out)
        assert {line["name"] for line in facts["ranked"][:2]} == {"o0.png", "o1.png"} and facts["images"] == 10
        assert facts["by"] == ("reconstruction" if model else "gradients")
    assert (files / "strange.png").exists()


def test_segment_by_clusters_and_by_masks(files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubel.autoencode.segment.STEPS", 80)
    coder, spots = str(files / "coder.hubel"), str(files / "spots")
    assert run(["autoencode", "segment", coder, spots, "--clusters", "2", "-o", str(files / "clusters")]) == 0
    assert set(np.unique(np.asarray(Image.open(files / "clusters" / "s01.png")))) <= {0, 1}
    net = str(files / "net.hubel")
    assert run(["autoencode", "segment", coder, spots, "--masks", str(files / "masks"), "--save", net, "-o", str(files / "found")]) == 0
    assert Model.load(net).classes == ("level 0", "level 255")
    assert run(["autoencode", "segment", net, spots, "-o", str(files / "again")]) == 0
    found, again = (np.asarray(Image.open(files / name / "s50.png")) for name in ("found", "again"))
    np.testing.assert_array_equal(found, again)
    true = np.asarray(Image.open(files / "spots" / "s50.png")) > 100
    assert autoencode.iou(found, true, 2)[1] > 0.5  # an image without a mask


def test_synthesise_and_features(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coder = str(files / "coder.hubel")
    assert run(["autoencode", "synthesise", coder, "--like", str(files / "spots"), "--count", "6", "-o", str(files / "new.png")]) == 0
    assert (files / "new.png").exists()
    made = autoencode.build("convolutional", 8, 1, 6, width=8)
    made.fit(np.zeros((20, 8, 8, 1), np.uint8), epochs=1, verbose=0)
    made.save(files / "digits.hubel")
    capsys.readouterr()
    assert run(["autoencode", "features", str(files / "digits.hubel"), "digits", "--limit", "200", "-o", str(files / "f.png"),
                "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)["rows"]] == ["pixels", "HOG, by hand", "untrained encoder", "codes"]


@pytest.mark.parametrize(("words", "said"), [
    (["train", "{spots}", "-o", "{coder}"], "exists"),
    (["train", "{spots}", "-o", "{home}/x.hubel", "--kind", "deep"], "kind 'deep' is unknown"),
    (["synthesise", "{coder}"], "not variational"),
    (["features", "{coder}", "{spots}"], "has no classes"),
    (["segment", "{coder}", "{spots}", "--masks", "{home}/odd"], "holds no PNG that is named"),
    (["reconstruct", "{home}/missing.hubel", "{spots}"], "does not exist"),
    (["anomalies", "{spots}", "{home}/nowhere"], "does not exist"),
    (["wander"], "No such command"),
])
def test_what_cannot_be_is_one_line(files: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    filled = [w.format(spots=files / "spots", coder=files / "coder.hubel", home=files) for w in words]
    assert run(["autoencode", *filled]) == 2
    text = capsys.readouterr().err
    assert said in text and text.count("\n") == 1


@pytest.mark.parametrize("command", ["predict", "evaluate", "explain", "attack"])
def test_classifiers_commands_say_that_it_is_none(files: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    coder, spots = str(files / "coder.hubel"), str(files / "spots")
    words = [spots, "--model", coder] if command in ("predict", "evaluate") else [coder, spots]
    assert run([command, *words]) == 2
    text = capsys.readouterr().err
    assert "tells no classes apart" in text and text.count("\n") == 1


def test_help_has_examples_and_nothing_asked_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--help"]):
        assert run(["autoencode", *words]) == 0
        assert "anomalies" in capsys.readouterr().out
    assert run(["autoencode", "train", "--help"]) == 0
    assert "Examples" in capsys.readouterr().out
