"""The report's section on the data: counts, splits, examples, leakage between the splits, files that were skipped."""

from __future__ import annotations

from markupsafe import Markup

from hubel.study.report import code
from hubel.study.report.section import Facts, Figure, Pictures, Section, count, grid, p, table

_SHOWN = 12


def section_data(facts: Facts, pictures: Pictures) -> Section | None:
    data = facts.get("data")
    if data is None:
        return None
    train, test = data["train"], data["test"]
    lead = p("{} of {} in {}: {} to learn from and {} held back for testing{}. {}",
             count(train["images"] + test["images"], "image"), data["size_text"], count(len(data["classes"]), "class",
             "classes"), f"{train['images']:,}", f"{test['images']:,}", _how_split(data), _balance(data))
    figure = Figure(
        grid([pictures.tile(e["picture"], e["class"], small=data["small"]) for e in data["examples"]],
             size=56 if data["small"] else 104),
        _examples_finding(data), "One training image of each class, drawn with the study's seed.", code.examples(facts))
    return Section("data", "The data", lead, [figure], _leaks(facts, pictures) + _skipped(data))


def _how_split(data: Facts) -> str:
    return {"given": ", as the data set's makers split it",
            "stratified": f", a stratified {data['test_share']:.0%} drawn with seed {data['seed']}"}[data["split"]]


def _balance(data: Facts) -> str:
    counts = [a + b for a, b in zip(data["train"]["per_class"], data["test"]["per_class"], strict=True)]
    small, large = min(counts), max(counts)
    if large <= 1.2 * max(small, 1):
        return f"The classes are balanced ({small:,} to {large:,} images each)." if small != large else \
            f"Every class has {small:,} images."
    rare, often = data["classes"][counts.index(small)], data["classes"][counts.index(large)]
    return f"The classes are not balanced: {often} has {large:,} images, {rare} has {small:,}."


def _examples_finding(data: Facts) -> str:
    shown, all_ = len(data["examples"]), len(data["classes"])
    return f"The {all_} classes." if shown == all_ else f"{shown} of the {all_} classes."


def _leaks(facts: Facts, pictures: Pictures) -> Markup:
    leaks = facts["data"].get("leaks")
    title = Markup("<h3>The same picture on both sides</h3>")
    if leaks is None:
        return title + p("Duplicates across the split were not looked for.")
    if not leaks["exact"] and not leaks["near"]:
        return title + p("No test image is an exact or near duplicate of a training image.")
    body = p("{} of the {} test images also stand among the training images ({} exactly, {} nearly the same). On them "
             "a model need only remember, so the test accuracy is somewhat too high.{}", f"{leaks['images']:,}",
             f"{facts['data']['test']['images']:,}", f"{leaks['exact']:,}", f"{leaks['near']:,}",
             _without_leaks(facts))
    pairs = [Markup('<div class="tile">{}<p>{}</p></div>').format(
        Markup('<div class="row2">{}{}</div>').format(pictures.image(pair["pictures"][0], "training image", pair["small"]),
                                                      pictures.image(pair["pictures"][1], "test image", pair["small"])),
        pair["text"]) for pair in leaks["shown"]]
    return title + Markup('<div class="aside">{}</div>').format(body) + (grid(pairs, 150) if pairs else Markup(""))


def _without_leaks(facts: Facts) -> str:
    clean = (facts.get("evaluation") or {}).get("without_leaks")
    return "" if clean is None else f" Without these images it is {clean['accuracy']:.1%} ({clean['n']:,} images)."


def _skipped(data: Facts) -> Markup:
    skipped = data["skipped"]
    title = Markup("<h3>Skipped files</h3>")
    if not skipped:
        return title + p("None: every file could be read.")
    rows = table(["file", "why"], [(s["path"], s["reason"]) for s in skipped[:200]], numeric=9)
    more = p("… and {} more, listed in report.json.", f"{len(skipped) - 200:,}") if len(skipped) > 200 else Markup("")
    if len(skipped) > _SHOWN:
        rows = Markup('<details class="more"><summary>Show them</summary>{}</details>').format(rows + more)
    return title + p("{} could not be used and took no part.", count(len(skipped), "file")) + rows


