"""The real data sets, as their makers publish them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from hubel.data import load


def test_mnist(shared_data):
    source = load(shared_data / "mnist")
    assert (len(source.train), len(source.test), source.kind) == (60000, 10000, "digit")
    assert source.train.counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    x = source.train.arrays()
    assert x.shape == (60000, 28, 28, 1) and abs(x.mean() / 255 - 0.1307) < 1e-4  # the well-known mean


def test_scenes(shared_data):
    source = load(shared_data / "scenes15", seed=0)
    assert (len(source.train), len(source.test), source.kind, len(source.classes)) == (1200, 300, "photo", 15)
    assert set(source.test.counts.tolist()) == {20} and not source.skipped
    assert source.train.channels_hint() == 1 and source.train.size_hint() == ((200, 200), True)
    for path, label in zip(source.train.paths[:50], source.train.labels, strict=False):
        assert path.parent.name == source.classes[label]
    assert source.test.arrays(224, 3).shape == (300, 224, 224, 3)


def test_cifar_binary(shared_data, tmp_path):
    subprocess.run([sys.executable, shared_data / "cifar10" / "unpack.py", tmp_path, "--binary"], check=True)
    source = load(tmp_path, test_fraction=0.1)
    assert (len(source.train), len(source.test)) == (22500, 2500) and source.classes[3] == "cat"
    assert source.kind == "image" and source.train.channels_hint() == 3
    assert set(source.test.counts.tolist()) == {250}
    # upright colour images: the sky above is brighter than the ground, and blue outweighs red in pictures of ships
    ships = source.train.subset(source.train.labels == 8).arrays().astype(np.float32)
    assert ships[:, :8].mean() > ships[:, -8:].mean() and ships[..., 2].mean() > ships[..., 0].mean()
