"""What all views share: the line that says how it goes, errors as sentences, figures as HTML, the footer. Depends on Gradio, widgets."""

from __future__ import annotations

import functools
import html
import inspect
import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from hubel.errors import HubelError
from hubel.studio import widgets
from hubel.studio.links import Settings
from hubel.studio.pictures import thumb
from hubel.studio.sessions import Done, Progress, Session, Stopped
from hubel.studio.stock import Stock

Update = dict[Any, Any]
log = logging.getLogger("hubel.studio")
APART = 0.08  # seconds between two updates of one answer: of two that arrive together, the page keeps the later alone


@dataclass
class View:
    """One tab: its settings, the control for each of them, and `show(request, settings)`, which yields updates.

    `inputs` are its controls by name; `outputs` all components that `show` and `restore` may update; `restore` gives those that
    `show` does not set by itself. `status` is the line for errors, `tab` the tab. `ahead` names the
    components whose values are computed while the studio starts (`hubel.studio.ahead`).
    """

    settings: type[Settings]
    inputs: dict[str, Any]
    outputs: list[Any]
    show: Callable[..., Iterator[Update]]
    restore: Callable[[Any], Update] = lambda settings: {}
    status: Any = None
    tab: Any = None
    ahead: Mapping[str, Any] = field(default_factory=dict)


def status(stock: Stock, view: str) -> tuple[gr.HTML, gr.Button]:
    """The line that says what is being done, or what went wrong, and a button that stops it."""
    with gr.Row(elem_classes="hb-status-row"):
        line = gr.HTML("", elem_classes="hb-status-line")
        stop = gr.Button("Stop", size="sm", visible=False, elem_classes="hb-stop", min_width=80)

    def halt(request: gr.Request) -> None:
        stock.sessions[request.session_hash].stop(view)

    stop.click(halt, None, None, queue=False, show_progress="hidden")
    return line, stop


def follow(steps: Iterator[Any], line: Any, stop: Any) -> Iterator[Update | Done[Any]]:
    """Yield an update for each Progress of a job, and in the end its Done."""
    try:
        for step in steps:
            if isinstance(step, Progress):
                yield {line: bar(step), stop: gr.update(visible=True)}
            else:
                yield step
    except Exception:
        yield {stop: gr.update(visible=False)}
        raise


def opened(stock: Stock, session: Session, view: str, name: str, line: Any, stop: Any) -> Generator[Update, None, Any]:
    """Return the session's own copy of a model; a bar says so when that takes a while, as the first time does."""
    for step in follow(session.run(view, lambda: stock.model(session, name), "opening the model", alone=False), line, stop):
        if isinstance(step, Done):
            return step.value
        yield step


def said(text: str, kind: str = "note") -> str:
    """A sentence for the status line; kind 'note' or 'error'."""
    role = ' role="alert"' if kind == "error" else ' role="status"'
    return f'<p class="hb-status hb-{kind}"{role}>{html.escape(text)}</p>' if text else ""


def bar(progress: Progress) -> str:
    """A progress bar, with the time left once it can be told."""
    share = progress.share
    left = f", {_seconds(progress.seconds * (1 - share) / share)} left" if share > 0.02 and progress.seconds > 1 else ""
    count = f" {progress.done:.0f} of {progress.total:.0f}" if progress.total > 1 else f" {share:.0%}" if progress.total else ""
    text = f"{progress.what or 'working'}{count}{left}"
    return (f'<div class="hb-status hb-busy" role="status"><span>{html.escape(text)}</span>'
            f'<progress max="1" {f"value={share:.3f}" if share else ""} aria-label="progress"></progress></div>')


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def sentence(error: BaseException) -> str:
    """What to tell the user about an error."""
    if isinstance(error, Stopped):
        return said("Stopped.")
    if isinstance(error, HubelError):
        text = str(error)
        return said(text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else "."), "error")
    if isinstance(error, MemoryError):
        return said("There is not enough memory for this: take a smaller picture or model.", "error")
    return said(f"Something went wrong that was not foreseen ({type(error).__name__}: {error}). The terminal tells more.", "error")


