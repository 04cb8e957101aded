"""The report's section on few labels: accuracy against the number of labelled images per class."""

from __future__ import annotations

import math

from hubel.study.report import code
from hubel.study.report.charts import Line, lines
from hubel.study.report.section import Facts, Figure, Pictures, Section, count, p, pct

_ROLES = ("main", "second", "muted")


def section_kshot(facts: Facts, pictures: Pictures) -> Section | None:
    k = facts.get("kshot")
    if k is None:
        return None
    lead = p("Labels are the expensive part. Here a simple classifier is trained on 1, 2, 5, 10 and all labelled images "
             "of each class: on the raw pixels, on histograms of oriented gradients (HOG), and on the features of a "
             "network that has learned from other pictures. It is tested on {}.", count(k["test"], "test image"))
    series = [Line(c["name"], [math.log(s) for s in c["shots"]], c["mean"], _ROLES[i % 3], c["low"], c["high"],
                   dashed=c["name"] == "pixels") for i, c in enumerate(k["curves"])]
    shots = sorted({s for c in k["curves"] for s in c["shots"]})
    names = {s: f"{s:g}" for s in shots}
    if k["all"] in names:
        names[k["all"]] = f"all ({k['all']:g})"
    spaced: list[tuple[float, str]] = []
    for s in sorted(names, reverse=True):
        if not spaced or spaced[-1][0] - math.log(s) > 0.1 * (math.log(shots[-1]) - math.log(shots[0]) or 1):
            spaced.append((math.log(s), names[s]))
    chart = lines(series, title="Accuracy against labels per class", x_label="labelled images per class (log scale)",
                  y_label="accuracy", x_ticks=spaced[::-1], rule=(k["chance"], "chance"))
    return Section("labels", "How few labels would have been enough", lead,
                   [Figure(chart, _finding(facts), k["detail"], code.kshot(facts))])


def _finding(facts: Facts) -> str:
    k = facts["kshot"]
    best = max(k["curves"], key=lambda c: c["mean"][0])
    text = f"One label per class gives {pct(best['mean'][0], 0)} on {best['name']}"
    ten = next((i for i, s in enumerate(best["shots"]) if s == 10), None)
    if ten is not None:
        text += f", ten give {pct(best['mean'][ten], 0)}"
    accuracy = (facts.get("evaluation") or {}).get("accuracy")
    if accuracy is None:
        return text + "."
    return f"{text}; the model of this study, with all of them, has {pct(accuracy, 0)}."
