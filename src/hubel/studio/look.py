"""The Look tab: a layer and a unit of a model: its filter, what excites it, in pictures and made; and why this answer.

Depends on looking, parts.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from hubel.studio import parts, widgets
from hubel.studio.links import again_value
from hubel.studio.looking import METHODS, Look, again, data_for, first_layer, layer_choices, made, unit_of, why
from hubel.studio.parts import Update, View
from hubel.studio.prediction import link_of
from hubel.studio.sessions import Done
from hubel.studio.stock import Stock

VIEW = Look


def build(stock: Stock) -> View:
    """Make the tab's components and wire them; call within a gr.Tab."""
    first = stock.first_model
    with gr.Row(elem_classes="hb-view"):
        with gr.Column(scale=1, min_width=300, elem_classes="hb-controls"):
            picked = widgets.picker({"group": "look-picture", "label": "picture", "own": True, "chosen": "", "choices": []})
            method = gr.Dropdown([(text, name) for name, text in METHODS.items()], value="gradcam", label="Why this answer? By", filterable=False)
            layer = gr.Dropdown([], label="Layer", filterable=True, allow_custom_value=False)
            unit = gr.Slider(0, 31, value=0, step=1, label="Unit")
            data = gr.Dropdown(list(stock.data), value=None, label="Patches from", filterable=False)
            model = gr.Dropdown(list(stock.models), value=first, label="Model", filterable=False)
            seed = gr.Number(0, label="Seed of the made picture", precision=0, minimum=0, min_width=80)
        with gr.Column(scale=3, min_width=320):
            line, stop = parts.status(stock, "look")
            reason = gr.HTML("")
            title = gr.HTML("")
            shown = gr.HTML("")
            footer = parts.footer()
    inputs = {"picked": picked, "method": method, "layer": layer, "unit": unit, "data": data, "model": model, "seed": seed}
    outputs = [*inputs.values(), line, stop, reason, title, shown, footer]

    def read(values: dict[str, Any]) -> Look:
        return Look(model=values["model"], picture=(values["picked"] or {}).get("chosen", ""), layer=values["layer"] or "",
                    unit=int(values["unit"] or 0), data=values["data"] or "", method=values["method"], seed=int(values["seed"] or 0))

    def listed_of(session: Any, s: Look, own: Any) -> Any:
        from hubel import look

        if f"layers {s.model}" not in session.kept:
            session.kept[f"layers {s.model}"] = look.layers(own)
        return session.kept[f"layers {s.model}"]

    def show(request: gr.Request, s: Look) -> Iterator[Update]:
        session = stock.sessions[request.session_hash]
        s = replace(s, model=s.model or first)
        own = yield from parts.opened(stock, session, "look", s.model, line, stop)
        complaints = link_of(stock, s.model, s.hash)
        picture = stock.picture(s.picture or stock.examples(own)[0])
        for step in parts.follow(session.run("look", lambda: (listed_of(session, s, own), data_for(stock, own, s)), "reading the model"), line, stop):
            if not isinstance(step, Done):
                yield step
                continue
            listed, (pictures, name) = step.value
        names = [n for _, n in layer_choices(listed)]
        if s.layer and s.layer not in names:
            complaints.append(f"The model has no layer {s.layer}.")
        s = replace(s, hash=own.hash, picture=picture.key, data=name, layer=s.layer if s.layer in names else first_layer(own, listed))
        units = listed[s.layer].channels
        s = replace(s, unit=min(s.unit, units - 1))
        update: Update = {unit: gr.update(maximum=units - 1, value=s.unit), footer: again_value(s, again(stock, picture, s)),
                          title: f'<h2 class="hb-h2">Unit {s.unit} of {html.escape(s.layer)}</h2>'}
        dressed = (s.model, s.picture, s.layer, s.data, s.method, s.seed)
        if session.kept.get("look dressed") != dressed:  # not with every step of the slider
            update |= {layer: gr.update(choices=layer_choices(listed), value=s.layer), data: s.data, method: s.method, seed: s.seed,
                   model: gr.update(value=s.model, choices=list(stock.models)),
                   picked: parts.choices(stock, s.picture, "look-picture", model=own)}
        yield update
        session.kept["look dressed"] = dressed  # once it is on the page
        explained = (s.model, s.picture, s.method)
        if session.kept.get("look explained") != explained:  # another unit has the same reason
            for step in parts.follow(session.run("look", lambda: why(own, picture, s), "asking why"), line, stop):
                yield {reason: step.value} if isinstance(step, Done) else step
            session.kept["look explained"] = explained
        found: list[str] = []
        for step in parts.follow(session.run("look", lambda: unit_of(own, listed, pictures, name, picture, s), "looking"), line, stop):
            if isinstance(step, Done):
                found = step.value
                waiting = '<div class="hb-figure"><b>Made to excite it</b><p>being made…</p></div>'
                yield {shown: parts.figures([*found[:2], waiting, *found[2:]])}
            else:
                yield step
        for step in parts.follow(session.run("look", lambda: made(own, s), "making a picture"), line, stop):
            if isinstance(step, Done):
                yield {shown: parts.figures([*found[:2], step.value, *found[2:]]), stop: gr.update(visible=False),
                       line: parts.said(" ".join(complaints), "error")}
            else:
                yield step

    def changed(request: gr.Request, *values: Any) -> Iterator[Update]:
        yield from show(request, read(dict(zip(inputs, values, strict=True))))

    def other_model(request: gr.Request, *values: Any) -> Iterator[Update]:
        yield from show(request, replace(read(dict(zip(inputs, values, strict=True))), picture="", layer="", unit=0, data=""))

    def dropped(request: gr.Request, event: gr.EventData, *values: Any) -> Iterator[Update]:
        picture = stock.pictures.drop(event.data, event.name)
        yield from show(request, replace(read(dict(zip(inputs, values, strict=True))), picture=picture.key))

    answer = parts.answering(line, stock, Look.TAB)
    live: dict[str, Any] = {"outputs": outputs, "show_progress": "hidden", "trigger_mode": "always_last"}
    gr.on([picked.input, method.input, layer.input, unit.input, data.input, seed.input], answer(changed), list(inputs.values()), **live)
    model.input(answer(other_model), list(inputs.values()), **live)
    picked.drop_file(answer(dropped), list(inputs.values()), **live)
    return View(Look, inputs, outputs, show, status=line)
