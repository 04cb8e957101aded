"""A finished study: its facts, its report, and the model and data it is about, opened when they are wanted.

    s = hubel.study.load("hubel-study-digits")
    x, y = s.sample(64)
"""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hubel.errors import DataError

_NAME = re.compile(r"[^\w.-]+")


def default_folder(name: str) -> Path:
    return Path("hubel-study-" + (_NAME.sub("-", name).strip("-.") or "data"))


@dataclass(frozen=True)
class Study:
    """`facts` is what report.json holds."""

    folder: Path
    facts: dict[str, Any]

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @cached_property
    def source(self) -> Any:
        """The data, loaded and split as they were. DataError if they have changed since, or were arrays."""
        from hubel import data
        from hubel.study.stages.data import fingerprint

        name = self.facts["study"]["source"]
        if name is None:
            raise DataError("this study was made on arrays, which only the program that made it has: give it their Source")
        source = data.load(name, seed=self.facts["study"]["seed"])
        if fingerprint(source) != self.facts["data"]["fingerprint"]:
            raise DataError(f"{name} has changed since this study was made: run it again")
        return source

    @cached_property
    def model(self) -> Any:
        from hubel.study.opening import open_model

        return open_model(self.facts["model"]["file"])

    @cached_property
    def subject(self) -> Any:
        from hubel.study.subject import Subject

        return Subject(self.model, self.source, self.facts["study"]["seed"])

    def sample(self, count: int) -> Any:
        """`count` test images as the study's stages drew them: x (N, C, H, W) in 0..1 at the model's size, y int64 (N,)."""
        return self.subject.sample(count)

    def images(self, indices: Sequence[int]) -> Any:
        """The test images at these places, as `sample` gives them."""
        return self.subject.images(indices)

    def test(self, count: int) -> Any:
        """`count` test images, the same as `sample`'s, as a Dataset."""
        return self.subject.draw(count)

    def examples(self, side: int = 96) -> Any:
        """A PIL image: one training image of each class, side by side, as the report shows them."""
        from PIL import Image

        from hubel.study.stages.data import examples

        found = examples(self.source.train, self.facts["study"]["seed"])
        across = min(10, len(found))
        sheet = Image.new("RGB", (across * side, -(-len(found) // across) * side), "white")
        for i, (pixels, _) in enumerate(found):
            image = Image.fromarray(pixels.squeeze())
            way = Image.Resampling.NEAREST if max(image.size) <= 64 else Image.Resampling.LANCZOS
            sheet.paste(image.resize((side, side), way), (i % across * side, i // across * side))
        return sheet

    def to_dict(self) -> dict[str, Any]:
        return self.facts

    def _repr_html_(self) -> str:
        """The whole report, framed, for notebooks."""
        page = html.escape(self.report.read_text("utf-8"), quote=True)
        return f'<iframe srcdoc="{page}" style="width:100%;height:800px;border:0"></iframe>'


def load(folder: str | os.PathLike[str]) -> Study:
    """Open the study in `folder`. Raises DataError if there is none."""
    path = Path(folder)
    try:
        facts = json.loads((path / "report.json").read_text("utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path} holds no finished study (no report.json): run 'hubel study DATA --out {path}'") from error
    except ValueError as error:
        raise DataError(f"{path / 'report.json'} is damaged: run the study again") from error
    return Study(path, facts)
