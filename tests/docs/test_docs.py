"""The guide keeps its word: its Python runs, page by page; the commands it names exist, with the options it gives them."""

from __future__ import annotations

import importlib
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hubel
from hubel import nets
from hubel.cli import names

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """(line, text) of a page's blocks in a language. `py` is Python that is only shown: it needs data or minutes."""
    text = page.read_text("utf-8")
    return [(text[: m.start(2)].count("\n"), m[2]) for m in FENCED.finditer(text) if m[1] == language]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the reader stands after the first steps: with digits.hubel, less trained than theirs."""
    folder = tmp_path_factory.mktemp("docs")
    source = hubel.load("digits")
    model = hubel.Model(nets.default(10, 1, (8, 8), seed=0), source.train.classes, size=8, channels=1, mean=0.3, std=0.37)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    model.fit(source.train, epochs=4, batch_size=32, verbose=0, seed=0)
    model.save(folder / "digits.hubel")
    return folder


@pytest.fixture
def there(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    yield
    os.chdir(before)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.stem)
def test_python_runs(page: Path, there: None) -> None:
    pytest.importorskip("skimage")  # whose photographs some pages use
    namespace: dict[str, Any] = {"__name__": page.stem}
    for line, code in blocks(page, "python"):
        exec(compile("\n" * line + code, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "py")], ids=lambda p: p.stem)
def test_python_that_is_only_shown_compiles_and_names_what_is_there(page: Path) -> None:
    for line, code in blocks(page, "py"):
        compile("\n" * line + code, str(page), "exec")
        for room, name in re.findall(r"\b(?:hubel\.)?(\w+)\.(\w+)\(", code):
            if room in dir(hubel):
                assert hasattr(importlib.import_module(f"hubel.{room}"), name), f"{page.name}: {room}.{name}"


def commands() -> list[tuple[str, list[str]]]:
    found = []
    for page in PAGES:
        for _, text in blocks(page, "sh"):
            for line in text.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                words = words[next((i for i, w in enumerate(words) if "=" not in w), 0) :]  # HUBEL_TOKEN=... hubel serve
                if words and words[0] == "hubel":
                    found.append((f"{page.stem}: {line}", words[1:]))
    return found


@pytest.mark.parametrize(("where", "words"), commands(), ids=lambda v: v if isinstance(v, str) else "")
def test_commands_parse(where: str, words: list[str]) -> None:
    import typer

    name = words[0].replace("-", "_")
    assert name in names(), where
    found = getattr(importlib.import_module(f"hubel.commands.{name}"), name)
    app, rest = found, words[1:]
    if not isinstance(found, typer.Typer):  # those of `hubel autoencode` have commands of their own
        app = typer.Typer(add_completion=False)
        app.command()(found)
    command: Any = typer.main.get_command(app)
    if app is found:
        command, rest = command.commands[rest[0]], rest[1:]
    command.make_context(name, rest)  # raises for unknown options, missing and bad values


def test_every_command_is_in_the_guide() -> None:
    named = {words[0] for _, words in commands()}
    assert not set(names()) - {n.replace("-", "_") for n in named}


def test_pictures_are_there_and_small() -> None:
    wanted = {name for p in PAGES for name in re.findall(r"\]\((?:\.\./)?pictures/([\w.-]+)\)", p.read_text("utf-8"))}
    there = {p.name: p.stat().st_size for p in (DOCS / "pictures").iterdir()}
    assert wanted == set(there)
    assert max(there.values()) < 250_000 and sum(there.values()) < 2_500_000


@pytest.mark.slow
def test_the_guide_builds_strictly_and_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    build(load_config(str(DOCS.parent / "mkdocs.yml"), site_dir=str(tmp_path)))
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        for link in re.findall(r'<(?:script|img|iframe)[^>]*\ssrc="([^"]+)"|<link[^>]*rel="(?:stylesheet|preconnect|icon)"[^>]*href="([^"]+)"',
                               page.read_text("utf-8")):
            assert not re.match(r"(https?:)?//", "".join(link)), f"{page}: {link}"
