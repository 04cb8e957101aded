"""Sound from the command line: trained, described, heard, measured; and one line for what is for images alone."""

import json

import numpy as np
import pytest
from scipy.signal import chirp

from hubel.cli import run
from hubel.data import write_sound


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """Rising and falling tones of three speakers in one folder, and a model trained on them."""
    folder = tmp_path_factory.mktemp("spoken")
    rng = np.random.default_rng(0)
    for word, (first, last) in (("up", (400, 1600)), ("down", (1600, 400))):
        for speaker in ("ann", "bob", "cem"):
            for take in range(8):
                at = np.arange(2400 + 100 * take) / 8000
                sound = 0.4 * chirp(at * rng.uniform(0.9, 1.1), first, 0.35, last) + rng.normal(0, 0.02, len(at))
                write_sound(folder / f"{word}_{speaker}_{take}.wav", sound, 8000)
    model = folder.parent / "spoken.hubel"
    assert run(["train", str(folder), "-o", str(model), "--epochs", "15", "--quiet"]) == 0
    return folder, str(model)


def test_it_is_described_heard_and_measured(spoken, capsys, tmp_path):
    folder, model = spoken
    assert run(["info", model]) == 0
    assert "log-mel spectrogram of 40 bands" in capsys.readouterr().out
    assert run(["predict", str(folder), "--model", model, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 48 and np.mean([row["class"] in row["file"] for row in rows]) > 0.9
    assert run(["predict", str(folder / "up_ann_0.wav"), str(tmp_path / "no.wav"), "--model", model]) == 2
    out = capsys.readouterr()
    assert "up" in out.out and "does not exist" in out.err
    assert run(["evaluate", str(folder), "--model", model, "--json", "--mistakes", str(tmp_path / "wrong")]) == 0
    out = capsys.readouterr()
    found = json.loads(out.out)
    assert found["n"] == 16 and found["accuracy"] > 0.9 and "trained on other data" not in out.err
    assert len(list((tmp_path / "wrong").glob("*.wav"))) == found["n"] - found["correct"]


@pytest.mark.parametrize(("words", "message"), [
    (["study", "FOLDER", "--out", "TMP/study"], "hubel study looks at images"),
    (["evaluate", "digits", "--model", "MODEL"], "takes sound"),
    (["train", "FOLDER", "-o", "TMP/x.hubel", "--harden", "4/255"], "hardening is for images"),
    (["train", "FOLDER", "-o", "TMP/x.hubel", "--recipe", "mnist"], "is for images"),
    (["predict", "TMP", "--model", "MODEL"], "holds no sound"),
    (["study", "digits", "--model", "MODEL", "--out", "TMP/study"], "no class '0'"),
])  # fmt: skip
def test_what_is_for_images_says_so_in_one_line(spoken, words, message, capsys, tmp_path):
    folder, model = spoken
    names = {"FOLDER": str(folder), "MODEL": model}
    code = run([names.get(word, word.replace("TMP", str(tmp_path))) for word in words])
    err = capsys.readouterr().err.strip().split("\n")[-1]
    assert code == 2 and message in err and err.startswith("hubel: ")


def test_series_in_an_npz(capsys, tmp_path):
    y = np.arange(120) % 2
    x = np.random.default_rng(0).normal(0, 0.3, (120, 40)) + np.sin(np.arange(40) * (0.3 + 0.5 * y[:, None]))
    np.savez(tmp_path / "s.npz", x=x, y=y)
    assert run(["train", str(tmp_path / "s.npz"), "-o", str(tmp_path / "s.hubel"), "--epochs", "8", "--quiet"]) == 0
    assert run(["evaluate", str(tmp_path / "s.npz"), "--model", str(tmp_path / "s.hubel"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.split("\n", 1)[1])["accuracy"] > 0.9
    assert run(["predict", str(tmp_path / "s.npz"), "--model", str(tmp_path / "s.hubel")]) == 2
    assert "takes series" in capsys.readouterr().err
