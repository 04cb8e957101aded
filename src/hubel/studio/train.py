"""The Train tab: data, network and tricks; live curves, the first layer's filters as they become, stop and go on. Depends on teaching, parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from hubel.errors import InputError
from hubel.studio import parts
from hubel.studio.links import again_value
from hubel.studio.parts import Update, View
from hubel.studio.sessions import Done
from hubel.studio.stock import Stock
from hubel.studio.teaching import NETWORKS, TRICKS, Run, Train, again, name_of, picture, teach, verdict

VIEW = Train


def build(stock: Stock) -> View:
    """Make the tab's components and wire them; call within a gr.Tab."""
    with gr.Row(elem_classes="hb-view"):
        with gr.Column(scale=1, min_width=300, elem_classes="hb-controls"):
            data = gr.Dropdown(list(stock.data), value=next(iter(stock.data)), label="Images", filterable=False)
            network = gr.Dropdown([(text, name) for name, text in NETWORKS.items()], value="", label="Network", filterable=False)
            tricks = gr.CheckboxGroup([(text, name) for name, text in TRICKS.items()], value=list(TRICKS), label="Tricks")
            epochs = gr.Slider(0, 60, value=0, step=1, label="Epochs, 0: by the number of images")
            harden = gr.Slider(0, 32, value=0, step=1, label="Harden against changes of so many levels of 255")
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, min_width=80)
            go = gr.Button("Train", variant="primary")
        with gr.Column(scale=3, min_width=320):
            line, stop = parts.status(stock, "train")
            told = gr.HTML("")
            shown = gr.HTML("")
            footer = parts.footer()
    inputs: dict[str, Any] = {"data": data, "network": network, "tricks": tricks, "epochs": epochs, "harden": harden, "seed": seed}
    outputs = [*inputs.values(), line, stop, go, told, shown, footer]
    running: set[str] = set()

    def read(values: dict[str, Any]) -> Train:
        without = ",".join(name for name in TRICKS if name not in (values["tricks"] or ()))
        return Train(data=values["data"], network=values["network"] or "", without=without, epochs=int(values["epochs"]),
                     harden=int(values["harden"]), seed=int(values["seed"] or 0))

    def show(request: gr.Request, s: Train) -> Iterator[Update]:
        left = s.left_out()
        s = replace(s, data=s.data if s.data in stock.data else next(iter(stock.data)))
        half = (stock.work / f"{name_of(stock, s)}.training").exists()
        yield {data: s.data, network: s.network, tricks: [t for t in TRICKS if t not in left], epochs: s.epochs, harden: s.harden, seed: s.seed,
               go: gr.update(value="Go on training" if half else "Train"), footer: again_value(s, again(stock, s)),
               told: parts.said("These settings were stopped before: training goes on from there." if half else
                                "Choose images, network and tricks, then press Train. On the digits it takes some seconds.")}

    def changed(request: gr.Request, *values: Any) -> Iterator[Update]:
        s = read(dict(zip(inputs, values, strict=True)))
        half = (stock.work / f"{name_of(stock, s)}.training").exists()
        yield {go: gr.update(value="Go on training" if half else "Train"), footer: again_value(s, again(stock, s))}

    def train(request: gr.Request, *values: Any) -> Iterator[Update]:
        s = read(dict(zip(inputs, values, strict=True)))
        session, name, run = stock.sessions[request.session_hash], name_of(stock, s), Run()
        if name in running:
            raise InputError("these settings are being trained in another browser tab: wait for it, or change one of them")
        running.add(name)
        try:
            yield {told: "", shown: "", go: gr.update(interactive=False), footer: again_value(s, again(stock, s))}
            for step in parts.follow(session.run("train", lambda: teach(stock, s, run), "loading the images", alone=False, halt=run.stop.set), line, stop):
                if not isinstance(step, Done):
                    yield {**step, shown: picture(run)} if run.batches else step
                    continue
                taught, found = step.value
                half = found is None
                yield {told: verdict(taught, found, name), shown: picture(run), line: "", stop: gr.update(visible=False),
                       go: gr.update(value="Go on training" if half else "Train", interactive=True)}
        except Exception:
            yield {go: gr.update(interactive=True), stop: gr.update(visible=False)}
            raise
        finally:
            running.discard(name)

    answer = parts.answering(line, stock, Train.TAB)
    gr.on([c.input for c in inputs.values()], answer(changed, beside=True), list(inputs.values()), [go, footer, line], show_progress="hidden",
          trigger_mode="always_last")
    go.click(answer(train), list(inputs.values()), outputs, show_progress="hidden")
    return View(Train, inputs, outputs, show, status=line)
