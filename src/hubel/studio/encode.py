"""The Encode tab: take noise off, paint holes and have them filled, compress against JPEG, walk between codes. Depends on coding, parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from hubel.studio import coding, parts, widgets
from hubel.studio.coding import MODES, Encode
from hubel.studio.links import Again, again_value, to_query
from hubel.studio.parts import Update, View
from hubel.studio.pictures import uri
from hubel.studio.sessions import Done
from hubel.studio.stock import Stock

VIEW = Encode


def build(stock: Stock) -> View:
    """Make the tab's components and wire them; call within a gr.Tab."""
    with gr.Row(elem_classes="hb-view"):
        with gr.Column(scale=1, min_width=300, elem_classes="hb-controls"):
            mode = gr.Radio([(text, name) for name, text in MODES.items()], value="denoise", label="Without labels", elem_classes="hb-segments hb-four")
            picked = widgets.picker({"group": "encode-picture", "label": "picture", "own": True, "chosen": "", "choices": []})
            noise = gr.Slider(0, 75, value=25, step=1, label="Noise to add, sigma in levels of 255")
            known = gr.Checkbox(label="tell it how strong the noise is", value=True)
            paper = widgets.paint({"size": None}, visible=False)
            quality = gr.Slider(1, 100, value=30, step=1, label="Quality, 1 is the smallest file", visible=False)
            start = gr.Slider(0, 358, value=0, step=1, label="From test digit", visible=False)
            end = gr.Slider(0, 358, value=1, step=1, label="To test digit", visible=False)
            latents = gr.Slider(2, 32, value=8, step=1, label="Numbers in a code", visible=False)
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, min_width=80)
        with gr.Column(scale=3, min_width=320):
            line, stop = parts.status(stock, "encode")
            shown = gr.HTML("")
            footer = parts.footer()
    inputs = {"mode": mode, "picked": picked, "noise": noise, "known": known, "paper": paper, "quality": quality, "start": start, "end": end,
              "latents": latents, "seed": seed}
    outputs = [*inputs.values(), line, stop, shown, footer]

    def read(values: dict[str, Any]) -> Encode:
        paper, picture = values["paper"] or {}, (values["picked"] or {}).get("chosen", "")
        mask = coding.mask_key(stock, paper["strokes"]) if paper.get("strokes") and paper.get("version") == picture else ""
        return Encode(mode=values["mode"], picture=picture, noise=int(values["noise"]), known=bool(values["known"]), mask=mask,
                      quality=int(values["quality"]), latents=int(values["latents"]), start=int(values["start"]), end=int(values["end"]),
                      seed=int(values["seed"] or 0))

    def dressed(s: Encode) -> Update:
        picture = stock.picture(s.picture)
        small, _ = coding.prepared(picture)
        sheet = {"image": uri(small, 400), "size": list(small.shape[:2]), "ink": "#ffffff", "brush": 5, "version": s.picture,
                 "title": "the picture: paint over what is to be missing",
                 "strokes": uri(coding.mask_of(stock, s, small.shape)[..., None].astype("uint8") * 255)}
        return {mode: s.mode, picked: gr.update(value=parts.choices(stock, s.picture, "encode-picture"), visible=s.mode != "walk"),
                noise: gr.update(value=s.noise, visible=s.mode == "denoise"), known: gr.update(value=s.known, visible=s.mode == "denoise"),
                paper: gr.update(value=sheet, visible=s.mode == "inpaint"), quality: gr.update(value=s.quality, visible=s.mode == "compress"),
                start: gr.update(value=s.start, visible=s.mode == "walk"), end: gr.update(value=s.end, visible=s.mode == "walk"),
                latents: gr.update(value=s.latents, visible=s.mode == "walk"), seed: s.seed}

    def show(request: gr.Request, s: Encode) -> Iterator[Update]:
        s = replace(s, picture=s.picture if s.picture in stock.pictures else stock.pictures.first)
        picture = stock.picture(s.picture)
        yield {**dressed(s), footer: again_value(s, Again(to_query(s), "", ""))}
        coding.ready(s.mode)
        session = stock.sessions[request.session_hash]
        for step in parts.follow(session.run("encode", lambda: coding.RUN[s.mode](stock, picture, s), "working", alone=False), line, stop):
            if isinstance(step, Done):
                page, how = step.value
                yield {shown: page, footer: again_value(s, how), line: "", stop: gr.update(visible=False)}
            else:
                yield step

    def changed(request: gr.Request, *values: Any) -> Iterator[Update]:
        yield from show(request, read(dict(zip(inputs, values, strict=True))))

    def other_mode(request: gr.Request, *values: Any) -> Iterator[Update]:
        yield {shown: ""}
        yield from changed(request, *values)

    def dropped(request: gr.Request, event: gr.EventData, *values: Any) -> Iterator[Update]:
        picture = stock.pictures.drop(event.data, event.name)
        yield from show(request, replace(read(dict(zip(inputs, values, strict=True))), picture=picture.key, mask=""))

    answer = parts.answering(line, stock, Encode.TAB)
    live: dict[str, Any] = {"outputs": outputs, "show_progress": "hidden", "trigger_mode": "always_last"}
    gr.on([c.input for c in (picked, noise, known, paper, quality, start, end, latents, seed)], answer(changed), list(inputs.values()), **live)
    mode.input(answer(other_mode), list(inputs.values()), **live)
    picked.drop_file(answer(dropped), list(inputs.values()), **live)
    return View(Encode, inputs, outputs, show, status=line)
