"""A whole study on a few digits: facts, report, going on after kill -9, and the commands under the figures."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from test_study_report import check

from hubel import study
from hubel.errors import DataError, InputError, ModelError
from hubel.study.report import sections

HUBEL = [sys.executable, "-m", "hubel.cli"]
TIMES = {"seconds", "seconds_text", "run"}


def few_digits(path: Path, each: int = 20) -> Path:
    digits = load_digits(n_class=4)
    chosen = np.concatenate([np.flatnonzero(digits.target == k)[:each] for k in range(4)])
    np.savez(path, x=(digits.images[chosen] * (255 / 16)).astype(np.uint8), y=digits.target[chosen])
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with few.npz and a study of it in `out`, made from inside the folder."""
    base = tmp_path_factory.mktemp("study")
    few_digits(base / "few.npz")
    before = Path.cwd()
    os.chdir(base)
    try:
        study.run("few.npz", out="out", progress=None)
    finally:
        os.chdir(before)
    return base


def timeless(facts: Any) -> Any:
    """Facts without what differs between two runs: seconds and the date."""
    if isinstance(facts, dict):
        return {k: timeless(v) for k, v in facts.items() if k not in TIMES}
    return [timeless(v) for v in facts] if isinstance(facts, list) else facts


def test_the_report_holds_all_that_was_promised(folder: Path) -> None:
    facts = json.loads((folder / "out/report.json").read_text())
    assert facts["notes"] == []
    names = {s.name for s in sections(facts, folder / "out")}
    assert names == {"data", "training", "accuracy", "mistakes", "filters", "exciting", "decisions", "robustness", "labels",
                     "limits", "made"}
    page = (folder / "out/report.html").read_text()
    assert check(page).images > 40 and len(page) < 10e6
    assert facts["data"]["train"]["images"] + facts["data"]["test"]["images"] == 80
    e = facts["evaluation"]
    assert e["n"] == 16 == sum(map(sum, e["confusion"])) and e["correct"] == sum(e["confusion"][i][i] for i in range(4))
    assert e["interval"][0] <= e["accuracy"] <= e["interval"][1]
    a = facts["attack"]
    assert a["eps"][0] == 0 and all(x >= y for x, y in zip(a["worst"], a["worst"][1:], strict=False))
    for values in a["noise"].values():
        assert all(n >= w for n, w in zip(values, a["worst"], strict=True))  # noise is never worse than the worst case


def test_the_same_call_again_finds_everything_done(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    before = {p: p.stat().st_mtime_ns for p in Path("out/pictures").iterdir()}
    lines: list[str] = []
    again = study.run("few.npz", out="out", progress=lines.append)
    assert lines == []
    assert {p: p.stat().st_mtime_ns for p in Path("out/pictures").iterdir()} == before
    assert timeless(json.loads(json.dumps(again.facts))) == timeless(json.loads(Path("out/report.json").read_text()))


def test_it_goes_on_after_kill_9_to_the_same_report(folder: Path, tmp_path: Path) -> None:
    few_digits(tmp_path / "few.npz")
    command = [*HUBEL, "study", "few.npz", "--out", "out"]
    for awaited in ("facts/data.json", "facts/evaluation.json"):
        with open(tmp_path / "log", "a") as log:
            process = subprocess.Popen(command, cwd=tmp_path, stderr=log, stdout=log)
            deadline = time.monotonic() + 100
            while not (tmp_path / "out" / awaited).exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.005)
            if awaited == "facts/data.json":
                while not (tmp_path / "out/training.safetensors").exists() and process.poll() is None:
                    time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert not (tmp_path / "out/report.json").exists()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "going on from" not in (tmp_path / "log").read_text().split("training:")[-1]
    here, there = (json.loads((p / "out/report.json").read_text()) for p in (tmp_path, folder))
    assert timeless(here) == timeless(there)
    for picture in (folder / "out/pictures").iterdir():
        assert (tmp_path / "out/pictures" / picture.name).read_bytes() == picture.read_bytes()
    assert "report.html" in done.stdout.splitlines()[-1]


def test_every_command_in_the_report_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib

    matplotlib.use("agg")
    monkeypatch.chdir(folder)
    facts = json.loads(Path("out/report.json").read_text())
    commands = {figure.command for section in sections(facts, Path("out")) for figure in section.figures}
    shells = {c for c in commands if c.startswith("hubel")}
    assert len(commands - shells) >= 7 and len(shells) >= 2
    for command in sorted(commands - shells):
        exec(compile(command, command, "exec"), {})
    pictures = {"examples.png", "filters.png", "exciting.png", "classes.png", "gradcam.png", "gradient.png", "curve.png",
                "labels.png"}
    assert pictures <= {p.name for p in folder.iterdir()}
    from hubel.cli import run

    for command in sorted(shells):
        assert run(shlex.split(command)[1:]) == 0, command


def test_the_command_trains_the_same_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hubel import Model
    from hubel.cli import run

    monkeypatch.chdir(folder)
    assert run(["train", "few.npz", "-o", "same.hubel", "--quiet"]) == 0
    assert Model.load("same.hubel").hash == Model.load("out/model.hubel").hash


def test_a_model_that_is_given_is_studied_not_trained(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    result = study.run("few.npz", model="out/model.hubel", out=tmp_path / "given", minutes=0.5, progress=None)
    assert result.facts["training"] is None and result.facts["model"]["given"]
    assert result.facts["evaluation"]["accuracy"] == study.load("out").facts["evaluation"]["accuracy"]
    assert "loaded from" in result.report.read_text()
    assert 'srcdoc="' in result._repr_html_()


def test_a_stage_that_fails_becomes_a_note(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hubel.study import runner

    def fails(context: Any) -> dict[str, Any]:
        raise InputError("the sky fell")

    monkeypatch.setattr(runner, "LATER", tuple((n, p, fails if n in ("attack", "labels") else s) for n, p, s in runner.LATER))
    result = study.run(str(folder / "few.npz"), model=str(folder / "out/model.hubel"), out=tmp_path / "o", progress=None)
    assert [n["stage"] for n in result.facts["notes"]] == ["robustness", "few labels"]
    page = result.report.read_text()
    check(page)
    assert page.count("the sky fell") == 2 and 'id="robustness"' not in page


@pytest.mark.parametrize(("options", "message"), [
    ({"minutes": 0}, "minutes=0"), ({"seed": -1}, "seed=-1"), ({"device": "tpu"}, "'tpu' is unknown"),
])
def test_bad_options_are_said(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        study.run("digits", out=tmp_path, progress=None, **options)


def test_a_model_with_other_classes_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no class '4'"):
        study.run("digits", model=str(folder / "out/model.hubel"), out=tmp_path, progress=None)


def test_a_folder_without_a_study_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no finished study"):
        study.load(tmp_path)
