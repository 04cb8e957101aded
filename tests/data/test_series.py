"""Recordings and series as data sets: labels from names and folders, speakers held out, lengths, rates, damage."""

import numpy as np
import pytest
import torch

from hubel.data import load, read_sound, resample, write_sound
from hubel.data.series_store import fit_length
from hubel.errors import DataError, InputError

RATE = 8000


def tone(pitch, count=800):
    return 0.5 * np.sin(2 * np.pi * pitch * np.arange(count) / RATE)


@pytest.fixture
def spoken(tmp_path):
    """Two words, three speakers, four takes each, of different lengths."""
    for word, pitch in (("yes", 400), ("no", 900)):
        for k, speaker in enumerate(("ann", "bob", "cem")):
            for take in range(4):
                write_sound(tmp_path / f"{word}_{speaker}_{take}.wav", tone(pitch + 20 * k, 700 + 40 * take), RATE)
    return tmp_path


def test_names_tell_classes_and_speakers_and_one_is_held_out(spoken):
    source = load(spoken)
    assert source.kind == "sound" and source.classes == ("no", "yes") and len(source.train) + len(source.test) == 24
    assert len(source.test) == 8 and set(source.test.groups) == set(source.held_out)
    assert not set(source.train.groups) & set(source.test.groups)
    assert {load(spoken, seed=s).held_out for s in range(20)} == {("ann",), ("bob",), ("cem",)}
    for ds in (source.train, source.test):
        for path, label, group in zip(ds.paths, ds.labels, ds.groups, strict=True):
            assert path.stem.startswith(f"{ds.classes[label]}_{group}_")
    named = load(spoken, hold_out="bob")
    assert set(named.test.groups) == {"bob"} and "bob held out" in named.describe()
    plain = load(spoken, hold_out=False, test_fraction=0.25)
    assert len(plain.test) == 6 and plain.held_out == ()
    with pytest.raises(InputError, match="no 'eve'"):
        load(spoken, hold_out="eve")
    with pytest.raises(InputError, match="nothing to train"):
        load(spoken, hold_out=["ann", "bob", "cem"])


