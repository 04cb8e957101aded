"""load: every kind of source, and a one-line error for each way it can be wrong."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from hubel.data import load
from hubel.errors import DataError, InputError


def save(path, value=0, size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(path)


def folder(root, classes=("cat", "dog"), count=5, size=(8, 8)):
    for k, name in enumerate(classes):
        for i in range(count):
            save(root / name / f"{i}.png", 20 * k + i, size)
    return root


def both(dataset):
    return {(int(image[0, 0, 0]), dataset.classes[label]) for image, label in dataset}


def test_digits():
    source = load("digits", seed=3)
    assert (source.name, source.kind, len(source.train), len(source.test)) == ("digits", "digit", 1438, 359)
    assert source.classes == tuple("0123456789")
    images, bunch = source.train.concat(source.test).arrays()[..., 0], load_digits()
    key = lambda x, y: sorted((row.tobytes(), int(label)) for row, label in zip(x, y, strict=True))  # noqa: E731
    labels = np.concatenate([source.train.labels, source.test.labels])
    assert key((images / 255 * 16).round().astype(np.uint8), labels) == key(bunch.images.astype(np.uint8), bunch.target)
    assert source.train.fingerprint() == load("digits", seed=3).train.fingerprint()
    assert source.train.fingerprint() != load("digits", seed=4).train.fingerprint()
    json.dumps(source.to_dict())


def test_folder_with_everything_people_leave_in_it(tmp_path):
    root = folder(tmp_path / "animals")
    save(root / "cat" / "deeper" / "still" / "x.JPG", 200)
    save(root / "cat" / ".hidden.png")
    save(root / ".git" / "a.png")
    save(root / "__MACOSX" / "a.png")
    save(root / "loose.png")
    (root / "bird").mkdir()
    for name in ("README.md", "cat/.DS_Store", "cat/Thumbs.db", "cat/notes.txt"):
        (root / name).write_text("not an image")
    (root / "dog" / "broken.jpg").write_bytes(b"\xff\xd8 no")
    (root / "dog" / "empty.png").write_bytes(b"")
    (root / "dog" / "loop").symlink_to(root / "dog")
    source = load(root)
    everything = both(source.train) | both(source.test)
    assert len(source.train) + len(source.test) == 11
    assert everything == {(i, "cat") for i in (0, 1, 2, 3, 4, 200)} | {(20 + i, "dog") for i in range(5)}
    reasons = {s.path.removeprefix(f"{root}/"): s.reason for s in source.skipped}
    assert set(reasons) == {"loose.png", "bird", "dog/broken.jpg", "dog/empty.png"}
    assert "empty" in reasons["dog/empty.png"] and "outside" in reasons["loose.png"]
    assert not source.own_split and source.kind == "image" and source.name == "animals"
    json.dumps(source.to_dict())


def test_labels_stay_with_images_when_many_files_are_bad(tmp_path):
    root = folder(tmp_path, [f"c{k}" for k in range(6)], 12)
    rng, bad = np.random.default_rng(0), 0
    for k in range(6):
        for i in range(12):
            if rng.random() < 0.4 and i > 1:
                (root / f"c{k}" / f"{i}.png").write_bytes(b"x")
                bad += 1
    source = load(root)
    assert len(source.skipped) == bad > 10 and len(source.train) + len(source.test) == 72 - bad
    for part in (source.train, source.test):
        x = part.arrays(4, 1)
        np.testing.assert_array_equal(x[:, 0, 0, 0] // 20, part.labels)


def test_a_class_that_is_unreadable_throughout_is_left_out(tmp_path):
    root = folder(tmp_path, ["a", "b", "c"])
    for path in (root / "b").iterdir():
        path.write_bytes(b"")
    source = load(root)
    assert source.classes == ("a", "c") and len(source.skipped) == 5
    assert {label for _, label in both(source.train)} == {"a", "c"}


@pytest.mark.parametrize(("names", "train", "test"), [(("train", "test"), 10, 10), (("train", "val"), 10, 10),
                                                      (("Training", "Testing"), 10, 10),
                                                      (("train", "test", "val"), 20, 10)])
def test_a_folder_with_its_own_split(tmp_path, names, train, test):
    for name in names:
        folder(tmp_path / name)
    source = load(tmp_path)
    assert source.own_split and (len(source.train), len(source.test)) == (train, test)
    assert names[1] in str(source.test.paths[0]) and source.classes == ("cat", "dog")


def test_test_images_without_classes_leave_validation_for_the_test(tmp_path):
    folder(tmp_path / "train")
    folder(tmp_path / "val", count=3)
    save(tmp_path / "test" / "1.png")
    source = load(tmp_path)
    assert (len(source.train), len(source.test)) == (10, 6)


def test_only_train_is_split_here(tmp_path):
    folder(tmp_path / "train")
    source = load(tmp_path)
    assert not source.own_split and source.classes == ("cat", "dog") and len(source.test) == 2


def test_class_names_and_kinds(tmp_path):
    assert load(folder(tmp_path / "a", [str(k) for k in range(11)], 2)).classes == tuple(str(k) for k in range(11))
    assert load(folder(tmp_path / "b", "0123456789", 2)).kind == "digit"
    assert load(folder(tmp_path / "c", size=(96, 120))).kind == "photo"
    assert load(folder(tmp_path / "d", size=(95, 400))).kind == "image"


def test_limit(tmp_path):
    root = folder(tmp_path, count=20)
    (root / "cat" / "0.png").write_bytes(b"")
    source = load(root, limit=10, seed=1)
    assert 9 <= len(source.train) + len(source.test) <= 10
    digits = load("digits", limit=100)
    assert len(digits.train) + len(digits.test) == 100 and (digits.train.counts > 0).all()
    pair = ((np.zeros((80, 4, 4)), np.arange(80) % 2), (np.zeros((20, 4, 4)), np.arange(20) % 2))
    source = load(pair, limit=10)
    assert (len(source.train), len(source.test)) == (8, 2)
    with pytest.raises(InputError, match="limit=5"):
        load("digits", limit=5)
    with pytest.raises(InputError, match="limit=0"):
        load("digits", limit=0)


# ---- arrays --------------------------------------------------------------------------------------------------------

def test_arrays_of_all_types():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (12, 5, 6, 3), dtype=np.uint8), np.arange(12) % 3
    expected = load((x, y)).train.arrays()
    forms = {"int": x.astype(np.int64), "float": x / 255, "float32": (x / 255).astype(np.float32),
             "torch": torch.from_numpy(x).permute(0, 3, 1, 2), "list": list(x), "strided": np.repeat(x, 2, 0)[::2]}
    for form, value in forms.items():
        source = load((value, y.tolist()))
        np.testing.assert_array_equal(source.train.arrays(), expected, err_msg=form)
        assert source.train.arrays().dtype == np.uint8
    assert load((x[..., 0], y[:, None])).train.arrays().shape == (9, 5, 6, 1)  # 12 - max(round(2.4), 3 classes)
    named = load((x, np.array(["b", "a", "c"])[y]))
    assert named.classes == ("a", "b", "c")
    ints = load((x, np.array([7, 2, 9])[y]))
    assert ints.classes == ("2", "7", "9")
    for image, label in ints.train:
        place = next(i for i in range(12) if (x[i] == image).all())
        assert int(ints.classes[label]) == [7, 2, 9][place % 3]
    ragged = load(([np.zeros((4 + i, 5), np.uint8) for i in range(8)], np.arange(8) % 2))
    assert not ragged.train.size_hint()[1] and ragged.train.arrays(4).shape == (6, 4, 4, 1)
    glass = np.concatenate([x, np.zeros((12, 5, 6, 1), np.uint8)], axis=3)
    assert (load((glass, y)).train.arrays(channels=3) == 255).all()


def test_pairs_with_their_own_split_and_keras_labels():
    x = np.zeros((10, 4, 4), np.uint8)
    source = load(((x, np.arange(10)[:, None] % 5), (x[:4], np.arange(4)[:, None])))
    assert source.own_split and (len(source.train), len(source.test)) == (10, 4)
    with pytest.raises(DataError, match="class '9' occurs in the test set only"):
        load(((x, np.arange(10) % 5), (x[:2], np.array([1, 9]))))


def test_numbers_for_classes_are_not_always_digits():
    y = np.arange(40) % 10
    assert load((np.zeros((40, 28, 28), np.uint8), y)).kind == "digit"
    assert load((np.zeros((40, 32, 32, 3), np.uint8), y)).kind == "image"  # CIFAR, say


X, Y = np.zeros((6, 4, 4), np.uint8), np.arange(6) % 2


@pytest.mark.parametrize(("source", "message"), [
    ((X, Y[:5]), "6 images with 5 labels"),
    ((X, np.zeros(6, int)), "only one class, '0'"),
    ((X[:0], Y[:0]), "0 images"),
    ((X[:3], Y[:3]), "'1' has only 1"),
    ((X + 300.0, Y), r"300\.\.300"),
    ((np.full((6, 4, 4), np.nan), Y), "NaN"),
    ((X.astype(int) - 1, Y), r"-1\.\.-1"),
    ((np.full((6, 4, 4), 200.0), Y), "divide by 255"),
    ((np.zeros((6, 2, 4, 4, 3)), Y), "(6, 2, 4, 4, 3)"),
    ((np.zeros((6, 3, 8, 8)), Y), "transpose"),
    ((np.zeros((6, 0, 4)), Y), "no pixels"),
    ((X, np.eye(6)), "argmax"),
    ((X, Y + 0.5), "whole numbers or names"),
    ((X, np.array([None] * 6)), "object"),
    ((X.astype(str), Y), "not numbers"),
])
def test_wrong_arrays(source, message):
    with pytest.raises(DataError) as error:
        load(source)
    assert message.replace("\\", "") in str(error.value) and "\n" not in str(error.value)


# ---- files of arrays -----------------------------------------------------------------------------------------------

def test_npz(tmp_path):
    x, y = np.arange(6 * 16, dtype=np.uint8).reshape(6, 4, 4), np.arange(6) % 2
    np.savez(tmp_path / "a.npz", x=x, y=y, classes=np.array(["no", "yes"]))
    assert load(tmp_path / "a.npz").classes == ("no", "yes")
    np.savez_compressed(tmp_path / "mnist.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    source = load(str(tmp_path / "mnist.npz"))
    assert source.name == "mnist" and source.own_split
    np.testing.assert_array_equal(source.train.arrays()[..., 0], x)


def test_npz_errors(tmp_path):
    path = tmp_path / "a.npz"
    for content in (b"", b"PK\x03\x04 broken", b"text"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.npz (is not a readable|cannot be read)"):
            load(path)
    np.savez(path, images=np.zeros(3))
    with pytest.raises(DataError, match="holds images: the keys x and y"):
        load(path)
    np.savez(path, x=np.zeros((4, 4, 4)), y=np.array([object()] * 4), allow_pickle=True)
    with pytest.raises(DataError, match="never opened"):
        load(path)
    np.savez(path, x=np.zeros((20, 4, 4)), y=np.arange(20) % 3, classes=np.array(["a", "b"]))
    with pytest.raises(DataError, match=r"0\.\.2 do not fit 2 classes"):
        load(path)
    data = path.read_bytes()
    path.write_bytes(data[:len(data) // 2])
    with pytest.raises(DataError, match="not a readable"):
        load(path)


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
    return header + array.astype(np.uint8).tobytes()


@pytest.mark.parametrize("packed", [False, True])
def test_idx(tmp_path, packed):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (30, 7, 5)), np.arange(30) % 10
    for name, part in (("train", slice(20)), ("t10k", slice(20, 30))):
        for what, array in (("images-idx3", x[part]), ("labels-idx1", y[part])):
            data = idx(array)
            path = tmp_path / f"{name}-{what}-ubyte{'.gz' * packed}"
            path.write_bytes(gzip.compress(data) if packed else data)
    source = load(tmp_path)
    np.testing.assert_array_equal(source.train.arrays()[..., 0], x[:20])
    np.testing.assert_array_equal(source.test.labels, y[20:])
    assert source.kind == "digit" and source.own_split
    broken = tmp_path / f"train-images-idx3-ubyte{'.gz' * packed}"
    whole = broken.read_bytes()
    for content in (b"", whole[:len(whole) // 2], whole[1:], whole[:3]):
        broken.write_bytes(content)
        with pytest.raises(DataError, match="train-images"):
            load(tmp_path)
    (tmp_path / f"train-labels-idx1-ubyte{'.gz' * packed}").unlink()
    with pytest.raises(DataError, match="no labels beside it"):
        load(tmp_path)


def test_idx_lengths_must_agree(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((4, 2, 2))))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(3)))
    with pytest.raises(DataError, match=r"\(4, 2, 2\)"):
        load(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((4, 2, 2))) + b"more")
    with pytest.raises(DataError, match="too long"):
        load(tmp_path)


def test_cifar(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8), np.arange(40) % 10
    records = lambda labels, x: np.concatenate([labels, x.transpose(0, 3, 1, 2).reshape(len(x), -1)], 1)  # noqa: E731
    ten, hundred = tmp_path / "ten", tmp_path / "hundred"
    ten.mkdir()
    hundred.mkdir()
    rows = records(y[:, None].astype(np.uint8), x)
    rows[:10].tofile(ten / "data_batch_2.bin")
    rows[10:30].tofile(ten / "data_batch_10.bin")
    rows[30:].tofile(ten / "test_batch.bin")
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    (ten / "batches.meta.txt").write_text("\n".join(names) + "\n\n")
    source = load(ten)
    np.testing.assert_array_equal(source.train.arrays(), x[:30])
    assert source.classes == tuple(names) and source.kind == "image" and source.test.labels.tolist() == y[30:].tolist()
    records(np.stack([y % 2, y], 1).astype(np.uint8), x).tofile(hundred / "train.bin")
    source = load(hundred)
    assert source.classes == tuple("0123456789") and len(source.test) == 10 and source.kind == "image"
    (ten / "test_batch.bin").write_bytes(b"\0" * 5000)
    with pytest.raises(DataError, match=r"5000 bytes, no multiple of 3073"):
        load(ten)


def test_pickled_cifar_is_refused_with_a_remedy(tmp_path):
    for name in ("batches.meta", "data_batch_1"):
        (tmp_path / name).write_bytes(b"\x80\x02}q")
    with pytest.raises(DataError, match="get the binary one"):
        load(tmp_path)


# ---- what is no source ---------------------------------------------------------------------------------------------

def test_paths_that_are_wrong(tmp_path, monkeypatch):
    folder(tmp_path / "animals")
    monkeypatch.chdir(tmp_path)
    cases = {"animal": r"did you mean 'animals'", "digit": "did you mean 'digits'",
             "animals/x/y": "animals holds cat, dog", str(tmp_path / "animls"): "did you mean", "": "only|holds|class"}
    for path, message in cases.items():
        with pytest.raises(DataError, match=message):
            load(path)
    (tmp_path / "table.csv").write_text("a,b")
    with pytest.raises(DataError, match="unknown format"):
        load("table.csv")
    for source in (3, None, (1, 2, 3), {"x": 1}):
        with pytest.raises(InputError, match="a source of type"):
            load(source)
    for fraction in (0, 1, -0.5, float("nan")):
        with pytest.raises(InputError, match="test_fraction"):
            load("digits", test_fraction=fraction)


def test_folders_that_are_wrong(tmp_path):
    def expect(message, root):
        with pytest.raises(DataError, match=message) as error:
            load(root)
        assert "\n" not in str(error.value)

    expect("is empty", tmp_path)
    (tmp_path / "a").mkdir()
    expect("1 subfolders but no image", tmp_path)
    save(tmp_path / "a" / "1.png")
    expect("only one class, 'a'", tmp_path)
    save(tmp_path / "b" / "1.png")
    save(tmp_path / "a" / "2.png")
    expect("'b' has only 1", tmp_path)
    for path in tmp_path.glob("*/*.png"):
        path.write_bytes(b"no")
    expect("none of its 3 images can be read", tmp_path)
    flat = tmp_path / "flat"
    save(flat / "1.png")
    expect("1 images but no subfolder", flat)
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    (sounds / "1.wav").write_bytes(b"")
    expect("1 sound files but neither", sounds)
    others = tmp_path / "others"
    others.mkdir()
    (others / "1.txt").write_bytes(b"")
    expect(r"1 other files \(\.txt\)", others)


def test_loading_does_not_import_torch():
    code = "import sys, hubel.data; hubel.data.load('digits').train.arrays(); print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
