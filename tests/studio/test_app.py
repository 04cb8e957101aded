"""The app as a server: nothing outside the chosen folders is readable, nothing is fetched from anywhere, other names get no answer."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from hubel.cli import run
from hubel.studio.stock import Stock

gradio = pytest.importorskip("gradio")


def ask(url: str, **headers: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=120) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace")


@pytest.mark.parametrize("path", ["/etc/passwd", "{home}/.bashrc", "{source}", "{work}/model.hubel", "../../../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd"])
def test_no_file_can_be_asked_for(server, work, path):
    named = path.format(home=Path.home(), source=__file__, work=work)
    for route in ("gradio_api/file=", "file=", "gradio_api/file/", "static/"):
        status, text = ask(f"{server}{route}{named}")
        assert status in (403, 404, 405), (route, named, status)
        assert "root:" not in text


def test_the_page_fetches_nothing_from_elsewhere(server):
    _, page = ask(server)
    tags = re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"([^\"]+)\"", page)
    assert tags and not [t for t in tags if re.match(r"(https?:)?//", t) and "127.0.0.1" not in t]
    config = json.loads(ask(f"{server}config")[1])
    assert config["analytics_enabled"] is False


def test_other_names_get_no_answer(server):
    assert ask(server)[0] == 200
    assert ask(server, Host="evil.example")[0] == 400


def test_too_large_a_body_is_refused(server):
    request = urllib.request.Request(f"{server}gradio_api/queue/join", data=b"x" * 100, headers={"Content-Length": str(10**9)})
    with pytest.raises((urllib.error.HTTPError, urllib.error.URLError)) as caught:
        urllib.request.urlopen(request, timeout=120)
    assert getattr(caught.value, "code", 413) == 413


def test_other_hosts_need_a_password(capsys):
    assert run(["studio", "--host", "0.0.0.0"]) == 2
    said = capsys.readouterr().err
    assert "--auth" in said and said.count("\n") == 1


def test_a_model_that_is_not_there_is_said_at_once(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["studio", "missing.hubel"]) == 2
    assert "missing.hubel does not exist" in capsys.readouterr().err


def test_it_imports_no_torch_before_it_serves():
    code = ("import sys; from hubel.studio import build; from hubel.studio.stock import Stock; build(Stock()); "
            "print('torch' in sys.modules, 'pandas' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip().endswith("False False")


def test_gradio_is_whole_when_what_it_needs_is_put_off():
    code = ("from hubel.studio.lighter import import_gradio; import_gradio(); import sys, gradio as gr; assert 'pandas' not in sys.modules; "
            "import pandas; frame = gr.DataFrame().postprocess(pandas.DataFrame({'a': [1, 2]})); print(frame.headers, frame.data, "
            "gr.external.external_utils.HfApi.__name__)")
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "['a'] [[1], [2]] HfApi"


def test_what_is_computed_ahead_is_what_the_view_shows(stock):
    from hubel.studio import filtering
    from hubel.studio.ahead import Ahead

    with Ahead() as ahead:
        given = ahead.result(120)
    s, picture = filtering.Filter(), stock.pictures[stock.pictures.first]
    shown = filtering.look_through(picture, s)
    assert given is not None and {**given["lens"], "ahead": None} == {**shown.lens, "ahead": None}
    assert given["sums"] == filtering.explain(picture, shown.found, s, *shown.lens["at"])[0]


def test_a_tab_chosen_while_the_page_opens_is_opened_in_whatever_order_the_server_hears(work, trained):
    from hubel.studio.app import build

    stock = Stock(str(work / trained), ["digits"], work)
    app = build(stock)
    functions = [f.fn for f in app.fns.values() if getattr(f.fn, "__module__", "") == "hubel.studio.app"]
    load = next(f for f in functions if f.__name__ == "on_load")
    filtering, *_, claims = [f for f in functions if f.__qualname__ == "_with.<locals>.run"]
    for number, order in enumerate(itertools.permutations(((load, ""), (filtering,), (claims,)))):
        request = SimpleNamespace(session_hash=str(number))
        given = [update for function, *arguments in order for update in function(request, *arguments)]
        said = [value for update in given for value in update.values() if isinstance(value, str)]
        assert any("Backpropagation" in text for text in said)
