"""The Break tab: an image, a target, a size: original, change, adversarial, and noise of the same size. Depends on attack, parts."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import gradio as gr
import numpy as np

from hubel.errors import InputError
from hubel.studio import parts, widgets
from hubel.studio.links import Again, Settings, command, setting, to_query
from hubel.studio.parts import Update, View
from hubel.studio.pictures import Picture, as_png, uri
from hubel.studio.prediction import class_choices, likeliest, link_of, opening, short
from hubel.studio.sessions import Done
from hubel.studio.stock import Stock

MOST = 64  # levels
DRAWS = 10


@dataclass(frozen=True)
class Break(Settings):
    TAB: ClassVar[str] = "break"
    model: str = setting("")
    hash: str = setting("")
    picture: str = setting("")
    target: str = setting("")
    eps: int = setting(2, least=1, most=MOST)
    seed: int = setting(0, least=0, most=2**31)


VIEW = Break


@dataclass(frozen=True)
class Broken:
    """What was found: the attack's Demonstration, noise of the same size, what noise does, and all predictions."""

    found: Any
    noisy: np.ndarray
    noise_changed: float
    probabilities: np.ndarray  # (3, K): original, adversarial, noisy


def attempt(model: Any, picture: Picture, s: Break, eps: str | None) -> Broken:
    """Attack a picture at one size (or, with None, at sizes upwards until one does it) and at random."""
    from hubel.attack import demonstrate, noise, noisy

    if s.target and s.target not in model.classes:
        raise InputError(f"the model has no class {s.target!r}: choose another target")
    found = demonstrate(model, picture.pixels, s.target or None, eps, seed=s.seed)
    r = found.result
    size = f"{round(found.tried[-1] * 255)}/255"
    label = [int(r.labels[0])]
    random = noisy(model, r.originals, label, size, kind="sign", seed=s.seed)
    changed = noise(model, r.originals, label, size, kind="sign", draws=DRAWS, seed=s.seed, progress=False).changed
    return Broken(found, random[0], float(changed[0]), model.predict([r.originals[0], r.adversarials[0], random[0]]))


def again(stock: Stock, picture: Picture, s: Break, least: bool = False) -> Again:
    eps = None if least else f"{s.eps}/255"
    line = command("hubel", "attack", stock.models[s.model], picture.file, *(["--target", s.target] if s.target else []),
                   *(["--eps", eps] if eps else []), *(["--seed", s.seed] if s.seed else []))
    arguments = "".join(f", {k}={v!r}" for k, v in (("target", s.target), ("eps", eps), ("seed", s.seed)) if v)
    code = (f"import hubel\nfrom hubel.attack import demonstrate\nfrom hubel.data import read_image\n\n{opening(stock, s.model)}\n"
            f"found = demonstrate(model, {picture.code}{arguments})\nprint(found)\nfound.save('adversarial.png')")
    return Again(to_query(s), line, code)


def page(broken: Broken, picture: Picture) -> str:
    """The verdict and the four pictures."""
    from hubel.attack.draw import magnified

    r = broken.found.result
    small = max(r.originals.shape[1:3]) <= 64
    before, after = short(r.classes[r.predicted_before[0]]), short(r.classes[r.predicted_after[0]])
    levels = round(broken.found.tried[-1] * 255)
    rows = [likeliest(r.classes, p) for p in broken.probabilities]
    wrong = {name: "hb-wrong" for name, _ in rows[1] if name == after} if broken.found.success else {}
    change, times = magnified(r.originals[0], r.adversarials[0])
    save = base64.b64encode(as_png(r.adversarials[0])).decode()
    stem = picture.file.rpartition("/")[2].rpartition(".")[0]
    link = (f'<a class="hb-save" download="{html.escape(stem)}-adversarial.png" href="data:image/png;base64,{save}">Save the PNG</a>'
            if broken.found.success else "")
    shown = [
        parts.figure(uri(r.originals[0]), "Original", parts.predictions(rows[0]), small=small),
        parts.figure(uri(np.round(change * 255).astype(np.uint8)), f"The change, × {times:g}", "around mid-grey: what is grey stayed as it was",
                     small=small),
        parts.figure(uri(r.adversarials[0]), "Original + change", parts.predictions(rows[1], wrong) + link, small=small),
        parts.figure(uri(broken.noisy), "Original + noise of the same size", parts.predictions(rows[2]), small=small)]
    return verdict(broken, before, after, levels) + parts.figures(shown)


