"""The service's description in OpenAPI 3.1, written from the table of verbs. Depends on verbs and limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hubel import __version__
from hubel.serve.limits import Limits
from hubel.serve.verbs import Verb

REFUSED = {400: "The body is empty, or a broken form or array", 401: "The token or the password is missing or wrong",
           408: "The body did not arrive in time", 413: "The body, an image or a batch is larger than is taken",
           415: "The body's type, or what is in it, is not read here", 422: "A damaged file, or an option that cannot be",
           429: "Too many are waiting: come back after the seconds in Retry-After"}
BINARY = {"type": "string", "format": "binary"}


def document(model: Any, limits: Limits, verbs: Sequence[Verb], locked: bool) -> dict[str, Any]:
    """Return the OpenAPI document of a service as a dictionary of JSON's types."""
    takes = {"image": "images", "sound": "recordings"}.get(model.kind, f"arrays ({model.kind})")
    paths: dict[str, Any] = {f"/{verb.name}": {"post": _operation(verb, model.kind, limits)} for verb in verbs}
    paths |= {"/health": _view("Whether the server is ready, and for what", "application/json", {"$ref": "#/components/schemas/Health"}),
              "/metrics": _view("Counters for Prometheus", "text/plain", {"type": "string"})}
    paths["/health"]["get"]["security"] = []
    paths["/health"]["get"]["responses"]["503"] = {"description": "Not ready: starting or stopping"}
    about: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "hubel serve", "version": __version__,
                 "description": f"A model of {len(model.classes)} classes ({model.hash}) that takes {takes}. A request holds one file, or a "
                                f"form with several; {limits.megabytes:g} MB and {limits.queue} inputs at most."},
        "paths": paths, "components": {"schemas": _schemas()}}
    if locked:
        about["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}, "password": {"type": "http", "scheme": "basic"}}
        about["security"] = [{"token": []}, {"password": []}]
    return about


def _operation(verb: Verb, kind: str, limits: Limits) -> dict[str, Any]:
    files: dict[str, Any] = {"type": "array", "items": BINARY, "maxItems": limits.queue} if verb.many else BINARY
    content: dict[str, Any] = {"image/*": {"schema": BINARY}} if kind == "image" else {"audio/*": {"schema": BINARY}} if kind == "sound" else {}
    content |= {"application/x-npy": {"schema": {**BINARY, "description": "An array as numpy.save writes it"}},
                "multipart/form-data": {"schema": {"type": "object", "properties": {"file": files}, "required": ["file"]}}}
    answers: dict[str, Any] = {"application/json": {"schema": {"$ref": f"#/components/schemas/{verb.name.capitalize()}"}}}
    if verb.binary:
        answers["image/png"] = {"schema": BINARY}
    refused = {str(status): {"description": text, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
               for status, text in REFUSED.items()}
    refused["429"]["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}
    return {"operationId": verb.name, "summary": verb.summary, "description": verb.about,
            "parameters": [{"name": p.name, "in": "query", "description": p.about, "schema": p.schema()} for p in verb.parameters],
            "requestBody": {"required": True, "content": content},
            "responses": {"200": {"description": verb.summary, "content": answers}, **refused}}


def _view(summary: str, kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"get": {"summary": summary, "responses": {"200": {"description": summary, "content": {kind: {"schema": schema}}}}}}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(of: Any) -> dict[str, Any]:
    return {"type": "array", "items": of}


def _schemas() -> dict[str, Any]:
    text, number, whole, name = {"type": "string"}, {"type": "number"}, {"type": "integer"}, {"type": "string", "description": "The model's hash"}
    answer = {"class": text, "number": whole, "probability": number}
    one = _object(**answer)
    either = {"type": ["number", "null"]}
    return {
        "Predict": _object(model=name, results=_list(_object(**answer, top=_list(one)))),
        "Embed": _object(model=name, results=_list(_object(features=_list(number)))),
        "Explain": _object(model=name, method=text, layer={"type": ["string", "null"]}, **answer, unit=text, size=_list(whole),
                           heat=_list(_list(number))),
        "Attack": _object(model=name, success={"type": "boolean"}, norm=text, tried=_list(number), distance=either, steps=whole,
                          before=one, after=one, image={"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}),
        "Health": _object(status=text, model=name, kind=text, classes=whole, size={"type": ["array", "null"], "items": whole},
                          precision=text, waiting=whole, slow_waiting=whole),
        "Error": _object(error={"type": "string", "description": "One sentence: what was wrong and what would be right"})}
