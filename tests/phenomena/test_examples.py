"""Every example runs as a script, headless, on built-in data, at a small size; and its cells are in the percent format."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_an_example_runs_as_a_script(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                     capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("HUBEL_DATA", raising=False)
    monkeypatch.setenv("HUBEL_EXAMPLES_SMALL", "1")
    monkeypatch.chdir(tmp_path)
    plt.switch_backend("Agg")
    try:
        runpy.run_path(str(path), run_name="__main__")
        assert plt.get_fignums() or path.stem == "adversarial_lab"
    finally:
        plt.close("all")
    assert capsys.readouterr().out and not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_an_example_is_a_notebook_in_the_percent_format(path: Path) -> None:
    source = path.read_text("utf-8")
    assert source.startswith("# ---\n# jupyter:") and "formats: ipynb,py:percent" in source
    cells = re.split(r"(?m)^# %%", source)[1:]
    assert len(cells) >= 5 and cells[0].startswith(" [markdown]\n# # ")
    for cell in cells:
        if cell.startswith(" [markdown]"):
            assert all(line.startswith("#") for line in cell.strip().splitlines()[1:]), cell
        else:
            compile(cell.split("\n", 1)[1], path.name, "exec")


def test_there_are_the_six_lessons() -> None:
    assert {path.stem for path in EXAMPLES} >= {"convolutions", "synthetic_network", "mnist", "adversarial_lab", "one_shot",
                                                "autoencoder"}