def verdict(broken: Broken, before: str, after: str, levels: int) -> str:
    r = broken.found.result
    random = round(broken.noise_changed * DRAWS)
    control = (f"Noise of the same size changes the answer in {random} of {DRAWS} draws." if random else
               f"Noise of the same size changes nothing, in {DRAWS} draws.")
    if not broken.found.success:
        aim = "" if r.targets is None else f" into {html.escape(short(r.classes[r.targets[0]]))}"
        return (f'<p class="hb-verdict"><b class="hb-good">{html.escape(before)}</b> ({r.confidence_before[0]:.0%}) withstood: no change of '
                f"at most {levels} of 255 levels was found that turns it{aim}. Give it a larger one. {control}</p>")
    moved = round(float(r.distances[0]) * 255)
    return (f'<p class="hb-verdict">A change of at most {moved} of 255 levels turned <b>{html.escape(before)}</b> ({r.confidence_before[0]:.0%}) '
            f'into <b class="hb-bad">{html.escape(after)}</b> ({r.confidence_after[0]:.0%}). {control}</p>')


def build(stock: Stock) -> View:
    """Make the tab's components and wire them; call within a gr.Tab."""
    first = stock.first_model
    with gr.Row(elem_classes="hb-view"):
        with gr.Column(scale=1, min_width=300, elem_classes="hb-controls"):
            picked = widgets.picker({"group": "break-picture", "label": "picture", "own": True, "chosen": "", "choices": []})
            target = gr.Dropdown([("anything else", "")], value="", label="Take it for", filterable=True)
            eps = gr.Slider(1, MOST, value=2, step=1, label="Size of the change, in levels of 255")
            least = gr.Button("Find the least size that does it", size="sm")
            model = gr.Dropdown(list(stock.models), value=first, label="Model", filterable=False)
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, min_width=80)
        with gr.Column(scale=3, min_width=320):
            line, stop = parts.status(stock, "break")
            shown = gr.HTML("")
            footer = parts.footer()
    inputs = {"picked": picked, "target": target, "eps": eps, "model": model, "seed": seed}
    outputs = [*inputs.values(), line, stop, shown, footer]

    def read(values: dict[str, Any]) -> Break:
        return Break(model=values["model"], picture=(values["picked"] or {}).get("chosen", ""), target=values["target"] or "",
                     eps=int(values["eps"]), seed=int(values["seed"] or 0))

    def show(request: gr.Request, s: Break, least: bool = False) -> Iterator[Update]:
        session = stock.sessions[request.session_hash]
        s = replace(s, model=s.model or first)
        complaints = link_of(stock, s.model, s.hash)
        own = stock.model(session, s.model)
        s = replace(s, hash=own.hash, target=s.target if s.target in own.classes else "", picture=s.picture or stock.examples(own)[0])
        picture = stock.picture(s.picture)
        dressed = (s.model, s.picture, s.target, s.seed)
        if session.kept.get("break dressed") != dressed:  # a thousand classes and a dozen pictures: not with every step of a slider
            session.kept["break dressed"] = dressed
            yield {target: gr.update(choices=[("anything else", ""), *class_choices(own)], value=s.target), eps: s.eps,
                   model: gr.update(value=s.model, choices=list(stock.models)), seed: s.seed,
                   picked: parts.choices(stock, s.picture, "break-picture", model=own), footer: parts.again_value(s, again(stock, picture, s))}
        size = None if least else f"{s.eps}/255"
        for step in parts.follow(session.run("break", lambda: attempt(own, picture, s, size), "searching"), line, stop):
            if not isinstance(step, Done):
                yield step
                continue
            tried = round(step.value.found.tried[-1] * 255)
            now = replace(s, eps=tried)
            yield {shown: page(step.value, picture), line: parts.said(" ".join(complaints), "error"), stop: gr.update(visible=False),
                   eps: tried, footer: parts.again_value(now, again(stock, picture, now))}

    def changed(request: gr.Request, *values: Any) -> Iterator[Update]:
        yield from show(request, read(dict(zip(inputs, values, strict=True))))

    def find_least(request: gr.Request, *values: Any) -> Iterator[Update]:
        yield from show(request, read(dict(zip(inputs, values, strict=True))), least=True)

    def other_model(request: gr.Request, *values: Any) -> Iterator[Update]:
        yield from show(request, replace(read(dict(zip(inputs, values, strict=True))), picture="", target=""))

    def dropped(request: gr.Request, event: gr.EventData, *values: Any) -> Iterator[Update]:
        picture = stock.pictures.drop(event.data, event.name)
        yield from show(request, replace(read(dict(zip(inputs, values, strict=True))), picture=picture.key))

    answer = parts.answering(line)
    live: dict[str, Any] = {"outputs": outputs, "show_progress": "hidden", "trigger_mode": "always_last"}
    gr.on([picked.input, target.input, eps.input, seed.input], answer(changed), list(inputs.values()), **live)
    model.input(answer(other_model), list(inputs.values()), **live)
    picked.drop_file(answer(dropped), list(inputs.values()), **live)
    least.click(answer(find_least), list(inputs.values()), **live)
    return View(Break, inputs, outputs, show, status=line)
