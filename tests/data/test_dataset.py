"""Dataset: items, parts, arrays and batches; labels stay with their images whatever happens to the files."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from hubel.data import load
from hubel.data.dataset import Dataset
from hubel.data.store import ArrayStore, FileStore
from hubel.errors import DataError, InputError


@pytest.fixture
def files(tmp_path):
    """60 grey PNG files whose grey level is 4 times their number, and whose class is the number's remainder by 3."""
    paths = []
    for i in range(60):
        paths.append(tmp_path / f"{i:02}.png")
        Image.fromarray(np.full((6, 8), 4 * i, np.uint8)).save(paths[-1])
    return Dataset(FileStore(tmp_path, paths, np.full((60, 2), (6, 8))), np.arange(60) % 3, "abc", "files", "image")


def numbers(x):
    return np.asarray(x).reshape(len(x), -1)[:, 0] // 4


def test_items_and_parts(files):
    image, label = files[-1]
    assert image.shape == (6, 8, 1) and image.dtype == np.uint8 and image[0, 0, 0] == 236 and label == 2
    assert isinstance(label, int)
    assert [y for _, y in files][:4] == [0, 1, 2, 0]
    with pytest.raises(IndexError):
        files[60]
    part = files.subset([5, 3, -1]).subset([2, 0])
    assert numbers(part.arrays()).tolist() == [59, 5] and part.labels.tolist() == [2, 2]
    assert [p.name for p in part.paths] == ["59.png", "05.png"]
    assert len(files.subset(files.labels == 1)) == 20 and len(files.subset([])) == 0
    with pytest.raises(InputError, match=r"0\.\.60"):
        files.subset([0, 60])
    with pytest.raises(InputError, match="indices of shape"):
        files.subset([0.5])
    with pytest.raises(ValueError, match="read-only"):
        files.labels[0] = 1


def test_concat_and_split(files):
    memory = Dataset(ArrayStore(np.full((2, 6, 8, 1), 252, np.uint8)), [0, 2], "abc", "memory", "image")
    both = files.subset([7, 1]).concat(memory).concat(files.subset([2]))
    assert numbers(both.arrays()).tolist() == [7, 1, 63, 63, 2] and both.labels.tolist() == [1, 1, 0, 2, 2]
    assert both[3][0][0, 0, 0] == 252 and both.paths is None
    rest, part = files.split(0.25, seed=1)
    assert len(part) == 15 and part.counts.tolist() == [5, 5, 5]
    assert sorted([*numbers(rest.arrays()), *numbers(part.arrays())]) == list(range(60))
    with pytest.raises(InputError, match="different classes"):
        files.concat(Dataset(ArrayStore(np.zeros((1, 6, 8, 1), np.uint8)), [0], "xyz", "other", "image"))


def test_arrays_fit_and_channels(files):
    assert files.arrays().shape == (60, 6, 8, 1)
    assert files.arrays(size=12, channels=3).shape == (60, 12, 12, 3)
    assert files.arrays(size=(3, 3), fit="crop").shape == (60, 3, 3, 1)
    colour = np.random.default_rng(0).integers(0, 256, (5, 7, 9, 3), dtype=np.uint8)
    ds = Dataset(ArrayStore(colour), np.zeros(5, int), ["a"], "colour", "image")
    np.testing.assert_array_equal(ds.arrays(), colour)
    np.testing.assert_allclose(ds.arrays(channels=1)[..., 0], colour @ np.array([0.299, 0.587, 0.114]), atol=0.51)
    assert (ds.channels_hint(), files.channels_hint()) == (3, 1)


def test_hints():
    images = [np.zeros((h, w, 3), np.uint8) for h, w in ((10, 20), (30, 40), (50, 60))]
    ds = Dataset(ArrayStore(images), [0, 0, 0], ["a"], "ragged", "image")
    assert ds.size_hint() == ((30, 40), False)
    assert ds.channels_hint() == 1  # stored as colour, but grey
    with pytest.raises(InputError, match=r"differ in size: say size=\(30, 40\)"):
        ds.arrays()
    assert ds.arrays(16).shape == (3, 16, 16, 1)
    with pytest.raises(DataError, match="0 images"):
        ds.subset([]).size_hint()


