"""The Reuse tab: a classifier from a few pictures of each class, or one example found again in other photos. Depends on reusing, parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from hubel.studio import parts, widgets
from hubel.studio.links import again_value
from hubel.studio.parts import Update, View
from hubel.studio.pictures import shown as smaller
from hubel.studio.pictures import uri
from hubel.studio.reusing import (
    Groups,
    Reuse,
    again,
    box_around,
    box_strokes,
    classified,
    found_again,
    groups_of,
    page_of_classes,
    page_of_places,
    text_of,
    value_of,
)
from hubel.studio.sessions import Done
from hubel.studio.stock import Stock

VIEW = Reuse


def build(stock: Stock) -> View:
    """Make the tab's components and wire them; call within a gr.Tab."""
    first = stock.first_model
    with gr.Row(elem_classes="hb-view"):
        with gr.Column(scale=1, min_width=300, elem_classes="hb-controls"):
            mode = gr.Radio([("Classify", "classify"), ("Find", "find")], value="classify", label="From a few examples", elem_classes="hb-segments")
            classes = widgets.groups({})
            photos = widgets.groups({})
            picked = widgets.picker({"group": "reuse-example", "label": "example", "own": True, "chosen": "", "choices": []}, visible=False)
            paper = widgets.paint({"size": None}, visible=False)
            among = widgets.groups({}, visible=False)
            model = gr.Dropdown(list(stock.models), value=first, label="Features of", filterable=False)
        with gr.Column(scale=3, min_width=320):
            line, stop = parts.status(stock, "reuse")
            shown = gr.HTML("")
            footer = parts.footer()
    inputs = {"mode": mode, "classes": classes, "photos": photos, "picked": picked, "paper": paper, "among": among, "model": model}
    outputs = [*inputs.values(), line, stop, shown, footer]

    def read(request: gr.Request, values: dict[str, Any]) -> Reuse:
        def said(name: str) -> Groups:
            return [(g["name"], list(g["keys"])) for g in (values[name] or {}).get("groups", [])]

        example = (values["picked"] or {}).get("chosen") or "coins"
        paper, kept = values["paper"] or {}, stock.sessions[request.session_hash].kept
        box = kept.get("reuse box", "")
        if paper.get("strokes") and paper.get("version") == example:
            box = box_around(paper["strokes"], stock.picture(example).pixels.shape)
        return Reuse(mode=values["mode"], classes=text_of(said("classes")), photos=",".join(k for _, keys in said("photos") for k in keys),
                     example=example, box=box, among=",".join(k for _, keys in said("among") for k in keys), model=values["model"])

    def show(request: gr.Request, s: Reuse) -> Iterator[Update]:
        session = stock.sessions[request.session_hash]
        if s.example not in stock.pictures:
            s = replace(s, example=stock.pictures.first, box="", among=stock.pictures.first)
        s = replace(s, model=s.model or first)
        session.kept["reuse box"] = s.box
        own, find = (yield from parts.opened(stock, session, "reuse", s.model, line, stop)), s.mode == "find"
        example = stock.picture(s.example)
        small = smaller(example.pixels, 400)
        yield {mode: s.mode, classes: gr.update(value=value_of(stock, groups_of(s.classes), True), visible=not find),
               photos: gr.update(value=value_of(stock, [("photos to classify", s.photos.split(","))], False), visible=not find),
               among: gr.update(value=value_of(stock, [("photos to look in", s.among.split(","))], False), visible=find),
               picked: gr.update(value=parts.choices(stock, s.example, "reuse-example", most=16), visible=find),
               paper: gr.update(value={"image": uri(small), "size": list(small.shape[:2]), "ink": "#00a98f", "brush": 6, "version": s.example,
                                       "title": "the example: paint over the object", "strokes": box_strokes(s.box, example.pixels, small)},
                                visible=find),
               model: gr.update(value=s.model, choices=list(stock.models)), footer: again_value(s, again(stock, s))}

        def work() -> str:
            return page_of_places(stock, found_again(stock, own, s)) if find else page_of_classes(stock, classified(stock, own, s))

        for step in parts.follow(session.run("reuse", work, "looking" if find else "learning"), line, stop):
            yield {shown: step.value, line: "", stop: gr.update(visible=False)} if isinstance(step, Done) else step

    def changed(request: gr.Request, *values: Any) -> Iterator[Update]:
        yield from show(request, read(request, dict(zip(inputs, values, strict=True))))

    def other_example(request: gr.Request, *values: Any) -> Iterator[Update]:
        stock.sessions[request.session_hash].kept["reuse box"] = ""
        yield from show(request, read(request, dict(zip(inputs, values, strict=True))))

    def dropped_example(request: gr.Request, event: gr.EventData, *values: Any) -> Iterator[Update]:
        picture = stock.pictures.drop(event.data, event.name)
        yield from show(request, replace(read(request, dict(zip(inputs, values, strict=True))), example=picture.key, box=""))

    def dropped(which: str) -> Any:
        def take(request: gr.Request, event: gr.EventData, *values: Any) -> Iterator[Update]:
            key = stock.pictures.drop(event.data, event.name).key
            s = read(request, dict(zip(inputs, values, strict=True)))
            if which == "classes":
                groups = groups_of(s.classes)
                number = min(max(int(event.group), 0), len(groups) - 1)
                groups[number] = (groups[number][0], [*groups[number][1], key])
                s = replace(s, classes=text_of(groups))
            else:
                s = replace(s, **{which: ",".join([*filter(None, getattr(s, which).split(",")), key])})
            yield from show(request, s)

        return take

    answer = parts.answering(line, stock, Reuse.TAB)
    live: dict[str, Any] = {"outputs": outputs, "show_progress": "hidden", "trigger_mode": "always_last"}
    gr.on([mode.input, classes.input, photos.input, among.input, paper.input, model.input], answer(changed), list(inputs.values()), **live)
    picked.input(answer(other_example), list(inputs.values()), **live)
    picked.drop_file(answer(dropped_example), list(inputs.values()), **live)
    for name, component in (("classes", classes), ("photos", photos), ("among", among)):
        component.drop_file(answer(dropped(name)), list(inputs.values()), outputs=outputs, show_progress="hidden", trigger_mode="multiple",
                            concurrency_limit=1)
    return View(Reuse, inputs, outputs, show, status=line)
