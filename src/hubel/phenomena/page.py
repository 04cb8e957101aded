"""The page: what was claimed, what was measured, whether it held. Depends on study's report, whose style it shares."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

import hubel
from hubel.phenomena.claim import FAILED, HELD, OPEN
from hubel.study.report import Key, document
from hubel.study.report.section import Figure, Pictures, Section, bullets, count, p, table

if TYPE_CHECKING:
    from hubel.phenomena.batch import Run

ROLES = {HELD: "good", FAILED: "worst", OPEN: "muted"}


def render(run: Run) -> str:
    """The page as HTML: self-contained, pictures included."""
    outcomes = [v["outcome"] for v in run.verdicts]
    seconds = sum(v["seconds"] for v in run.verdicts)
    sizes = sorted({v["size"] for v in run.verdicts}) or ["default"]
    seeds = sorted({v["seed"] for v in run.verdicts}) or [0]
    pictures = Pictures(run.folder)
    headline = [Key("claims held", str(outcomes.count(HELD)), f"of {len(outcomes)} measured", "good"),
                Key("did not hold", str(outcomes.count(FAILED)), "a part was measured on the wrong side", "worst"),
                Key("inconclusive", str(outcomes.count(OPEN)), "an interval lies across its bound"),
                Key("computing time", f"{seconds / 60:.1f} min", "on one core, all claims together")]
    about = Markup("Each claim is an experiment that can fail · {} size · seed {} · {}").format(
        ", ".join(sizes), ", ".join(map(str, seeds)), time.strftime("%Y-%m-%d"))
    real = " with HUBEL_DATA set" if os.environ.get("HUBEL_DATA") else " on built-in data alone"
    command = f"hubel claims{'' if sizes == ['default'] else f' --{sizes[0]}'}"
    return document(brand="Hubel claims", title="What the field says, measured", about=about, headline=headline,
                    sections=[_overview(run), *(_section(v, pictures) for v in run.verdicts)],
                    footer=Markup("Made by Hubel {} with <code>{}</code>{}.").format(hubel.__version__, command, real))


def _overview(run: Run) -> Section:
    lead = p("A claim's needs are bounds on numbers, written in its file before it was first run (where one was changed "
             "afterwards, its file says so). A need is met if the whole 95% interval is on its side of the bound and missed if "
             "the whole interval is on the other side. A claim holds if all its needs are met, and does not hold if one is "
             "missed: for these data and networks, at these sizes.")
    rows = [[Markup('<a href="#{}">{}. {}</a>').format(v["name"], v["number"], v["title"]), _badge(v["outcome"]),
             f"{v['seconds']:.0f} s"] for v in run.verdicts]
    after = table(["claim", "verdict", "time"], rows, numeric=2)
    if run.left_out:
        after += p("Left out, since the time was up: {}.", ", ".join(run.left_out))
    if run.failed:
        after += bullets(f"{name} could not be measured: {message}" for name, message in run.failed)
    return Section("overview", "Verdicts", lead, after=after)


def _section(v: dict[str, Any], pictures: Pictures) -> Section:
    lead = p("<b>{}</b> <span class=\"muted\">{}</span>", v["statement"], v["source"])
    lead += p("{}. {}", _badge(v["outcome"]), v["remark"])
    rows = [[need["about"], need["bound"], need["measured"], _badge(need["outcome"])] for need in v["needs"]]
    seeds = sorted({n["n"] for n in v["numbers"].values() if n["n"] > 1})
    runs = f"Intervals are 95%, over {' or '.join(map(str, seeds))} runs or trials. " if seeds else ""
    size = "" if v["size"] == "default" else f', size="{v["size"]}"'
    command = (f"hubel claims {v['name']}{'' if v['size'] == 'default' else ' --' + v['size']} --seed {v['seed']}\n\n"
               f'verdict = hubel.phenomena.run("{v["name"]}"{size}, seed={v["seed"]})\nverdict.plot()')
    cost = f"{count(max(round(v['seconds']), 1), 'second')} on one core."
    figure = Figure(pictures.image(v.get("picture"), v["title"]), "", runs + cost, command)
    return Section(v["name"], f"{v['number']}. {v['title']}", lead, [figure],
                   table(["what it needs", "bound", "measured (95% interval)", ""], rows, numeric=1))


def _badge(outcome: str) -> Markup:
    return Markup('<b class="{}">{}</b>').format(ROLES[outcome], outcome.capitalize())
