"""The report's section on robustness: accuracy against the size of a perturbation, worst case and noise, and examples."""

from __future__ import annotations

from markupsafe import Markup

from hubel.study.report import code
from hubel.study.report.charts import Line, lines
from hubel.study.report.section import Facts, Figure, Pictures, Section, count, eps_text, p, pct


def section_attack(facts: Facts, pictures: Pictures) -> Section | None:
    a = facts.get("attack")
    if a is None:
        return None
    lead = p("How far must the pixels move before the answer changes? Each pixel of {} may change by at most "
             "<i>ε</i>, first at random, then in the direction that hurts most. Noise of that size is harmless "
             "or not by chance; the worst case is what somebody with bad intentions, or bad luck, can do.",
             count(a["points"], "test image"))
    figures = [_curve(facts)]
    if a["fragile"]:
        figures.append(_examples(facts, pictures, "fragile", "The least robust images", "the smallest changes that were "
                                 "found to turn the answer"))
    if a["sturdy"]:
        figures.append(_examples(facts, pictures, "sturdy", "The most robust images", "these needed the largest changes, "
                                 "or withstood all that were tried"))
    flags = [p("{}", flag) for flag in a.get("flags", [])]
    after = Markup('<div class="aside">{}</div>').format(Markup("").join(flags)) if flags else Markup("")
    return Section("robustness", "What breaks it", lead, figures, after)


def _curve(facts: Facts) -> Figure:
    a = facts["attack"]
    series = [Line("worst case", a["eps"], a["worst"], "worst", [b[0] for b in a["worst_interval"]],
                   [b[1] for b in a["worst_interval"]])]
    for name, label in (("uniform", "uniform noise"), ("sign", "sign noise")):
        if name in a["noise"]:
            series.append(Line(label, a["eps"], a["noise"][name], "noise" if name == "uniform" else "second",
                               dashed=name == "sign"))
    chart = lines(series, title="Accuracy against the size of a perturbation",
                  x_label="ε, the most a pixel may change, in 255ths", y_label="accuracy",
                  x_ticks=_eps_ticks(a["eps"]), rule=(a["chance"], "chance"))
    detail = (f"{a['attack_text']} on {count(a['points'], 'test image')}; the band is the 95% interval for so few. "
              f"Every success was checked in full precision on whole 8-bit pixel values. Noise of either kind has the "
              f"same ε: uniform noise is drawn from −ε..ε, sign noise is −ε or ε at every pixel.")
    return Figure(chart, _finding(a), detail, code.attack(facts))


def _finding(a: Facts) -> str:
    clean, half = a["worst"][0], a.get("half")
    k = next((i for i, e in enumerate(a["eps"]) if half is not None and e >= half - 1e-9), len(a["eps"]) - 1)
    noise = min(v[k] for v in a["noise"].values())
    if half is None:
        return (f"At ε = {eps_text(a['eps'][k])} the worst case still leaves {pct(a['worst'][k], 0)} of {pct(clean, 0)}, "
                f"noise {pct(noise, 0)}.")
    return (f"At ε = {eps_text(a['eps'][k])} the worst case leaves {pct(a['worst'][k], 0)} right; noise of the same size "
            f"leaves {pct(noise, 0)}.")


def _eps_ticks(eps: list[float]) -> list[tuple[float, str]]:
    """The measured sizes, in 255ths, without those closer to the one before than a fifteenth of the axis."""
    shown: list[tuple[float, str]] = []
    for e in eps:
        if not shown or e - shown[-1][0] >= eps[-1] / 15:
            shown.append((e, f"{e * 255:.3g}"))
    return shown


def _examples(facts: Facts, pictures: Pictures, key: str, finding: str, detail: str) -> Figure:
    a = facts["attack"]
    small = facts["data"]["small"]
    items = [Markup('<div class="triple"><div class="row">{}</div><p>{}</p></div>').format(
        Markup("").join(pictures.image(name, alt, small) for name, alt in
                        zip(e["pictures"], ("the image", "the change", "the changed image"), strict=False)), _says(e))
        for e in a[key]]
    shown = a[key][0]
    finding = f"{finding}: {_range(a[key])}."
    return Figure(Markup('<div class="triples">{}</div>').format(Markup("").join(items)), finding,
                  f"Left to right: the image, the change magnified as stated, their sum. Of the {a['points']} images, "
                  f"{detail}.", code.fragile(facts) if shown else "")


def _says(e: Facts) -> Markup:
    if e["predicted"] is None:
        return Markup("<b>{}</b>: withstood every ε up to {}").format(e["true"], eps_text(e["tried"]))
    return Markup('<b>{}</b> becomes <b>{}</b> at ε = {}, {} sure; change × {:g}').format(
        e["true"], e["predicted"], eps_text(e["eps"]), pct(e["confidence"], 0), e["magnified"])


def _range(examples: list[Facts]) -> str:
    eps = [e["eps"] for e in examples if e["predicted"] is not None]
    held = len(examples) - len(eps)
    if not eps:
        return f"{held} withstood everything tried"
    low, high = eps_text(min(eps)), eps_text(max(eps))
    text = f"turned at ε = {low}" if low == high else f"turned at ε = {low} to {high}"
    return f"{text}, {held} not at all" if held else text