def test_batches(files):
    batches = list(files.batches(16, size=6, channels=3))
    assert [len(y) for _, y in batches] == [16, 16, 16, 12]
    x, y = batches[0]
    assert x.dtype == torch.uint8 and y.dtype == torch.int64 and x.shape == (16, 3, 6, 6)
    np.testing.assert_array_equal(torch.cat([x for x, _ in batches]).permute(0, 2, 3, 1), files.arrays(6, 3))
    orders = [np.concatenate([numbers(x) for x, _ in files.batches(7, 6, 1, shuffle=seed, epoch=epoch)])
              for seed, epoch in ((0, 0), (0, 0), (0, 1), (1, 0))]
    np.testing.assert_array_equal(orders[0], orders[1])
    assert all(sorted(order) == list(range(60)) for order in orders)
    assert (orders[0] != orders[2]).any() and (orders[0] != orders[3]).any()
    for x, y in files.batches(7, 6, 1, shuffle=5):
        np.testing.assert_array_equal(numbers(x) % 3, y)
    with pytest.raises(InputError, match="batch_size=0"):
        files.batches(0)


def test_decoding_stays_a_bounded_way_ahead_and_stops_with_its_reader(files):
    asked = []

    def order():
        for start in range(0, 60, 4):
            asked.append(start)
            yield np.arange(start, start + 4)

    stream = files.stream(order(), 6, 1)
    next(stream)
    assert len(asked) < 14
    stream.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("hubel-data")]


def test_files_that_fail_later_never_part_images_from_labels(files):
    whole = files.fingerprint()
    for i in (4, 17, 41):
        files.paths[i].write_bytes(b"overwritten")
    files.paths[30].unlink()
    bad = {4, 17, 30, 41}
    x = files.arrays(channels=1)
    assert x.shape == (60, 6, 8, 1)
    good = np.array([i not in bad for i in range(60)])
    assert numbers(x)[good].tolist() == np.flatnonzero(good).tolist() and (x[~good] == 128).all()
    assert {int(s.path[-6:-4]) for s in files.unreadable} == bad
    seen = 0
    for xb, yb in files.batches(8, 6, 1, shuffle=2):
        np.testing.assert_array_equal(numbers(xb) % 3, yb)
        seen += len(yb)
    assert seen == 56
    kept = files.readable()
    assert len(kept) == 56 and not kept.unreadable and (numbers(kept.arrays(channels=1)) % 3 == kept.labels).all()
    joined = files.concat(files)
    assert len(joined.unreadable) == 8 and len(joined.readable()) == 112
    assert files.fingerprint() != whole
    with pytest.raises(DataError, match=r"04\.png"):
        files[4]


def test_fingerprint_tells_data_apart():
    x = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 1), dtype=np.uint8)
    make = lambda x, y: Dataset(ArrayStore(x), y, "ab", "a", "image").fingerprint()  # noqa: E731
    y = np.array([0, 1, 0, 1, 0, 1])
    changed = x.copy()
    changed[5, 3, 3] ^= 1
    assert make(x, y) == make(x.copy(), y.copy())
    assert len({make(x, y), make(changed, y), make(x, y[::-1]), make(x[::-1], y)}) == 4


def test_wrong_labels_are_refused():
    store = ArrayStore(np.zeros((3, 2, 2, 1), np.uint8))
    with pytest.raises(DataError, match="3 images with 2 labels"):
        Dataset(store, [0, 1], "ab", "a", "image")
    with pytest.raises(DataError, match=r"labels 0\.\.2 with 2 classes"):
        Dataset(store, [0, 1, 2], "ab", "a", "image")


def test_descriptions():
    digits = load("digits")
    text = digits.describe()
    assert "1438 images" in text and "all 8 x 8" in text and "359 images to test on" in text
    facts = digits.to_dict()
    assert sum(facts["train"]["counts"]) == 1438 and facts["test"]["channels"] == 1
