"""The command line: exit codes, one line for what the user can mend, JSON that programs can read, a quick --help."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hubel import Model, __version__, nets
from hubel.cli import names, run, usage


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "tiny.hubel"
    Model(nets.default(3, 1, (12, 12), seed=0), ["a", "b", "c"], size=12, channels=1).save(path)
    return str(path)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """a/ b/ c/ with 6 images each, of one brightness a class, so that anything can tell them apart."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for k, name in enumerate("abc"):
        (root / name).mkdir()
        for i in range(6):
            pixels = rng.integers(0, 40, (14, 10), dtype=np.uint8) + np.uint8(90 * k)
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


def fails(capsys: pytest.CaptureFixture[str], *words: str, code: int = 2) -> str:
    assert run(words) == code
    captured = capsys.readouterr()
    assert captured.err.startswith("hubel: ") and captured.err.count("\n") == 1, captured.err
    assert "Traceback" not in captured.err
    return captured.err


def test_help_lists_every_command_and_imports_nothing_heavy() -> None:
    code = ("import sys; from hubel.cli import run; run(['--help']); "
            "print([m for m in ('torch', 'numpy', 'typer') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.endswith("[]\n") and "study" in done.stdout
    for name in ("study", "train", "evaluate", "predict", "info"):
        assert f"\n  {name}" in usage()


@pytest.mark.parametrize("name", names())
def test_every_command_has_help_with_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    assert f"hubel {name}" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0 and capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize(("words", "says"), [
    (["stdy"], "did you mean 'study'"), (["study", "--minutes", "x"], "--minutes"),
    (["study", "--minutes", "-1"], "minutes=-1"),
    (["study", "--seed", "-2"], "seed=-2"), (["study", "--nope"], "--nope"), (["info"], "model"), (["predict"], "files"),
    (["info", "missing.hubel"], "does not exist"), (["study", "missing-folder"], "does not exist"),
    (["train", "digits", "-o", "no/such/folder/m.hubel"], "no folder"), (["train", "digits", "--epochs", "0"], "epochs=0"),
    (["evaluate", "digits"], "model"), (["predict", "x.png", "--model", "missing.hubel"], "missing.hubel"),
])
def test_bad_words(words: list[str], says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path,
                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert says in fails(capsys, *words)


def test_bad_data(capsys: pytest.CaptureFixture[str], tmp_path: Path, images: Path) -> None:
    (tmp_path / "empty").mkdir()
    fails(capsys, "study", str(tmp_path / "empty"), "--out", str(tmp_path / "o"))
    one = tmp_path / "one"
    (one / "only").mkdir(parents=True)
    for i in range(4):
        Image.new("L", (9, 9), 60 * i).save(one / "only" / f"{i}.png")
    assert "class" in fails(capsys, "study", str(one), "--out", str(tmp_path / "o"))
    broken = tmp_path / "broken"
    for name in "ab":
        (broken / name).mkdir(parents=True)
        for i in range(3):
            (broken / name / f"{i}.jpg").write_bytes(b"\xff\xd8\xff" + bytes(50))
    fails(capsys, "train", str(broken), "-o", str(tmp_path / "m.hubel"))
    (tmp_path / "file").write_text("")
    assert "is a file" in fails(capsys, "study", str(images), "--out", str(tmp_path / "file"))


def test_bad_models(capsys: pytest.CaptureFixture[str], tmp_path: Path, model: str) -> None:
    (tmp_path / "text.hubel").write_text("no model")
    fails(capsys, "info", str(tmp_path / "text.hubel"))
    assert "did you mean" in fails(capsys, "info", str(Path(model).parent))
    torch.save({"weights": torch.zeros(2)}, tmp_path / "pickled.pt")
    fails(capsys, "info", str(tmp_path / "pickled.pt"))
    assert "no class" in fails(capsys, "evaluate", "digits", "--model", model)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert "cuda" in fails(capsys, "study", "digits", "--device", "cuda")
    assert "cuda" in fails(capsys, "train", "digits", "--device", "cuda")


def test_predict_answers_every_file_and_names_the_bad_ones(capsys: pytest.CaptureFixture[str], tmp_path: Path, images: Path,
                                                           model: str) -> None:
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    files = [str(images / "a"), str(tmp_path / "bad.png"), str(images / "c/0.png"), str(tmp_path / "missing.png")]
    assert run(["predict", *files, "--model", model, "--json", "--top", "2"]) == 2
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert len(found) == 9 and err.count("hubel: ") == err.count("\n") == 2
    for row in found:
        if "error" in row:
            assert set(row) == {"file", "error"}
            continue
        assert set(row) == {"file", "class", "probability", "top"}
        assert len(row["top"]) == 2 and row["top"][0] == {"class": row["class"], "probability": row["probability"]}
        assert row["probability"] >= row["top"][1]["probability"] >= 0
    expected = Model.load(model).predict(np.asarray(Image.open(images / "c/0.png"))[..., None])[0]
    assert found[7]["class"] == "abc"[int(expected.argmax())]
    assert found[7]["probability"] == pytest.approx(float(expected.max()), abs=1e-4)
    assert run(["predict", str(images / "b/1.png"), "--model", model]) == 0
    assert "1.png" in capsys.readouterr().out


def test_train_evaluate_info(capsys: pytest.CaptureFixture[str], tmp_path: Path, images: Path,
                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["train", str(images), "-o", "m.hubel", "--epochs", "30", "--seed", "4", "-q"]) == 0
    assert "m.hubel: " in capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir()] == ["m.hubel"]  # the checkpoint is gone
    assert "exists" in fails(capsys, "train", str(images), "-o", "m.hubel")
    assert run(["evaluate", str(images), "--model", "m.hubel", "--json", "--mistakes", "wrong"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["seed"] == 4 and err == ""  # the split the model was trained with
    assert found["n"] == 4 and sum(map(sum, found["confusion"])) == 4
    assert len(list((tmp_path / "wrong").iterdir())) == found["n"] - found["correct"]
    assert run(["evaluate", str(images), "--model", "m.hubel", "--seed", "5"]) == 0
    assert "another split" in capsys.readouterr().err
    assert run(["info", "m.hubel", "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["classes"] == ["a", "b", "c"] and about["notes"]["seed"] == 4 and about["parameters"] > 1000
    assert run(["info", "m.hubel"]) == 0


def test_interrupted_is_130(model: str) -> None:
    code = ("import signal, os, sys\nfrom hubel.cli import run\nimport hubel.study.opening as o\n"
            "def stop(*_): os.kill(os.getpid(), signal.SIGINT)\no.open_model = stop\n"
            f"sys.exit(run(['info', {model!r}]))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 130 and done.stderr == "hubel: interrupted\n"


def test_a_closed_pipe_is_no_error(images: Path, model: str) -> None:
    words = f"{sys.executable} -m hubel.cli predict {images} --model {model} --json | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", words], capture_output=True, text=True)
    assert done.returncode in (0, 2) and "Traceback" not in done.stderr
