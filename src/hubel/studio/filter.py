"""The Filter tab: a picture, a drawing or a sound, any kernel, and the arithmetic of every pixel. Depends on filtering, parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np

from hubel.studio import filtering, parts, sounds, widgets
from hubel.studio.filtering import NAMES, TAKES, Filter
from hubel.studio.links import again_value
from hubel.studio.parts import Update, View
from hubel.studio.pictures import uri
from hubel.studio.stock import Stock

VIEW = Filter
PAPER = [256, 256]


def build(stock: Stock) -> View:
    """Make the tab's components and wire them; call within a gr.Tab."""
    first = stock.pictures.first
    with gr.Row(elem_classes="hb-view"):
        with gr.Column(scale=1, min_width=300, elem_classes="hb-controls"):
            source = gr.Radio([("Picture", "picture"), ("Drawing", "drawing"), ("Sound", "sound")], value="picture", label="Filter a",
                              elem_classes="hb-segments")
            picked = widgets.picker(parts.choices(stock, first, "filter-picture"))
            paper = widgets.paint({"image": None, "size": PAPER, "ink": "#1f2430", "brush": 4, "title": "paper"}, visible=False)
            heard = widgets.picker(sounds.choices(stock.sounds), visible=False)
            kind = gr.Dropdown([(text, name) for name, text in NAMES.items()], value="sobel", label="Kernel", filterable=False)
            with gr.Row(elem_classes="hb-kernel-row"):
                grid = widgets.kernel(elem_classes="hb-kernel-box")
                with gr.Column(min_width=120, elem_classes="hb-dial-box"):
                    angle = widgets.dial()
                    every = gr.Checkbox(label="whichever angle", value=False)
            sigma = gr.Slider(0.3, 12, value=1.5, step=0.1, label="Sigma, in pixels", visible=False)
            wavelength = gr.Slider(2, 40, value=8, step=0.5, label="Wavelength, in pixels", visible=False)
            length = gr.Slider(1, 61, value=15, step=1, label="Length, in pixels", visible=False)
            size = gr.Slider(1, 61, value=5, step=1, label="Size, in pixels", visible=False)
            with gr.Row():
                border = gr.Dropdown(list(filtering.BORDERS), value="mirror", label="Beyond the border", filterable=False, min_width=120)
                stride = gr.Slider(1, 16, value=1, step=1, label="Stride", min_width=140)
        with gr.Column(scale=3, min_width=320):
            line, _ = parts.status(stock, "filter")
            lens = widgets.lens()
            sound_box = gr.HTML("", visible=False)
            sums = gr.HTML("", elem_classes="hb-arithmetic")
            again = parts.footer()
    inputs = {"source": source, "picked": picked, "heard": heard, "paper": paper, "kernel": kind, "angle": angle, "every_angle": every,
              "sigma": sigma, "wavelength": wavelength, "length": length, "size": size, "grid": grid, "border": border, "stride": stride}
    outputs = [*inputs.values(), line, lens, sound_box, sums, again]

    def read(kept: dict[str, Any], values: dict[str, Any]) -> Filter:
        chosen = values["heard"]["chosen"] if values["source"] == "sound" else values["picked"]["chosen"]
        if values["source"] == "drawing":
            strokes = (values["paper"] or {}).get("strokes")
            chosen = stock.pictures.drop(strokes, "drawing.png").key if strokes else ""
        rows = (values["grid"] or {}).get("rows")
        weights = filtering.text_of(rows) if rows and values["kernel"] == "weights" else filtering.OWN
        return Filter(picture=chosen, source=values["source"], kernel=values["kernel"], angle=int(values["angle"] or 0) % 360,
                      every_angle=bool(values["every_angle"]), sigma=float(values["sigma"]), wavelength=float(values["wavelength"]),
                      length=int(values["length"]), size=int(values["size"]), weights=weights, border=values["border"],
                      stride=int(values["stride"]), row=kept.get("filter row", -1), column=kept.get("filter column", -1))

    def show(request: gr.Request, s: Filter) -> Iterator[Update]:
        session = stock.sessions[request.session_hash]
        if s.source == "sound":
            s = s if s.kernel in filtering.OF_SOUND else replace(s, kernel="smooth")
            yield {**dressed(s), **of_sound(s)}
            return
        if s.source == "drawing" and not s.picture:
            yield {**dressed(s), line: parts.said("Draw something on the paper: white lines on black go through the kernel."),
                   sums: "", lens: gr.update(value=None, visible=True)}
            return
        picture = stock.pictures[s.picture or first]
        done = filtering.look_through(picture, s)
        row, column = done.lens["at"]
        session.kept |= {"filter shown": (picture, done.found, s), "filter row": row, "filter column": column}
        yield {**dressed(s, done.rows), lens: gr.update(value=done.lens, visible=True), line: "",
               **explained(picture, done.found, s, row, column)}

    def explained(picture: Any, found: Any, s: Filter, row: int, column: int) -> Update:
        text, how = filtering.explain(picture, found, s, row, column)
        return {sums: text, again: again_value(s, how)}

    def of_sound(s: Filter) -> Update:
        sound = stock.sounds[s.picture if s.picture in stock.sounds else ""]
        found = filtering.answer(sound.samples, s)
        rate = max(1, sound.rate // s.stride)
        text = parts.figures([sounds.figure(sound.samples, sound.rate, sound.name),
                              sounds.figure(found.values, rate, f"after {NAMES[s.kernel]}")], 1)
        return {sound_box: gr.update(value=text, visible=True), line: "", again: again_value(s, filtering.again(s, sound.file)), sums: sound.about}

    def dressed(s: Filter, rows: list[list[float]] | None = None) -> Update:
        """Every control at its setting, and only those of this kernel and source in sight."""
        takes, sound = TAKES[s.kernel], s.source == "sound"
        if sound and rows is None:
            found = filtering.answer(np.zeros(256, np.float32), s)
            rows = filtering.rounded(np.atleast_2d(found.kernel.weights)) if found.kernel is not None else None
        allowed = [(text, name) for name, text in NAMES.items() if not sound or name in filtering.OF_SOUND]
        updates: Update = {
            source: s.source, kind: gr.update(value=s.kernel, choices=allowed),
            angle: gr.update(value=s.angle, visible="angle" in takes and not sound),
            every: gr.update(value=s.every_angle, visible=s.kernel in filtering.EITHER and not sound),
            sigma: gr.update(value=s.sigma, visible="sigma" in takes), size: gr.update(value=s.size, visible="size" in takes),
            wavelength: gr.update(value=s.wavelength, visible="wavelength" in takes),
            length: gr.update(value=s.length, visible="length" in takes), border: s.border, stride: s.stride,
            picked: gr.update(visible=s.source == "picture"), paper: gr.update(visible=s.source == "drawing"),
            heard: gr.update(visible=sound), lens: gr.update(visible=not sound), sound_box: gr.update(visible=sound)}
        if rows is not None:
            updates[grid] = {"rows": rows}
        return updates

    def restore(s: Filter) -> Update:
        if s.source == "picture":
            return {picked: parts.choices(stock, s.picture or first, "filter-picture")}
        if s.source == "sound":
            return {heard: sounds.choices(stock.sounds, s.picture)}
        return {paper: {"image": None, "size": PAPER, "ink": "#1f2430", "brush": 4, "strokes": uri(stock.pictures[s.picture].pixels)}
                } if s.picture else {}

    view = View(Filter, inputs, outputs, show, restore, line, ahead={"lens": lens, "grid": grid, "sums": sums, "again": again})

    def changed(request: gr.Request, *values: Any) -> Iterator[Update]:
        session = stock.sessions[request.session_hash]
        yield from show(request, read(session.kept, dict(zip(inputs, values, strict=True))))

    def own_numbers(request: gr.Request, *values: Any) -> Iterator[Update]:
        session = stock.sessions[request.session_hash]
        named = {**dict(zip(inputs, values, strict=True)), "kernel": "weights"}
        yield from show(request, read(session.kept, named))

    def at(request: gr.Request, event: gr.EventData) -> Update:
        session = stock.sessions[request.session_hash]
        if "filter shown" not in session.kept:  # what came with the page
            list(show(request, Filter()))
        picture, found, s = session.kept["filter shown"]
        height, width = found.values.shape[:2]
        row, column = int(np.clip(event.row, 0, height - 1)), int(np.clip(event.column, 0, width - 1))
        session.kept |= {"filter row": row, "filter column": column}
        return explained(picture, found, replace(s, row=row, column=column), row, column)

    def dropped(request: gr.Request, event: gr.EventData, *values: Any) -> Iterator[Update]:
        picture = stock.pictures.drop(event.data, event.name)
        session = stock.sessions[request.session_hash]
        session.kept |= {"filter row": -1, "filter column": -1}
        s = replace(read(session.kept, dict(zip(inputs, values, strict=True))), picture=picture.key, source="picture")
        for update in show(request, s):
            yield {**update, picked: parts.choices(stock, picture.key, "filter-picture")}

    def dropped_sound(request: gr.Request, event: gr.EventData, *values: Any) -> Iterator[Update]:
        sound = stock.sounds.drop(event.data, event.name)
        session = stock.sessions[request.session_hash]
        s = replace(read(session.kept, dict(zip(inputs, values, strict=True))), picture=sound.key, source="sound")
        for update in show(request, s):
            yield {**update, heard: sounds.choices(stock.sounds, sound.key)}

    answer = parts.answering(line, stock, Filter.TAB)
    live: dict[str, Any] = {"outputs": outputs, "show_progress": "hidden", "trigger_mode": "always_last"}
    gr.on([source.input, picked.input, heard.input, paper.input, kind.input, angle.input, every.input, sigma.input, wavelength.input,
           length.input, size.input, border.input, stride.input], answer(changed), list(inputs.values()), **live)
    grid.input(answer(own_numbers), list(inputs.values()), **live)
    lens.select(answer(at, beside=True), None, [sums, again, line], show_progress="hidden", trigger_mode="always_last")
    picked.drop_file(answer(dropped), list(inputs.values()), **live)
    heard.drop_file(answer(dropped_sound), list(inputs.values()), **live)
    return view

