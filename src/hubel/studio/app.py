"""The studio as a web app: tabs put together, limits set, served. Depends on Gradio and on every view.

`hubel.studio.launch` calls it, having imported Gradio.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr

from hubel.loopback import is_loopback
from hubel.studio import limits, parts
from hubel.studio.ahead import Ahead
from hubel.studio.links import from_query
from hubel.studio.parts import Update, View
from hubel.studio.stock import Stock
from hubel.studio.widgets import STATIC

TABS = (("filter", "Filter"), ("train", "Train"), ("look", "Look"), ("breaking", "Break"), ("reuse", "Reuse"), ("encode", "Encode"), ("claims", "Claims"))
SEARCH = "() => window.hubelSearch"  # as it was when the page came: opening a tab changes the address


def build(stock: Stock, ahead: Ahead | None = None) -> gr.Blocks:
    """Return the app. A view is computed when it is first opened, so that none waits for another; the first one's may come `ahead`."""
    views: list[View] = []
    with gr.Blocks(title="Hubel studio", analytics_enabled=False, fill_width=True) as app:
        gr.HTML('<header class="hb-top"><h1>Hubel studio</h1><p>Convolutional networks: filter, train, look inside, break, '
                "reuse, encode, and test what is claimed of them. Everything stays on this machine.</p></header>")
        search = gr.Textbox(visible=False)
        with gr.Tabs() as tabs:
            for module, title in TABS:
                with gr.Tab(title, id=module) as tab:
                    view = import_module(f"hubel.studio.{module}").build(stock)
                    view.tab = tab
                    views.append(view)
        _open(app, views, stock, search, tabs, ahead)

        def closed(request: gr.Request) -> None:
            stock.sessions.forget(request.session_hash)

        app.unload(closed)
    return app


def _open(app: gr.Blocks, views: list[View], stock: Stock, search: Any, tabs: Any, ahead: Ahead | None) -> None:
    """Open a view when the page's link asks for it, or when its tab is first chosen.

    One event opens the page, whatever its link says; and once the user has done something in a view, what opening it
    would still have put there is dropped: a picture that somebody brings at once stays.
    """
    first = views[0]
    filled = ahead is not None and _fill(first, ahead.result())

    def shown(request: gr.Request, view: View, query: dict[str, str]) -> Iterator[Update]:
        turns = stock.sessions[request.session_hash].turns

        def steps() -> Generator[Update, None, None]:
            settings, complaints = from_query(view.settings, query)
            restored = view.restore(settings)
            for update in view.show(request, settings):
                yield {**restored, **update}
                restored = {}
            if complaints:
                yield {view.status: parts.said(" ".join(complaints), "error")}

        yield from parts.while_wanted(steps(), lambda: view.settings.TAB not in turns, view.status)

    def on_load(request: gr.Request, text: str) -> Iterator[Update]:
        kept = stock.sessions[request.session_hash].kept
        query = dict(parse_qsl(text.lstrip("?")))
        at = next((i for i, view in enumerate(views) if query.get("tab") == view.settings.TAB), 0)
        _is_first(kept, f"opened {views[at].settings.TAB}")
        kept["loaded"] = True  # before `asked` is read, as a chosen tab says so before it asks whether the page is open
        asked = kept.get("asked", views[at])
        if asked is not views[at] and _is_first(kept, f"opened {asked.settings.TAB}"):  # the user has already chosen another tab
            yield from shown(request, asked, {})
        elif at:
            yield {tabs: gr.update(selected=TABS[at][0])}
        if not query and ahead is not None and (given := ahead.result(5.0)) is not None:
            if not filled and first.settings.TAB not in stock.sessions[request.session_hash].turns:
                yield {first.ahead[part]: value for part, value in given.items()}
            else:
                yield {tabs: gr.skip()}
            threading.Thread(target=_warm, daemon=True).start()
            return
        yield from shown(request, views[at], query)

    def on_select(request: gr.Request, view: View) -> Iterator[Update]:
        kept, opened = stock.sessions[request.session_hash].kept, f"opened {view.settings.TAB}"
        chooser = view.inputs.get("model")  # models may have been trained since
        if view is not first:  # which Gradio chooses by itself before the page is open
            kept["asked"] = view
        if "loaded" in kept and _is_first(kept, opened):
            yield from shown(request, view, {})
        else:
            yield {view.status: gr.skip()} if chooser is None else {chooser: gr.update(choices=list(stock.models))}

    app.load(on_load, [search], [tabs, *(part for view in views for part in view.outputs)], js=SEARCH, show_progress="hidden")
    for view in views:
        link = f"() => {{ history.replaceState(null, '', (window.hubelLinks || {{}})['{view.settings.TAB}'] || '?tab={view.settings.TAB}') }}"
        view.tab.select(None, js=link)
        view.tab.select(_with(on_select, view), None, view.outputs, show_progress="hidden")


