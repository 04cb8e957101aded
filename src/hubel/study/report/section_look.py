"""The report's sections on the inside: learned filters, what excites units and classes, where decisions come from."""

from __future__ import annotations

from markupsafe import Markup

from hubel.study.report import code
from hubel.study.report.charts import Line, lines
from hubel.study.report.section import Facts, Figure, Pictures, Section, count, grid, p, pct


def section_filters(facts: Facts, pictures: Pictures) -> Section | None:
    look = (facts.get("look") or {}).get("filters")
    if look is None:
        return None
    lead = p("The first layer of the network is a bank of {}, each {} pixels, that slide over the image. This is what "
             "they have learned to respond to{}.", count(look["count"], "filter"), look["size_text"],
             ": grey is no weight, light excites, dark inhibits" if look["channels"] == 1 else
             ", drawn as the colours that excite them")
    tiles = [pictures.tile(name, f"{i}", f"filter {i}", small=True) for i, name in enumerate(look["pictures"])]
    figure = Figure(grid(tiles, 56, "bare"), look["finding"], look["detail"], code.filters(facts))
    return Section("filters", "What the first layer looks for", lead, [figure])


def section_exciting(facts: Facts, pictures: Pictures) -> Section | None:
    look = facts.get("look") or {}
    exciting, classes = look.get("exciting"), look.get("classes")
    if exciting is None and classes is None:
        return None
    figures = []
    for layer in (exciting or {}).get("layers", []):
        units = [Markup('<div class="unit" style="--k:{}"><div class="row">{}</div><p>{}</p></div>').format(
            len(unit["pictures"]), Markup("").join(pictures.image(name, "", layer["small"]) for name in unit["pictures"]),
            unit["text"]) for unit in layer["units"]]
        figures.append(Figure(Markup('<div class="units">{}</div>').format(Markup("").join(units)), layer["finding"],
                              layer["detail"], code.exciting(facts, layer["layer"])))
    depth = (exciting or {}).get("depth")
    if depth is not None:
        figures.append(Figure(_depth_chart(depth), depth["finding"], depth["detail"], code.depth(facts)))
    if classes is not None:
        tiles = [pictures.tile(c["picture"], Markup("<b>{}</b><br>{}").format(c["class"], c["text"]), c["class"],
                               classes["small"]) for c in classes["shown"]]
        figures.append(Figure(grid(tiles, 104 if classes["small"] else 150), classes["finding"], classes["detail"],
                              code.classes(facts)))
    lead = p("A unit is known by what excites it. Below are the pieces of {} that excite single units most, cut out to "
             "what the unit can see; {}and then pictures made from noise to excite a whole class.",
             facts["study"]["test_words"], "how far layer after layer separates the classes; " if depth else "")
    return Section("exciting", "What excites it", lead, figures)


def _depth_chart(depth: Facts) -> Markup:
    x = list(range(len(depth["names"])))
    series = [Line("linear probe", x, depth["probe"], "main"), Line("nearest neighbour", x, depth["neighbour"], "second")]
    return lines(series, title="How far each layer separates the classes", x_label="layers, by what their units see",
                 y_label="accuracy", x_ticks=list(zip(x, depth["sees"], strict=True)), rule=(depth["chance"], "chance"))


def section_decisions(facts: Facts, pictures: Pictures) -> Section | None:
    look = (facts.get("look") or {}).get("decisions")
    if look is None:
        return None
    triples = [Markup('<div class="triple"><div class="row">{}</div><p>{}</p></div>').format(
        Markup("").join(pictures.image(name, alt, look["small"]) for name, alt in
                        zip(e["pictures"], ("the image", "Grad-CAM", "input gradient"), strict=True)),
        Markup("<b>{}</b>{}, {} sure").format(e["predicted"], "" if e["predicted"] == e["true"] else
                                             Markup(', in truth <b>{}</b>').format(e["true"]), pct(e["confidence"], 0)))
        for e in look["examples"]]
    lead = p("Two ways of asking where an answer comes from. Grad-CAM weighs the maps of the last convolutional layer by "
             "how much they move the answer: coarse, but it shows the region. The input gradient says which single "
             "pixels move it: fine, but noisy.")
    figure = Figure(Markup('<div class="triples">{}</div>').format(Markup("").join(triples)), look["finding"],
                    look["detail"], code.decisions(facts))
    return Section("decisions", "Where decisions come from", lead, [figure])
