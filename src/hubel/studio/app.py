"""The studio as a web app: tabs put together, limits set, served. Depends on Gradio and on every view.

`hubel.studio.launch` calls it, having imported Gradio.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Sequence
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
        for view in views:
            _wire(app, view, stock, search, ahead)
        app.load(_tab_of, [search], [tabs], js=SEARCH, show_progress="hidden")

        def closed(request: gr.Request) -> None:
            stock.sessions.forget(request.session_hash)

        app.unload(closed)
    return app


def _tab_of(search: str) -> Any:
    wanted = dict(parse_qsl(search.lstrip("?"))).get("tab")
    names = {import_module(f"hubel.studio.{module}").VIEW.TAB: module for module, _ in TABS}
    return gr.update(selected=names[wanted]) if wanted in names else gr.skip()


def _wire(app: gr.Blocks, view: View, stock: Stock, search: Any, ahead: Ahead | None) -> None:
    """Open the view when the page's link asks for it, or when its tab is first chosen."""
    name = view.settings.TAB
    first = name == "filter"
    filled = ahead is not None and bool(view.ahead) and _fill(view, ahead.result())

    def shown(request: gr.Request, query: dict[str, str]) -> Iterator[Update]:
        stock.sessions[request.session_hash].kept[f"opened {name}"] = True
        settings, complaints = from_query(view.settings, query)
        restored = view.restore(settings)
        for update in view.show(request, settings):
            yield {**restored, **update}
            restored = {}
        if complaints:
            yield {view.status: parts.said(" ".join(complaints), "error")}

    def on_load(request: gr.Request, text: str) -> Iterator[Update]:
        query = dict(parse_qsl(text.lstrip("?")))
        if view.ahead and not query and ahead is not None and (given := ahead.result(5.0)) is not None:
            stock.sessions[request.session_hash].kept[f"opened {name}"] = True
            yield {view.status: ""} if filled else {view.ahead[part]: value for part, value in given.items()}
            threading.Thread(target=_warm, daemon=True).start()
        elif query.get("tab", "filter" if first else None) == name:
            yield from shown(request, query)
        else:
            yield {view.status: gr.skip()}

    def on_select(request: gr.Request) -> Iterator[Update]:
        if f"opened {name}" in stock.sessions[request.session_hash].kept:
            chooser = view.inputs.get("model")  # models may have been trained since
            yield {view.status: gr.skip()} if chooser is None else {chooser: gr.update(choices=list(stock.models))}
        else:
            yield from shown(request, {})

    answer = parts.answering(view.status)
    app.load(answer(on_load), [search], view.outputs, js=SEARCH, show_progress="hidden")
    link = f"() => {{ history.replaceState(null, '', (window.hubelLinks || {{}})['{name}'] || '?tab={name}') }}"
    view.tab.select(None, js=link)
    view.tab.select(answer(on_select), None, view.outputs, show_progress="hidden")


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
_HEAD = '<meta name="viewport" content="width=device-width, initial-scale=1"><script>window.hubelSearch = location.search</script>'


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