def test_items_arrays_and_batches_are_the_samples(spoken):
    source = load(spoken)
    x, label = source.train[3]
    np.testing.assert_array_equal(x, read_sound(source.train.paths[3])[0])
    assert x.dtype == np.float32 and x.ndim == 1 and label == source.train.labels[3]
    whole = source.train.arrays(760)
    assert whole.shape == (16, 760)
    for row, (item, _) in zip(whole, source.train, strict=True):
        spare = abs(760 - len(item))
        if len(item) <= 760:
            np.testing.assert_array_equal(row[spare // 2 : spare // 2 + len(item)], item)
            assert not row[: spare // 2].any() and not row[spare // 2 + len(item) :].any()
        else:
            np.testing.assert_array_equal(row, item[spare - spare // 2 :][:760])
    batches = list(source.train.batches(5, 760, shuffle=1))
    assert [len(y) for _, y in batches] == [5, 5, 5, 1] and all(b.shape[1:] == (760,) for b, _ in batches)
    again = torch.cat([b for b, _ in source.train.batches(5, 760)])
    np.testing.assert_array_equal(again.numpy(), whole)
    with pytest.raises(InputError, match="differ in length"):
        source.train.arrays()
    with pytest.raises(InputError, match="1 sample"):
        source.train.arrays(0)


def test_the_middle_stays_in_the_middle():
    for have in range(1, 9):
        for want in range(1, 9):
            out = fit_length(np.arange(1, have + 1), want)
            assert len(out) == want
            kept = out[out > 0]
            assert len(kept) == min(have, want)
            lost, gained = (kept[0] - 1, have - kept[-1]), (np.argmax(out > 0), np.argmax(out[::-1] > 0))
            assert abs(lost[0] - lost[1]) <= 1 and abs(int(gained[0]) - int(gained[1])) <= 1


def test_rates_are_brought_to_the_commonest_or_the_one_asked_for(spoken):
    write_sound(spoken / "yes_ann_9.wav", tone(400, 1600), 2 * RATE)
    source = load(spoken, hold_out="bob")
    place = next(i for i, p in enumerate(source.train.paths) if p.name == "yes_ann_9.wav")
    assert source.train.rate == RATE and source.train.sizes[place].tolist() == [800, 1]
    np.testing.assert_allclose(source.train[place][0], resample(tone(400, 1600), 2 * RATE, RATE), atol=1e-3)
    assert load(spoken, rate=4000).train.rate == 4000
    half = source.train.at_rate(4000)
    assert len(half[place][0]) == 400 == half.sizes[place, 0]


def test_joined_sets_keep_groups_and_identity(spoken):
    source = load(spoken)
    both = source.train.concat(source.test)
    assert len(both) == 24 and both.groups == source.train.groups + source.test.groups
    np.testing.assert_array_equal(both[20][0], source.test[4][0])
    np.testing.assert_array_equal(both.arrays(800)[16:], source.test.arrays(800))
    assert both.at_rate(4000).rate == 4000
    rest, part = both.hold_out("ann")
    assert len(rest) == 16 and set(part.groups) == {"ann"}
    prints = {load(spoken).train.fingerprint(), load(spoken).test.fingerprint(), both.fingerprint()}
    assert len(prints) == 3 and load(spoken).train.fingerprint() in prints


def test_bad_files_are_skipped_and_listed(spoken):
    (spoken / "yes_ann_7.wav").write_bytes((spoken / "yes_ann_1.wav").read_bytes()[:300])
    (spoken / "no_ann_7.wav").write_bytes(b"")
    (spoken / "noise.wav").write_bytes((spoken / "yes_ann_1.wav").read_bytes())
    source = load(spoken)
    assert len(source.train) + len(source.test) == 24
    assert sorted(s.path.rsplit("/", 1)[1] for s in source.skipped) == ["no_ann_7.wav", "noise.wav", "yes_ann_7.wav"]
    path = source.train.paths[0]
    path.write_bytes(b"RIFF")
    assert not source.train.arrays(800)[0].any()
    assert [s.path for s in source.train.unreadable] == [str(path)] and len(source.train.readable()) == 15


def test_a_folder_per_class_and_a_split_of_its_own(tmp_path):
    for part, count in (("train", 3), ("test", 2)):
        for word in ("a", "b"):
            (tmp_path / part / word).mkdir(parents=True)
            for i in range(count):
                write_sound(tmp_path / part / word / f"h{i}_nohash_0.wav", tone(300 + i), RATE)
    source = load(tmp_path)
    assert source.own_split and (len(source.train), len(source.test), source.train.groups[:3]) == (6, 4, ("h0", "h1", "h2"))
    assert [(leak.test_index, leak.train_index) for leak in source.with_leaks().leaks][:2] == [(0, 0), (1, 1)]


def test_folders_that_cannot_be_used_say_why(tmp_path):
    write_sound(tmp_path / "one.wav", tone(300), RATE)
    with pytest.raises(DataError, match="CLASS_SPEAKER_TAKE"):
        load(tmp_path)
    write_sound(tmp_path / "a_1.wav", tone(300), RATE)
    with pytest.raises(DataError, match="one class"):
        load(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="none of its sound files"):
        load(tmp_path)


def test_arrays_of_series_and_sound(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 30, 2)), np.arange(40) % 4
    source = load((x, y), kind="series")
    assert source.kind == "series" and source.train[0][0].shape == (30, 2) and source.train.channels_hint() == 2
    assert source.train.arrays().shape == (32, 30, 2)
    (batch, _), *_ = source.train.batches(8)
    np.testing.assert_array_equal(batch.numpy(), source.train.arrays()[:8].transpose(0, 2, 1))
    tensors = load((torch.from_numpy(x).permute(0, 2, 1), y), kind="series")
    np.testing.assert_array_equal(tensors.train.arrays(), source.train.arrays())
    assert load((x[..., 0], y)).kind == "series"  # rows of numbers are no images
    np.savez(tmp_path / "s.npz", x=np.tanh(x[..., 0]), y=y, rate=RATE)
    sound = load(tmp_path / "s.npz")
    assert sound.kind == "sound" and sound.train.rate == RATE and sound.train[0][0].shape == (30,)
    ragged = load(([row[: 10 + i % 7] for i, row in enumerate(x)], y), kind="series")
    assert ragged.train.arrays(12).shape == (32, 12, 2)
    for bad, options, word in (((x, y), {"kind": "sound"}, "needs rate"), ((x * np.nan, y), {"kind": "series"}, "NaN"),
                               ((x[..., 0] * 99, y), {"rate": 8000}, "-1..1"), ((x, y), {"kind": "smell"}, "kind"),
                               ((x[..., 0], y), {"rate": 0}, "rate=0"), (([], []), {"kind": "series"}, "no series")):
        with pytest.raises((DataError, InputError), match=word):
            load(bad, **options)


def test_flac_folders_need_soundfile_or_say_so(tmp_path, monkeypatch):
    soundfile = pytest.importorskip("soundfile")
    for word in ("yes", "no"):
        for take in range(3):
            soundfile.write(tmp_path / f"{word}_{take}.flac", tone(300 + take), RATE)
    source = load(tmp_path)
    assert (len(source.train), len(source.test)) == (4, 2) and source.train.groups is None
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with pytest.raises(DataError, match=r"hubel\[sound\]"):
        load(tmp_path)
