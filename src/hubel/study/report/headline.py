"""The report's key figures: the strip on top of the page, and the lines that the command prints at its end.

Depends on the facts alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from hubel.study.report.section import Facts, eps_text, interval, pct


@dataclass(frozen=True)
class Key:
    name: str
    value: str
    note: str
    role: str = ""


def headline(facts: Facts) -> list[Key]:
    """Up to six key figures; one whose stage is missing is left out."""
    found = [_accuracy(facts), *_robust(facts), _labels(facts), _leaks(facts), _time(facts)]
    return [key for key in found if key is not None]


def title(facts: Facts) -> str:
    return facts["data"]["name"] if facts.get("data") else facts["study"]["source"]


def about(facts: Facts) -> Markup:
    parts = []
    data, model = facts.get("data"), facts.get("model")
    if data:
        parts.append(f"{data['train']['images'] + data['test']['images']:,} images of {len(data['classes']):,} classes")
    if model:
        parts.append(model["about"])
    parts += [f"seed {facts['study']['seed']}", facts["run"]["date"][:10]]
    return Markup(" · ").join(parts)


def _accuracy(facts: Facts) -> Key | None:
    e = facts.get("evaluation")
    return e and Key("test accuracy", pct(e["accuracy"]), f"{interval(e['interval'])} on {e['n']:,} images", "main")


def _robust(facts: Facts) -> list[Key]:
    a = facts.get("attack")
    if a is None:
        return []
    # The size at which the worst case is nearest to half of the clean accuracy says most about the curve.
    k = min(range(1, len(a["eps"])), key=lambda i: abs(a["worst"][i] - a["worst"][0] / 2))
    eps = eps_text(a["eps"][k])
    noise = min(values[k] for values in a["noise"].values())
    return [Key(f"worst case at ε = {eps}", "≤ " + pct(a["worst"][k], 0), f"right, of {a['points']} images attacked",
                "worst"),
            Key(f"noise at ε = {eps}", pct(noise, 0), "right, the worse of two kinds",
                "noise")]


def _labels(facts: Facts) -> Key | None:
    k = facts.get("kshot")
    if k is None:
        return None
    best = max(k["curves"], key=lambda c: c["mean"][0])
    place = best["shots"].index(10) if 10 in best["shots"] else len(best["shots"]) - 1
    shots = best["shots"][place]
    return Key(f"with {shots:g} labels a class", pct(best["mean"][place], 0), f"a linear classifier on {best['name']}",
               "second")


def _leaks(facts: Facts) -> Key | None:
    leaks = (facts.get("data") or {}).get("leaks")
    return None if leaks is None else Key("leaked test images", f"{leaks['images']:,}",
                                          "copies and near copies across the split")


def _time(facts: Facts) -> Key | None:
    training = facts.get("training")
    return training and Key("training time", training["seconds_text"], f"{training['epochs']} epochs, "
                            f"{facts['model']['parameters_text']} parameters")
