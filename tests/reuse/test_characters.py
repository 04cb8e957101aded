"""Omniglot's files and protocol on made-up zips; the redrawing and the embedding of characters."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hubel.errors import DataError
from hubel.reuse import characters, omniglot
from hubel.training.augment import Compose, Draws


def png(ink: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(ink == 0).save(buffer, "PNG")
    return buffer.getvalue()


def drawing(seed: int) -> np.ndarray:
    ink = np.zeros((105, 105), np.uint8)
    y, x = np.random.default_rng(seed).integers(10, 90, 2)
    ink[y : y + 6, 10:90] = 255
    ink[10:90, x : x + 6] = 255
    return ink


def test_background_and_runs_are_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bg.zip", "w") as archive:
        for a, alphabet in enumerate(("Greek", "Latin")):
            for c in range(2):
                for d in range(3):
                    archive.writestr(f"images_background/{alphabet}/character0{c + 1}/{a}{c}_{d}.png", png(drawing(a * 2 + c)))
    found = omniglot.read_background(tmp_path / "bg.zip")
    assert found.images.shape == (12, 105, 105) and found.names == ("Greek", "Latin")
    assert found.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3 and found.alphabets.tolist() == [0] * 6 + [1] * 6
    assert (found.images[7] == drawing(2)).all()
    assert found.of(found.alphabets == 1).labels.tolist() == [0] * 3 + [1] * 3
    with zipfile.ZipFile(tmp_path / "runs.zip", "w") as archive:
        lines = []
        for i in range(3):
            archive.writestr(f"run01/training/class0{i + 1}.png", png(drawing(i)))
            archive.writestr(f"run01/test/item0{i + 1}.png", png(drawing(2 - i)))
            lines.append(f"run01/test/item0{i + 1}.png run01/training/class0{3 - i}.png")
        archive.writestr("run01/class_labels.txt", "\n".join(lines))
    (run,) = omniglot.read_runs(tmp_path / "runs.zip")
    assert run.truth.tolist() == [2, 1, 0] and all((run.train[t] == q).all() for t, q in zip(run.truth, run.test, strict=True))
    with pytest.raises(DataError, match="class_labels"):
        omniglot.read_runs(tmp_path / "bg.zip")
    with pytest.raises(DataError, match="does not exist"):
        omniglot.read_runs(tmp_path / "no.zip")


def test_eight_positions_are_eight_classes() -> None:
    images = np.stack([characters.shrink(drawing(i)[None])[0] for i in range(3)])
    x, y = characters.eightfold(images, np.arange(3))
    assert x.shape == (24, 1, 40, 40) and y.tolist() == list(range(24))
    assert (x[3, 0].numpy() == np.rot90(images[0])).all()
    assert (x[12, 0].numpy() == images[0][:, ::-1]).all()


def test_redrawing_is_the_identity_at_no_strength_and_repeatable() -> None:
    x = torch.from_numpy(characters.shrink(np.stack([drawing(i) for i in range(4)]))).float()[:, None] / 255
    none = characters.Redraw(0, 0, 0, 0, 0)
    plan = none.plan(Draws(0, 0, np.arange(4)), tuple(x.shape))
    torch.testing.assert_close(none.apply(x, (plan[0], torch.ones(4))), x, atol=1e-5, rtol=0)
    once, again = (Compose(characters.Redraw())(x, torch.zeros(4), Draws(0, 1, np.arange(4)))[0] for _ in range(2))
    assert torch.equal(once, again) and not torch.allclose(once, x)
    assert 0.3 < float(once.sum() / x.sum()) < 2.5


def test_the_same_drawing_is_most_alike() -> None:
    torch.manual_seed(0)
    model = characters.Model(characters.network(10), size=characters.SIDE, channels=1)
    run = omniglot.Run(np.stack([drawing(i) for i in range(5)]), np.stack([drawing(i) for i in (3, 0, 4)]), np.array([3, 0, 4]))
    assert characters.one_shot(model, run) == 1
    assert characters.similarities(model, run).shape == (3, 5)


@pytest.mark.slow
def test_learning_from_the_background_beats_pixels() -> None:
    root = Path(os.environ.get("HUBEL_DATA", "")) / "omniglot"
    if not (root / "all_runs.zip").exists():
        pytest.skip("HUBEL_DATA holds no omniglot")
    background = omniglot.read_background(next(iter(sorted(root.glob("images_background*.zip")))))
    model = characters.train_characters(background, epochs=1, verbose=0)
    runs = omniglot.read_runs(root / "all_runs.zip")
    assert np.mean([characters.one_shot(model, run) for run in runs]) > 0.5  # pixels: 0.217
