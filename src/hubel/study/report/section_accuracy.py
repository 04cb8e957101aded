"""The report's sections on the test set: accuracy with its interval, per class, confusions, and the worst mistakes."""

from __future__ import annotations

from markupsafe import Markup

from hubel.study.report import code
from hubel.study.report.charts import heat
from hubel.study.report.section import Facts, Figure, Pictures, Section, bar, count, grid, interval, p, pct, table

_ROWS = 24  # classes shown at once; the rest folds away


def section_accuracy(facts: Facts, pictures: Pictures) -> Section | None:
    e = facts.get("evaluation")
    if e is None:
        return None
    lead = p("{} of {} test images are classified correctly: <b>{}</b>. With that many images the true rate lies "
             "between {} with 95% confidence (Wilson). Always answering <i>{}</i> would give {}. {}",
             f"{e['correct']:,}", f"{e['n']:,}", pct(e["accuracy"]), interval(e["interval"]).replace(" to ", " and "),
             e["majority"]["class"], pct(e["majority"]["accuracy"]), _confidence(e))
    figures = [Figure(_per_class(e), _class_finding(e), "Precision: of the images given this name, the share that has "
                      "it. Recall: of the images that have it, the share that was found. F1: their harmonic mean.",
                      code.evaluation(facts))]
    if len(e["classes"]) <= 200:
        figures.append(Figure(heat(e["confusion"], e["classes"], title="Confusion matrix"), _confusion_finding(e),
                              "Rows are the true classes, columns the answers; shades are shares of the row.",
                              code.evaluation(facts)))
    return Section("accuracy", "How often it is right", lead, figures)


def section_mistakes(facts: Facts, pictures: Pictures) -> Section | None:
    e = facts.get("evaluation")
    if e is None:
        return None
    wrong = e["n"] - e["correct"]
    if not wrong:
        return Section("mistakes", "The worst mistakes", p("None: every test image was classified correctly. "
                       "That says more about the test set than about the model."))
    lead = p("Of {}, these are the ones that the model was most sure of: the place to look for wrong labels, for images "
             "that belong to two classes, and for what the model does not know.", count(wrong, "mistake"))
    small = facts["data"]["small"]
    tiles = [pictures.tile(m["picture"], Markup('<b>{}</b> taken for <span class="no">{}</span><br>{} sure, {} for the '
                           'truth').format(m["true"], m["predicted"], pct(m["confidence"], 0),
                                           pct(m["truth"], 0)),
                           f"{m['true']} taken for {m['predicted']}", small) for m in e["mistakes"]]
    top = e["mistakes"][0]
    figure = Figure(grid(tiles, 104 if small else 150), f"The surest mistake: {top['true']} taken for "
                    f"{top['predicted']} with {pct(top['confidence'], 0)} confidence.",
                    f"{count(len(tiles), 'test image')} with the largest probability for a wrong class.",
                    code.mistakes(facts))
    return Section("mistakes", "The worst mistakes", lead, [figure])


def _confidence(e: Facts) -> str:
    mean, gap = e["confidence"], e["confidence"] - e["accuracy"]
    if gap > 0.02:
        return f"It is surer of itself than it should be: its mean confidence is {pct(mean)}."
    if gap < -0.02:
        return f"It is less sure than it could be: its mean confidence is {pct(mean)}."
    return f"Its confidence is about right: {pct(mean)} on average."


def _per_class(e: Facts) -> Markup:
    rows = e["per_class"]
    head = ["class", "precision", "recall", "F1", "images"]

    def cells(part: list[Facts]) -> Markup:
        return table(head, [(r["class"], pct(r["precision"]), pct(r["recall"]), bar(r["f1"], pct(r["f1"]), "main"),
                             f"{r['n']:,}") for r in part])

    if len(rows) <= _ROWS:
        return cells(rows)
    worst = sorted(rows, key=lambda r: (r["f1"], r["class"]))
    return cells(worst[:15]) + Markup('<details class="more"><summary>The other {} classes, all better</summary>{}'
                                      '</details>').format(len(rows) - 15, cells(worst[15:]))


def _class_finding(e: Facts) -> str:
    ranked = sorted((r for r in e["per_class"] if r["n"]), key=lambda r: r["f1"])
    low, high = ranked[0], ranked[-1]
    if high["f1"] - low["f1"] < 0.005:
        return "All classes are recognised equally well."
    return (f"Hardest is {low['class']} (F1 {pct(low['f1'])} on {count(low['n'], 'image')}), easiest {high['class']} "
            f"({pct(high['f1'])}).")


def _confusion_finding(e: Facts) -> str:
    pairs = e["confused"]
    if not pairs:
        return "Nothing is confused with anything."
    first = pairs[0]
    text = f"Most often {first['true']} is taken for {first['predicted']} ({first['count']} times)"
    if len(pairs) > 1 and pairs[1]["count"] > 1:
        text += f", then {pairs[1]['true']} for {pairs[1]['predicted']} ({pairs[1]['count']})"
    return text + "."
