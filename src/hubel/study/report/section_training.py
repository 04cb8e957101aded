"""The report's section on the model and how it was trained (or where it was loaded from), with its learning curves."""

from __future__ import annotations

from markupsafe import Markup

from hubel.study.report import code
from hubel.study.report.charts import Line, lines, percent, plain, ticks
from hubel.study.report.section import Facts, Figure, Pictures, Section, count, p, pct, table


def section_training(facts: Facts, pictures: Pictures) -> Section | None:
    model = facts.get("model")
    if model is None:
        return None
    training = facts.get("training")
    if training is None:
        lead = p("The model was loaded from <code>{}</code>, not trained here: {}. What it was trained on is not known "
                 "to this report. If the test images were among it, every accuracy below is too high.",
                 model["file"], model["about"])
        return Section("training", "The model", lead, after=_layers(facts))
    lead = p("{}. It was trained here for {} on {}, in {}. {}", model["about"][:1].upper() + model["about"][1:],
             count(training["epochs"], "epoch"), count(training["images"], "image"),
             training["seconds_text"], training["recipe"])
    return Section("training", "The model and its training", lead, _curves(facts), _layers(facts))


def _curves(facts: Facts) -> list[Figure]:
    training = facts["training"]
    curves, history = [], training["history"]
    for key, title, form, role in (("accuracy", "accuracy", percent, "main"), ("loss", "loss", plain, "main")):
        series = [Line(label, _places(history, name), history[name], colour, dashed=dashed, marks=len(history[name]) < 25)
                  for name, label, colour, dashed in ((key, "training", "muted", True),
                                                      (f"val_{key}", training["held_out"], role, False))
                  if history.get(name)]
        if series:
            values = [v for s in series for v in s.y]
            low, high = (max(0.0, min(values) - .05), 1.0) if key == "accuracy" else (0.0, max(values) * 1.05)
            last = max(x for s in series for x in s.x)
            places = [t for t in ticks(0 if last > 6 else 1, last, 6) if t == int(t) and t >= min(s.x[0] for s in series)]
            curves.append(Markup("<div>{}</div>").format(lines(
                series, title=f"{title} by epoch", x_label="epoch", y_label=title,
                x_ticks=[(t, f"{t:.0f}") for t in places], y_range=(low, high), y_format=form, height=360)))
    if not curves:
        return []
    return [Figure(Markup('<div class="pair">{}</div>').format(Markup("").join(curves)), _finding(training),
                   training["note"], code.training(facts))]


def _places(history: Facts, name: str) -> list[int]:
    longest = max(len(v) for v in history.values())
    return list(range(longest - len(history[name]) + 1, longest + 1))


def _finding(training: Facts) -> str:
    history = training["history"]
    held, own = history.get("val_accuracy"), history.get("accuracy")
    if not held:
        return f"Training accuracy ends at {pct(own[-1])}." if own else "The loss by epoch."
    gap = (own[-1] - held[-1]) if own else 0.0
    end = f"Accuracy on images held out of training ends at {pct(held[-1])}"
    if gap > 0.05:
        return f"{end}, {100 * gap:.0f} points below the training images: the network has begun to learn them by heart."
    if gap < -0.02:
        return f"{end}, above that on the training images, which are seen altered and so are harder."
    return f"{end}, close to that on the training images."


def _layers(facts: Facts) -> Markup:
    layers = facts["model"].get("layers")
    if not layers:
        return Markup("")
    rows = table(["layer", "kind", "output", "parameters", "if it were dense"],
                 [(row["name"], row["kind"], row["output"], f"{row['parameters']:,}",
                   f"{row['dense']:,}" if row.get("dense") else "") for row in layers], numeric=2)
    return Markup('<details class="more"><summary>All {}, {} parameters</summary>{}</details>').format(
        count(len(layers), "layer"), f"{facts['model']['parameters']:,}", rows)