def _is_first(kept: dict[str, Any], name: str) -> bool:
    """Whether nobody has set this mark before; two events of one page run side by side."""
    mark = object()
    return kept.setdefault(name, mark) is mark


def _with(handler: Callable[[gr.Request, View], Iterator[Update]], view: View) -> Callable[[gr.Request], Iterator[Update]]:
    def run(request: gr.Request) -> Iterator[Update]:
        yield from handler(request, view)

    return run


def _fill(view: View, given: dict[str, Any] | None) -> bool:
    """Put a view's values into the page itself, if they are there."""
    for part, value in (given or {}).items():
        view.ahead[part].value = value
    return given is not None


def prepare(model: str | None, data: Sequence[str], host: str, auth: str | None, work: Path | None) -> tuple[Stock, tuple[str, str] | None]:
    """Return the stock and the user that is let in; raises InputError, ModelError, DataError (see `hubel.studio.launch`)."""
    user = limits.check_host(host, auth)
    stock = Stock(model, data, work)
    if model is not None:
        stock.shared(stock.first_model)
    return stock, user


def serve(stock: Stock, *, host: str, port: int | None, user: tuple[str, str] | None, inbrowser: bool, block: bool, ahead: Ahead) -> gr.Blocks:
    """Start the server; with `block` until Ctrl-C."""
    app = build(stock, ahead)
    app.queue(default_concurrency_limit=8, max_size=64)
    app.launch(
        server_name=host, server_port=port, auth=user, inbrowser=inbrowser, prevent_thread_lock=True, quiet=True, share=False,
        ssr_mode=False, show_error=True, footer_links=[], run_history=False, enable_monitoring=False, mcp_server=False, pwa=False,
        max_file_size=limits.MAX_FILE, allowed_paths=[], blocked_paths=[str(Path.home())], theme=_theme(),
        css=(STATIC / "studio.css").read_text("utf-8"), js=_LIGHT, head=_HEAD, app_kwargs={"middleware": _middleware(host)})
    print(f"Hubel studio: {app.local_url}   (Ctrl-C ends it)", flush=True)
    if block:
        app.block_thread()
    return app


@functools.cache
def _warm() -> None:
    """Import what the filters need, once a page shows what came with it: before that it would have kept the page waiting."""
    import hubel.features.filters  # noqa: F401


_LIGHT = "() => { document.body.classList.remove('dark'); document.documentElement.lang = 'en'; }"
_HEAD = ('<meta name="viewport" content="width=device-width, initial-scale=1"><script>window.hubelSearch = location.search</script>'
         "<style>@media (max-width: 720px) { .gradio-container .app { padding: 10px 14px !important; } }</style>")  # above what Gradio lets css= reach


def _middleware(host: str) -> list[Any]:
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    found = [Middleware(limits.BodyLimit)]
    if is_loopback(host):  # a page elsewhere that lets its name point here (DNS rebinding) gets no answer
        found.append(Middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", "[::1]", host]))
    return found


@functools.cache
def _theme() -> gr.themes.Base:
    """System fonts and one blue: nothing is fetched from anywhere."""
    blue = gr.themes.Color("#eef4fd", "#dbe8fa", "#b9d2f5", "#8db5ec", "#5b91de", "#1d5fbf", "#1a55ab", "#174a94", "#133c78", "#0f2f5e",
                           "#0a2145")
    return gr.themes.Base(primary_hue=blue, neutral_hue=gr.themes.colors.slate, font=["system-ui", "sans-serif"],
                          font_mono=["ui-monospace", "monospace"], radius_size=gr.themes.sizes.radius_md).set(
        body_background_fill="#f5f6f8", block_border_width="0px", block_background_fill="transparent", block_padding="0px",
        block_label_text_color="#1f2430", block_title_text_color="#1f2430", block_title_text_weight="600", body_text_color="#1f2430",
        body_text_color_subdued="#566072", block_info_text_color="#566072", input_border_color="#b8c0cc", input_background_fill="#ffffff",
        button_primary_background_fill="#1d5fbf", button_primary_background_fill_hover="#174a94", button_primary_text_color="#ffffff",
        block_shadow="none", layout_gap="14px", slider_color="#1d5fbf", input_placeholder_color="#566072")