def told(error: Exception) -> str:
    """What to tell the user about an error; one that was not foreseen is logged."""
    if not isinstance(error, HubelError):
        log.error("a view failed", exc_info=error)
    return sentence(error)


def while_wanted(updates: Generator[Update, None, None], wanted: Callable[[], bool], line: Any) -> Iterator[Update]:
    """Hand on the updates of a generator as long as they are `wanted()`, then end its work; what it raises becomes a sentence in the
    status `line`."""
    last = 0.0
    try:
        for update in updates:
            time.sleep(max(0.0, last + APART - time.monotonic()))
            if wanted():
                yield update
            if not wanted():  # asked after the pause too: the next step may start long work
                break
            last = time.monotonic()
    except Exception as error:
        if wanted():
            yield {line: told(error)}
    finally:
        updates.close()  # nobody waits for it any more, or the reader has gone
    if not wanted():
        yield {line: gr.skip()}  # at its end Gradio sends an event's last update once more


def answering(line: Any, stock: Stock, view: str) -> Callable[..., Callable[..., Any]]:
    """Decorate a handler of what the user does in a view, a function or a generator of updates: what it raises becomes a sentence
    in the status `line`. Once the user has asked for something later, it says nothing more and is ended, as is the opening of
    the view; but one that is `beside` the answer (what a click into a picture tells of it) neither ends others nor is ended."""

    def decorate(handler: Callable[..., Any], beside: bool = False) -> Callable[..., Any]:
        @functools.wraps(handler)
        def run(*arguments: Any) -> Iterator[Update]:
            session = stock.sessions[arguments[0].session_hash]
            if beside:
                session.turns.setdefault(view, 0)
            latest = (lambda: True) if beside else session.turn(view)

            def steps() -> Generator[Update, None, None]:
                found = handler(*arguments)
                if inspect.isgenerator(found):
                    yield from found
                else:
                    yield found

            yield from while_wanted(steps(), latest, line)

        return run

    return decorate


def choices(stock: Stock, chosen: str, group: str, label: str = "picture", own: bool = True, most: int = 12,
            model: Any = None) -> dict[str, Any]:
    """The value of a picker over the built-in pictures (or those that suit a model), and the chosen one."""
    keys = stock.examples(model, most)
    chosen = chosen or keys[0]
    found = [stock.picture(key) for key in ([] if chosen in keys else [chosen]) + keys]
    return {"group": group, "label": label, "own": own, "chosen": chosen,
            "choices": [{"key": p.key, "name": p.name, "thumb": thumb(p.pixels)} for p in found]}


def footer() -> gr.HTML:
    """The folded part at the end of each view: link, command line, Python."""
    return widgets.again()


def figure(source: str, title: str, note: str = "", kind: str = "", small: bool = False) -> str:
    """One picture with a title above and small print below."""
    pixelated = " hb-pixelated" if small else ""
    return (f'<figure class="hb-figure {kind}"><figcaption><b>{html.escape(title)}</b></figcaption>'
            f'<img class="{pixelated.strip()}" alt="{html.escape(title)}" src="{source}">'
            f'{f"<p>{note}</p>" if note else ""}</figure>')


def figures(parts: list[str], columns: int | None = None) -> str:
    style = f' style="--hb-columns:{columns}"' if columns else ""
    return f'<div class="hb-figures"{style}>{"".join(parts)}</div>'


def predictions(rows: list[tuple[str, float]], mark: Mapping[str, str] | None = None) -> str:
    """The likeliest classes as bars; `mark` gives some of them a class of style."""
    lines = "".join(
        f'<li class="{(mark or {}).get(name, "")}"><span class="hb-name">{html.escape(name)}</span>'
        f'<span class="hb-bar"><i style="width:{100 * share:.1f}%"></i></span><span class="hb-share">{share:.1%}</span></li>'
        for name, share in rows)
    return f'<ol class="hb-predictions">{lines}</ol>'
