"""What the numbers of a report do and do not say, in sentences that follow from the facts.

Each function looks at one thing and returns a sentence or None; nothing here is the same whatever the data are, but for
what holds of every test set. Depends on the facts alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from hubel.study.report.section import Facts, Figure, Pictures, Section, bullets, count, eps_text, interval, p, pct


def section_limits(facts: Facts, pictures: Pictures) -> Section | None:
    said = [s for s in (accuracy(facts), small_classes(facts), sharing(facts), leakage(facts), loaded(facts),
                        worst_case(facts), masking(facts), noise(facts), pictures_of_units(facts), labels(facts),
                        *failures(facts)) if s]
    figures: list[Figure] = []
    return Section("limits", "What the numbers do and do not say", p("Read these before quoting a number."), figures,
                   bullets(said))


def accuracy(facts: Facts) -> Markup | None:
    e = facts.get("evaluation")
    if e is None:
        return None
    low, high = e["interval"]
    width = 100 * (high - low)
    text = Markup("<b>Accuracy {}</b> was counted on {}; the 95% interval ({}) is {:.1f} points wide. ").format(
        pct(e["accuracy"]), count(e["n"], "image"), interval(e["interval"]), width)
    if width > 4:
        return text + Markup("Models that differ by less than that cannot be told apart on this test set.")
    return text + Markup("It covers chance in the choice of test images, not a change of camera, time or place.")


def small_classes(facts: Facts) -> Markup | None:
    e = facts.get("evaluation")
    few = [r for r in e["per_class"] if 0 < r["n"] < 30] if e else []
    if not e or not few:
        return None
    low = min(r["n"] for r in few)
    return Markup("<b>Per-class figures are coarse</b>: {} fewer than 30 test images (the least, {}), so that one image "
                  "more or less moves its recall by {:.0f} points.").format(
        "every class has" if len(few) == len(e["per_class"]) else count(len(few), "class has", "classes have"),
        low, 100 / low)


def sharing(facts: Facts) -> Markup | None:
    data, e = facts.get("data"), facts.get("evaluation")
    if not data or not e or data["split"] == "given":
        return None
    return Markup("<b>Training and test images come from one collection</b>, split at random. On images from elsewhere "
                  "expect less; how much less, no split of these images can tell.")


def leakage(facts: Facts) -> Markup | None:
    leaks = (facts.get("data") or {}).get("leaks")
    if leaks is None or not facts.get("data"):
        return None
    if leaks["images"]:
        share = leaks["images"] / facts["data"]["test"]["images"]
        return Markup("<b>Leakage</b>: {} of the test images have a copy or near copy among the training images; what "
                      "is true of the rest is what counts.").format(pct(share))
    return Markup("<b>No leakage was found</b>: copies and near copies of test images were looked for. The same object "
                  "or scene photographed twice would not have been noticed.")


def loaded(facts: Facts) -> Markup | None:
    if facts.get("training") is not None or facts.get("model") is None:
        return None
    return Markup("<b>The model came from a file.</b> Whether it has seen these test images before is unknown here.")


def worst_case(facts: Facts) -> Markup | None:
    a = facts.get("attack")
    if a is None:
        return None
    b = a["worst_interval"][-1]
    return Markup("<b>The worst-case curve is an upper bound.</b> {} found these errors, and each is real; a "
                  "stronger attack may find more, so that true robust accuracy is at most what is drawn. With {} the "
                  "95% interval at ε = {} is {}.").format(a["attack_text"], count(a["points"], "image"),
                                                         eps_text(a["eps"][-1]), interval(b, 0))


def masking(facts: Facts) -> Markup | None:
    a = facts.get("attack")
    if a is None:
        return None
    if a.get("flags"):
        return Markup("<b>The attack may have been misled</b>: {}").format(" ".join(a["flags"]))
    if a["worst"][-1] > a["chance"]:
        return Markup("<b>The curve does not reach chance</b> within the sizes tried. A model can resist an attack by "
                      "gradients because it hides them, not because it is robust; only further attacks can tell.")
    return Markup("<b>The curve falls to {}</b> at ε = {}, as it should if gradients are honest: with enough freedom "
                  "any classifier can be fooled.").format(pct(a["worst"][-1], 0), eps_text(a["eps"][-1]))


def noise(facts: Facts) -> Markup | None:
    a = facts.get("attack")
    if a is None:
        return None
    k = max(range(len(a["eps"])), key=lambda i: min(v[i] for v in a["noise"].values()) - a["worst"][i])
    drop = a["worst"][0] - min(v[k] for v in a["noise"].values())
    return Markup("<b>Noise is not the worst case.</b> At ε = {} it costs {:.0f} points where the attack costs {:.0f}: "
                  "standing up to noise says nothing about intent, and an attack says little about noise.").format(
        eps_text(a["eps"][k]), max(0.0, 100 * drop), 100 * (a["worst"][0] - a["worst"][k]))


def pictures_of_units(facts: Facts) -> Markup | None:
    look = facts.get("look") or {}
    if not look.get("decisions") and not look.get("exciting"):
        return None
    return Markup("<b>Pictures of what a network sees are hints.</b> They show what moves the answer of this network, not "
                  "what ought to; check an idea you take from them by changing the image and asking again.")


def labels(facts: Facts) -> Markup | None:
    k = facts.get("kshot")
    if k is None:
        return None
    return Markup("<b>The few-label curve</b> depends on which images are drawn: {} {}").format(k["detail_short"],
                                                                                              k.get("seen") or "")


def failures(facts: Facts) -> Iterator[Markup]:
    for note in facts.get("notes", []):
        yield Markup("<b>Missing: {}.</b> {}").format(note["stage"], note["message"])
