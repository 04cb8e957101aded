"""The Claims tab: one of the field's claims, measured here and now, with its figure and verdict. Depends on phenomena, parts."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import gradio as gr

from hubel.studio import parts
from hubel.studio.links import Again, Settings, again_value, command, setting, to_query
from hubel.studio.parts import Update, View
from hubel.studio.sessions import Done
from hubel.studio.stock import Stock

SIZES = {"smallest": "the direction only", "quick": "wider intervals", "default": "the whole measurement"}
GOOD = {"held": "hb-good", "did not hold": "hb-bad"}


@dataclass(frozen=True)
class Claims(Settings):
    TAB: ClassVar[str] = "claims"
    claim: str = setting("")
    size: str = setting("smallest", one_of=tuple(SIZES))
    seed: int = setting(0, least=0, most=2**31)
    run: bool = setting(False)


VIEW = Claims


def statement(claim: Any) -> str:
    """What is claimed, by whom, and what it would take to hold."""
    needs = "".join(f"<li>{html.escape(str(need))}</li>" for need in claim.needs)
    return (f'<p class="hb-verdict">{html.escape(claim.statement)}</p><p class="hb-rule">{html.escape(claim.source)}</p>'
            f'<p class="hb-rule">It holds if the whole 95% interval is on the right side of each bound:</p><ul class="hb-needs">{needs}</ul>')


def page(verdict: Any) -> str:
    """The outcome, need by need, and the figure."""
    from hubel.look.draw import data_uri

    rows = "".join(f'<tr><td><b class="{GOOD.get(part, "")}">{html.escape(part)}</b></td><td>{html.escape(need.about)}</td>'
                   f"<td>{html.escape(verdict.numbers[need.number].text(need.percent))}</td><td>{html.escape(need.bound)}</td></tr>"
                   for need, part in zip(verdict.claim.needs, verdict.parts, strict=True))
    return (f'<p class="hb-verdict"><b class="{GOOD.get(verdict.outcome, "")}">{html.escape(verdict.outcome[:1].upper() + verdict.outcome[1:])}.</b> '
            f"{html.escape(verdict.remark)}</p>"
            '<div class="hb-scroll" tabindex="0" role="group" aria-label="what was measured"><table class="hb-table"><thead><tr><th>Outcome</th><th>Number</th>'
            f"<th>Measured</th><th>Needed</th></tr></thead><tbody>{rows}</tbody></table></div>"
            f'<figure class="hb-figure hb-wide"><img alt="The figure of the claim" src="{data_uri(verdict.plot(), 110)}">'
            f"<p>{verdict.seconds:.1f} s of one core, size {html.escape(verdict.size)}, seed {verdict.seed}</p></figure>")


def again(s: Claims) -> Again:
    line = command("hubel", "claims", s.claim, *([f"--{s.size}"] if s.size != "default" else []), *(["--seed", s.seed] if s.seed else []))
    code = (f"from hubel import phenomena\n\nverdict = phenomena.run({s.claim!r}, {s.size!r}, seed={s.seed})\nprint(verdict)\nverdict.plot()")
    return Again(to_query(s), line, code)


def build(stock: Stock) -> View:
    """Make the tab's components and wire them; call within a gr.Tab."""
    with gr.Row(elem_classes="hb-view"):
        with gr.Column(scale=1, min_width=300, elem_classes="hb-controls"):
            claim = gr.Dropdown([], label="Claim", filterable=True)
            size = gr.Radio([(name, name) for name in SIZES], value="smallest", label="How thorough", elem_classes="hb-segments")
            cost = gr.HTML("")
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, min_width=80)
            go = gr.Button("Measure it", variant="primary")
        with gr.Column(scale=3, min_width=320):
            said = gr.HTML("")
            line, stop = parts.status(stock, "claims")
            shown = gr.HTML("")
            footer = parts.footer()
    inputs: dict[str, Any] = {"claim": claim, "size": size, "seed": seed}
    outputs = [*inputs.values(), cost, said, line, stop, shown, footer]

    def read(values: dict[str, Any]) -> Claims:
        return Claims(claim=values["claim"] or "", size=values["size"], seed=int(values["seed"] or 0))

    def dressed(s: Claims) -> tuple[Claims, Any, Update]:
        from hubel import phenomena

        known = phenomena.claims()
        chosen = phenomena.find(s.claim) if s.claim else known[0]
        s = replace(s, claim=chosen.name)
        names = [(f"{c.number}. {c.title}", c.name) for c in known]
        return s, chosen, {claim: gr.update(choices=names, value=s.claim), size: s.size, seed: s.seed, said: statement(chosen),
                           cost: f'<p class="hb-rule">{html.escape(SIZES[s.size])}, about {chosen.cost(s.size):.0f} s of one core</p>',
                           footer: again_value(s, again(s))}

    def show(request: gr.Request, s: Claims) -> Iterator[Update]:
        s, _, update = dressed(s)
        yield update
        if s.run:
            yield from measured(request, s)

    def measured(request: gr.Request, s: Claims) -> Iterator[Update]:
        from hubel import phenomena

        session = stock.sessions[request.session_hash]
        s = replace(s, run=True)
        steps = session.run("claims", lambda: page(phenomena.run(s.claim, s.size, s.seed)), "measuring", alone=False)
        for step in parts.follow(steps, line, stop):
            yield {shown: step.value, line: "", stop: gr.update(visible=False), footer: again_value(s, again(s))} if isinstance(step, Done) else step

    def changed(request: gr.Request, *values: Any) -> Iterator[Update]:
        yield {**dressed(read(dict(zip(inputs, values, strict=True))))[2], shown: ""}

    def go_on(request: gr.Request, *values: Any) -> Iterator[Update]:
        yield {shown: ""}
        yield from measured(request, dressed(read(dict(zip(inputs, values, strict=True))))[0])

    answer = parts.answering(line, stock, Claims.TAB)
    gr.on([c.input for c in inputs.values()], answer(changed), list(inputs.values()), outputs, show_progress="hidden", trigger_mode="always_last")
    go.click(answer(go_on), list(inputs.values()), outputs, show_progress="hidden")
    return View(Claims, inputs, outputs, show, status=line)
