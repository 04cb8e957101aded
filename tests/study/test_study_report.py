"""The report as HTML: well-formed, self-contained, escaped, small, with a command under every figure."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from made_up import made_up_facts

from hubel.study.report import headline, render, sections
from hubel.study.report.charts import Line, heat, lines, spread, ticks
from hubel.study.report.section import bar, eps_text, pct, table

VOID = {"meta", "img", "br", "link", "hr", "input"}


class Checker(HTMLParser):
    """Every tag that is opened is closed in order; collects what the page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.images = 0
        self.figures = 0
        self.commands = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.images += tag == "img"
        self.figures += tag == "figure"
        self.commands += tag == "pre"
        self.ids += [given["id"]] if "id" in given else []
        for name in ("src", "href", "xlink:href", "action", "data", "srcset", "poster"):
            if given.get(name):
                self.links.append(str(given[name]))
        assert tag not in ("link", "iframe", "object", "embed", "base")
        if tag == "img":
            assert given.get("alt") is not None

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"


def check(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    assert not checker.open
    for link in checker.links:
        assert link.startswith(("data:image/", "#")), link[:80]
    assert {link[1:] for link in checker.links if link.startswith("#")} <= set(checker.ids)
    assert len(set(checker.ids)) == len(checker.ids)
    style = re.search(r"<style>(.*?)</style>", page, re.S)
    assert style and "url(" not in style[1] and "@import" not in style[1]
    assert not re.search(r"(?<!xmlns=\")https?://", page)
    return checker


@pytest.mark.parametrize("classes", [10, 15, 60])
def test_the_page_is_whole_and_loads_nothing(tmp_path: Path, classes: int) -> None:
    page = render(made_up_facts(tmp_path, classes), tmp_path)
    checker = check(page)
    assert len(page) < 10e6
    assert checker.images > 100
    assert checker.figures == checker.commands > 8  # a command under each figure
    for svg in re.findall(r"<svg.*?</svg>", page, re.S):
        ElementTree.fromstring(svg)


def test_names_from_folders_are_escaped(tmp_path: Path) -> None:
    facts = made_up_facts(tmp_path, 15)
    page = render(facts, tmp_path)
    assert "class <3> & co" not in page and "class &lt;3&gt; &amp; co" in page
    assert "<b>.jpg" not in page and "failure <b>in" not in page


@pytest.mark.parametrize("missing", ["data", "training", "evaluation", "look", "attack", "kshot", None])
def test_a_stage_that_failed_leaves_the_rest(tmp_path: Path, missing: str | None) -> None:
    facts = made_up_facts(tmp_path)
    whole = {s.name for s in sections(facts, tmp_path)}
    gone = ["evaluation", "look", "attack", "kshot", "training"] if missing is None else [missing]
    if missing == "data":  # without data there is no study
        return
    for name in gone:
        facts[name] = None
    check(render(facts, tmp_path))
    assert {"data", "limits", "made"} <= {s.name for s in sections(facts, tmp_path)} < whole or missing == "training"
    assert all(key.value for key in headline(facts))


def test_the_headline_says_what_the_facts_say(tmp_path: Path) -> None:
    facts = made_up_facts(tmp_path)
    found = {key.name: key.value for key in headline(facts)}
    assert 4 <= len(found) <= 6
    assert found["test accuracy"] == pct(facts["evaluation"]["accuracy"])
    assert found["worst case at ε = 16/255"] == "≤ 55%"
    assert found["noise at ε = 16/255"] == pct(min(v[5] for v in facts["attack"]["noise"].values()), 0)
    assert found["with 10 labels a class"] == "88%"


def test_a_missing_picture_is_left_out(tmp_path: Path) -> None:
    facts = made_up_facts(tmp_path)
    (tmp_path / facts["evaluation"]["mistakes"][0]["picture"]).unlink()
    check(render(facts, tmp_path))


def test_percentages_never_round_to_certainty() -> None:
    assert pct(0.99999) == "99.9%" and pct(1.0) == "100.0%"
    assert pct(0.999, 0) == "99%" and pct(0.0001) == "<0.1%" and pct(0.0) == "0.0%"
    assert pct(float("nan")) == "–"


def test_eps_is_written_in_levels_where_it_is_one() -> None:
    assert [eps_text(e) for e in (0.0, 8 / 255, 0.5 / 255, 0.3)] == ["0", "8/255", "0.5/255", "76.5/255"]
    assert eps_text(0.1234) == "0.123"


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 2.35), (0.42, 1.0), (0, 1e-3), (1, 39), (0, 0), (5, 6)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 1 <= len(found) <= 7
    assert all(low - 1e-9 <= t <= high + 1e-9 for t in found)


def test_labels_at_the_ends_of_lines_do_not_overlap() -> None:
    placed = spread([(100.0, "a", ""), (101.0, "b", ""), (99.0, "c", ""), (200.0, "d", "")], 20, 0, 300)
    ys = [y for y, *_ in placed]
    assert all(b - a >= 19.9 for a, b in itertools.pairwise(ys))
    assert [name for _, name, _ in placed] == ["c", "a", "b", "d"]


def test_a_line_lies_where_its_numbers_say() -> None:
    svg = ElementTree.fromstring(lines([Line("a", [0, 1, 2], [0.0, 0.5, 1.0])], title="t", x_label="x", y_label="y",
                                       x_ticks=[(0, "0"), (2, "2")]))
    points = [tuple(map(float, p.split(","))) for p in svg.find("polyline").attrib["points"].split()]
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2) and y0 - y1 == pytest.approx(y1 - y2, abs=0.2) and y0 > y2


def test_the_heat_map_counts() -> None:
    svg = ElementTree.fromstring(heat([[3, 1], [0, 4]], ["a", "b<"], title="t"))
    assert sorted(t.text for t in svg.findall("text") if t.attrib["class"].startswith("count")) == ["1", "3", "4"]
    assert {r.attrib["class"] for r in svg.findall("rect")} == {"right", "wrong", "none"}


def test_tables_escape_and_bars_stay_inside() -> None:
    assert "<i>" not in table(["a"], [["<i>"]]) and "--share:100.0%" in bar(1.7, "x")
