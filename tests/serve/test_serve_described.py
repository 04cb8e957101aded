"""OpenAPI, the page, health and metrics say what is."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from asking import ask, encoded, one, run

from hubel import Model
from hubel.serve import application


def fits(schema: dict[str, Any], value: Any, root: dict[str, Any]) -> None:
    """Assert that a value is of a JSON schema, as far as ours go."""
    if "$ref" in schema:
        schema = root["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    types = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None)}
    assert any(isinstance(value, types[k]) for k in kinds), (schema, value)
    if isinstance(value, dict):
        assert set(value) == set(schema["required"]) == set(schema["properties"])
        for name, own in schema["properties"].items():
            fits(own, value[name], root)
    if isinstance(value, list):
        for item in value:
            fits(schema["items"], item, root)


def test_answers_are_as_openapi_has_them(app: Any, pictures: np.ndarray) -> None:
    about = json.loads(one(app, "/openapi.json", method="GET").body)
    assert about["openapi"] == "3.1.0"
    for path in ("/predict", "/embed", "/explain", "/attack?steps=2"):
        got = one(app, path, encoded(pictures[0]))
        operation = about["paths"][path.partition("?")[0]]["post"]
        fits(operation["responses"]["200"]["content"]["application/json"]["schema"], got.facts, about)
        assert {p["name"] for p in operation["parameters"]} == {p.name for p in app.verbs[path.partition("?")[0]].parameters}
    health = one(app, "/health", method="GET")
    fits(about["paths"]["/health"]["get"]["responses"]["200"]["content"]["application/json"]["schema"], health.facts, about)
    fits({"$ref": "#/components/schemas/Error"}, one(app, "/predict", b"x").facts, about)


def test_the_document_is_valid_openapi(app: Any) -> None:
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(json.loads(one(app, "/openapi.json", method="GET").body))


def test_locked_servers_say_so(model: Model) -> None:
    about = json.loads(one(application(model, token="12345678"), "/openapi.json", method="GET", authorization="Bearer 12345678").body)
    assert about["security"] and about["paths"]["/health"]["get"]["security"] == []


def test_the_page_needs_nothing_from_elsewhere(app: Any) -> None:
    got = one(app, "/", method="GET")
    text = got.body.decode()
    assert got.headers["content-type"].startswith("text/html") and "<!--" not in text
    links: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            links.extend(v or "" for k, v in attributes if k in ("src", "href"))

    Links().feed(text)
    assert not [link for link in links if re.match(r"(https?:)?//", link)]
    assert all(f'data-path="/{verb}"' in text for verb in ("predict", "embed", "explain", "attack"))


def test_health_and_metrics_count(model: Model, pictures: np.ndarray) -> None:
    app = application(model)
    assert one(app, "/metrics", method="GET").status == 200

    async def some(a: Any) -> str:
        for x in pictures[:3]:
            await ask(a, "/predict", encoded(x))
        await ask(a, "/predict", b"x")
        await ask(a, "/somewhere")
        return (await ask(a, "/metrics", method="GET")).body.decode()

    text = run(app, some)[0]
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert lines['hubel_requests_total{path="/predict",status="200"}'] == "3"
    assert lines['hubel_requests_total{path="/predict",status="415"}'] == "1"
    assert lines['hubel_requests_total{path="other",status="404"}'] == "1"
    assert lines['hubel_request_seconds_bucket{path="/predict",le="+Inf"}'] == "3" == lines['hubel_request_seconds_count{path="/predict"}']
    assert float(lines["hubel_batch_inputs_sum"]) == 4 and float(lines["hubel_computing_seconds_total"]) > 0
    assert float(lines["hubel_waiting_inputs"]) == 0
    for line in text.splitlines():  # the exposition format, line by line
        assert re.fullmatch(r'# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]*",?)+\})? [-+0-9.e]+', line), line
    before = one(app, "/health", method="GET")
    assert before.status == 200 and before.facts["model"] == model.hash
