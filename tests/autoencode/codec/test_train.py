"""Training: it begins with a codec that works, goes on after an interruption, and learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hubel.autoencode.codec import train
from hubel.autoencode.codec.network import cost
from hubel.autoencode.codec.photos import Photographs
from hubel.training import checkpoint


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    draws = np.random.default_rng(0)
    for k in range(42):
        folder = tmp_path / "data" / ("caltech101/cat" if k % 2 else "scenes15/coast")
        folder.mkdir(parents=True, exist_ok=True)
        noise = draws.normal(0, 1, (6, 7, 3)) if k % 2 else np.repeat(draws.normal(0, 1, (6, 7, 1)), 3, axis=2)
        image = Image.fromarray((128 + 60 * noise).clip(0, 255).astype(np.uint8)).resize((230, 200), Image.Resampling.BICUBIC)
        image.save(folder / f"{k:02d}.jpg", quality=95)
    monkeypatch.setenv("HUBEL_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(train, "BATCH", 2)
    monkeypatch.setattr(train, "SIDE", 64)
    return tmp_path


def test_photographs_are_split_and_reduced(root: Path) -> None:
    photos, others = Photographs(), Photographs(held_out=True)
    assert len(photos.images) == 40 and len(others.images) == 2
    assert all(160 <= min(i.shape[:2]) <= 200 for i in photos.images)
    assert 15 < len(photos.coloured().images) < 25
    patches = photos.patches(3, 64, np.random.default_rng(0))
    assert patches.shape == (3, 3, 64, 64) and 10 < patches.std() < 128


def test_it_begins_as_a_cosine_transform(root: Path) -> None:
    """Before any step: fine quantising gives nearly the picture, the error is that of a uniform quantiser or less."""
    photos = Photographs()
    network = train.beginning(photos)
    pixels = photos.patches(2, 160, np.random.default_rng(1))
    with torch.no_grad():
        fine, coarse = (network(pixels, torch.full((2, 1, 1, 1), width)) for width in (8.0, 100.0))
    assert (fine.pixels - pixels).square().mean() < 8.0**2 / 6 < (coarse.pixels - pixels).square().mean()
    assert (fine.bits > coarse.bits).all()


def test_a_run_goes_on_where_it_was(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    path = root / "run.safetensors"

    def run(*words: str) -> None:
        monkeypatch.setattr("sys.argv", ["train", "--run", str(path), *words])
        train.main()

    run("--steps", "3", "--seconds", "0")
    assert checkpoint.read(path)[1]["step"] == 1
    before = checkpoint.read(path)[0]
    run("--steps", "3")
    after, meta = checkpoint.read(path)
    assert meta["step"] == 3 and "held out" in capsys.readouterr().out
    kernel = "network.context.high.0.known.conv.weight"
    assert not torch.equal(before[kernel], after[kernel])
    torch.testing.assert_close(after["network.analysis.linear"], before["network.analysis.linear"])  # not yet its turn


def test_a_few_steps_lower_the_cost(root: Path) -> None:
    photos = Photographs()
    torch.manual_seed(0)
    network = train.beginning(photos)
    pixels, width = photos.patches(2, 96, np.random.default_rng(3)), torch.tensor([30.0, 90.0]).view(-1, 1, 1, 1)
    groups = train.optimisers(network)
    costs = []
    for _ in range(6):
        value = cost(network(pixels, width), pixels, width).mean()
        for optimiser in groups:
            optimiser.zero_grad(set_to_none=True)
        value.backward()
        for optimiser in groups:
            optimiser.step()
        costs.append(value.item())
    assert costs[-1] < costs[0]
