"""The Break tab: an image, a target, a size: original, change, adversarial, and noise of the same size. Depends on attack, parts."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import gradio as gr
import numpy as np

from hubel.dataurl import data_url
from hubel.errors import InputError
from hubel.studio import parts, widgets
from hubel.studio.links import Again, Settings, again_value, command, setting, to_query
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
class Control:
    """The image as the model takes it, uint8 (H, W, C); noise of one size on it; how often noise changes the answer; predictions (2, K)."""

    original: np.ndarray
    noisy: np.ndarray
    noise_changed: float
    probabilities: np.ndarray


@dataclass(frozen=True)
class Broken:
    """What was found: the attack's Demonstration, what it predicts of it (K,), and noise of the same size."""

    found: Any
    probabilities: np.ndarray
    control: Control


def control_of(model: Any, picture: Picture, size: str, seed: int) -> Control:
    """Change a picture at random."""
    from hubel.attack import noise, noisy
    from hubel.pixels import as_arrays

    x = model.prepare(picture.pixels)
    label = [int(model.logits(x)[0].argmax())]
    random = noisy(model, x, label, size, kind="sign", seed=seed)[0]
    changed = noise(model, x, label, size, kind="sign", draws=DRAWS, seed=seed, progress=False).changed
    original = as_arrays(x)[0]
    return Control(original, random, float(changed[0]), model.predict([original, random]))


def attempt(model: Any, picture: Picture, s: Break, eps: str | None, early: Callable[[Control], None] = lambda control: None) -> Broken:
    """Attack a picture at one size (or, with None, at sizes upwards until one does it) and at random.

    A search that finds nothing takes longest: `early` is given what there is to see before it.
    """
    from hubel.attack import demonstrate

    if s.target and s.target not in model.classes:
        raise InputError(f"the model has no class {s.target!r}: choose another target")
    if eps is not None:
        control = control_of(model, picture, eps, s.seed)
        early(control)
    found = demonstrate(model, picture.pixels, s.target or None, eps, seed=s.seed)
    if eps is None:
        control = control_of(model, picture, f"{round(found.tried[-1] * 255)}/255", s.seed)
    return Broken(found, model.predict(found.result.adversarials[0]), control)


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
    before, after = short(r.classes[r.predicted_before[0]]), short(r.classes[r.predicted_after[0]])
    rows = likeliest(r.classes, broken.probabilities[0])
    wrong = {name: "hb-wrong" for name, _ in rows if name == after} if broken.found.success else {}
    change, times = magnified(r.originals[0], r.adversarials[0])
    save = data_url(as_png(r.adversarials[0]), "image/png")
    stem = picture.file.rpartition("/")[2].rpartition(".")[0]
    link = (f'<a class="hb-save" download="{html.escape(stem)}-adversarial.png" href="{save}">Save the PNG</a>'
            if broken.found.success else "")
    found = (uri(np.round(change * 255).astype(np.uint8)), f"The change, × {times:g}", "around mid-grey: what is grey stayed as it was"), (
        uri(r.adversarials[0]), "Original + change", parts.predictions(rows, wrong) + link)
    return verdict(broken, before, after, round(broken.found.tried[-1] * 255)) + _four(broken.control, r.classes, found)


def page_before(control: Control, classes: tuple[str, ...], levels: int) -> str:
    """What there is to see while the search goes on."""
    blank = uri(np.full_like(control.original, 128))
    found = (blank, "The change", "is being searched for"), (uri(control.original), "Original + change", "")
    return f'<p class="hb-verdict">Searching for a change of at most {levels} of 255 levels. {_of_noise(control)}</p>' + _four(control, classes, found)


def _four(control: Control, classes: tuple[str, ...], found: tuple[tuple[str, str, str], tuple[str, str, str]]) -> str:
    small = max(control.original.shape[:2]) <= 64
    before, noisy = (parts.predictions(likeliest(classes, p)) for p in control.probabilities)
    shown = ((uri(control.original), "Original", before), *found, (uri(control.noisy), "Original + equal noise", noisy))
    return parts.figures([parts.figure(*figure, small=small) for figure in shown])


def _of_noise(control: Control) -> str:
    random = round(control.noise_changed * DRAWS)
    return (f"Noise of the same size changes the answer in {random} of {DRAWS} draws." if random else
            f"Noise of the same size changes nothing, in {DRAWS} draws.")


def verdict(broken: Broken, before: str, after: str, levels: int) -> str:
    r = broken.found.result
    control = _of_noise(broken.control)
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
        own = yield from parts.opened(stock, session, "break", s.model, line, stop)
        complaints = link_of(stock, s.model, s.hash)
        s = replace(s, hash=own.hash, target=s.target if s.target in own.classes else "", picture=s.picture or stock.examples(own)[0])
        picture = stock.picture(s.picture)
        dressed = (s.model, s.picture, s.target, s.seed)
        if session.kept.get("break dressed") != dressed:  # a thousand classes and a dozen pictures: not with every step of a slider
            opened = "break dressed" not in session.kept  # later the slider may have moved on from what is being answered
            yield {**({eps: s.eps} if opened else {}), target: gr.update(choices=[("anything else", ""), *class_choices(own)], value=s.target),
                   model: gr.update(value=s.model, choices=list(stock.models)), seed: s.seed,
                   picked: parts.choices(stock, s.picture, "break-picture", model=own), footer: again_value(s, again(stock, picture, s))}
            session.kept["break dressed"] = dressed  # once it is on the page
        size = None if least else f"{s.eps}/255"
        early: list[Control] = []
        for step in parts.follow(session.run("break", lambda: attempt(own, picture, s, size, early.append), "searching"), line, stop):
            if not isinstance(step, Done):
                yield {**step, shown: page_before(early.pop(), own.classes, s.eps)} if early else step
                continue
            tried = round(step.value.found.tried[-1] * 255)
            now = replace(s, eps=tried)
            yield {shown: page(step.value, picture), line: parts.said(" ".join(complaints), "error"), stop: gr.update(visible=False),
                   **({eps: tried} if least else {}), footer: again_value(now, again(stock, picture, now))}

    def changed(request: gr.Request, *values: Any) -> Iterator[Update]:
        yield from show(request, read(dict(zip(inputs, values, strict=True))))

    def find_least(request: gr.Request, *values: Any) -> Iterator[Update]:
        yield from show(request, read(dict(zip(inputs, values, strict=True))), least=True)

    def other_model(request: gr.Request, *values: Any) -> Iterator[Update]:
        yield from show(request, replace(read(dict(zip(inputs, values, strict=True))), picture="", target=""))

    def dropped(request: gr.Request, event: gr.EventData, *values: Any) -> Iterator[Update]:
        picture = stock.pictures.drop(event.data, event.name)
        yield from show(request, replace(read(dict(zip(inputs, values, strict=True))), picture=picture.key))

    answer = parts.answering(line, stock, Break.TAB)
    live: dict[str, Any] = {"outputs": outputs, "show_progress": "hidden", "trigger_mode": "always_last"}
    gr.on([picked.input, target.input, eps.input, seed.input], answer(changed), list(inputs.values()), **live)
    model.input(answer(other_model), list(inputs.values()), **live)
    picked.drop_file(answer(dropped), list(inputs.values()), **live)
    least.click(answer(find_least), list(inputs.values()), **live)
    return View(Break, inputs, outputs, show, status=line)
