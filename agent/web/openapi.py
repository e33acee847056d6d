"""`/api/v1/openapi.json`: OpenAPI 3.1, made from the types in schema/. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any, NamedTuple

import msgspec

from agent import __version__
from agent.web import schema

Json = dict[str, Any]

_STRUCTS = [
    schema.Error, schema.Probe, schema.Status, schema.Tags, schema.Events, schema.Reloads, schema.Values,
    schema.LoggedIn,
]  # fmt: skip


class _Parameter(NamedTuple):
    name: str
    words: str
    schema: Json
    example: Any
    where: str = "query"

    def shown(self) -> Json:
        required = {"required": True} if self.where == "path" else {}
        example = {} if self.example is None else {"example": self.example}
        shown = {"name": self.name, "in": self.where, "description": self.words, "schema": self.schema}
        return shown | required | example


class _Path(NamedTuple):
    path: str
    title: str
    answer: Json  #: schema
    parameters: Sequence[_Parameter] = ()
    media: str = "application/json"
    errors: Mapping[int, str] = {}
    words: str = ""
    free: bool = False  #: needs no login
    other: tuple[int, Json, str] | None = None  #: another answer with a body of its own: status, schema, words


_INSTANT: Json = {"type": "integer", "minimum": 0, "maximum": 1 << 53}
_NAME: Json = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
_DEVICE = "Name of a device."


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


_PATHS = (
    _Path(
        "/healthz", "Whether the process works", _ref("Probe"), free=True,
        other=(503, _ref("Probe"), "It does not: restart it."),
    ),
    _Path(
        "/readyz", "Whether it runs, neither starting nor stopping", _ref("Probe"), free=True,
        other=(503, _ref("Probe"), "It does not, `reason` says why."),
    ),
    _Path("/metrics", "Figures for Prometheus", {"type": "string"}, media="text/plain"),
    _Path(
        "/api/v1/status", "The whole agent: devices, publishers, disk, what is wrong", _ref("Status"),
        words="The same as `edge-agent status --json`.",
    ),
    _Path(
        "/api/v1/devices/{device}/tags", "Newest value of each tag of a device", _ref("Tags"),
        [_Parameter("device", _DEVICE, _NAME, "press-01", "path")],
        errors={404: "There is no such device."},
    ),
    _Path(
        "/api/v1/history", "One-minute rollups", _ref("History"),
        [
            _Parameter("device", f"{_DEVICE} Without it: all, then `tag` is needed.", _NAME, "press-01"),
            _Parameter("tag", "Name of a tag. Without it: all of the device.", {"type": "string"}, "oil_temperature"),
            _Parameter("from", "First instant, included.", _INSTANT, None),
            _Parameter("to", "Last instant, not included.", _INSTANT, None),
        ],
        errors={
            400: "Parameters that cannot be, or that ask for more than 150,000 minutes at once.",
            404: "There is no history: `history:` is off, or its disk refuses.",
            503: "The disk does not answer, or many ask at once.",
        },
        words="Keyed by device and tag. A minute is there at most 10 s after its end.",
    ),
    _Path(
        "/api/v1/events", "The newest 1,000 events of the log", _ref("Events"),
        [
            _Parameter("device", "Only of this device.", _NAME, None),
            _Parameter(
                "level", "Only of at least this level.",
                {"type": "string", "enum": ["debug", "info", "warning", "error"]}, "warning",
            ),
        ],
        errors={400: "There is no such level, or a name that is none."},
    ),
    _Path(
        "/api/v1/stream", "Newest values as they come (server-sent events)", {"type": "string"},
        [_Parameter("device", f"{_DEVICE} Without it: the telling tags of all.", _NAME, None)],
        media="text/event-stream",
        errors={
            400: "That is no name.",
            404: "There is no such device.",
            503: "Eight viewers are there already; try again in half a minute.",
        },
        words=(
            "`event: values` has a [Values](#/components/schemas/Values) as its data: of one device the tags that "
            "changed, all of them first; without `device` the `telling` tags of each device that changed. "
            "`event: status` has a [Status](#/components/schemas/Status), every two seconds and soon after an event. "
            "Newest wins: nothing is queued for a reader that is slow, it gets all values again. A comment comes every "
            "15 s. It ends with the login it was asked for with."
        ),
    ),
    _Path(
        "/api/v1/config", "The configuration that runs, defaults included",
        {"type": "object", "additionalProperties": True},
        words=(
            "As it would be written in `agent.yaml`. Values out of the environment are shown as `${NAME}`, user and "
            "query of a URL as `…`. No secret is in it."
        ),
    ),
    _Path("/api/v1/reloads", "What the last reloads changed, or why they were refused", _ref("Reloads")),
    _Path(
        "/api/v1/openapi.json", "This document", {"type": "object", "required": ["openapi", "paths"]},
    ),
)  # fmt: skip


def _posted(name: str, title: str, answer: Json, *, body: Json | None = None) -> Json:
    errors = {
        303: "Led back to `/`, where the request came from a form.",
        400: "There is no `token` in it.",
        401: "That is not the token.",
        403: "It came from a page of another origin.",
        404: "On loopback there is no login.",
        408: "It did not arrive in time.",
        413: "It is too large.",
        415: "It is neither a form nor JSON.",
        429: "Too many wrong tokens came from this address.",
        503: "The token file cannot be read now, or the agent is stopping.",
    }
    content = {"content": {"application/json": {"schema": _ref("Error")}}}
    responses = {str(code): {"description": words} | (content if code >= 400 else {}) for code, words in errors.items()}
    request = (
        {} if body is None else {"requestBody": {"required": True, "content": {"application/json": {"schema": body}}}}
    )
    return {"post": {"operationId": name, "summary": title, "responses": answer | responses} | request}


_LOGIN: Json = {
    "/api/v1/login": _posted(
        "login", "Log in with the token of `auth:`; sets a cookie for 12 hours",
        {"200": {"description": "Logged in.", "content": {"application/json": {"schema": _ref("LoggedIn")}}}},
        body={"type": "object", "required": ["token"], "properties": {"token": {"type": "string"}}},
    ),
    "/api/v1/logout": _posted("logout", "Log out", {"204": {"description": "Logged out, or never in."}}),
}  # fmt: skip


@lru_cache(maxsize=1)
def document() -> Json:
    """The document, as JSON-able data."""
    schemas = _schemas()
    examples = json.loads(resources.files("agent.web").joinpath("examples.json").read_text(encoding="utf-8"))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "edge-agent",
            "version": __version__,
            "description": (
                "Health, values, history and events of one gateway. Nothing here changes anything. On loopback "
                "there is no login; beyond it send the token of `http.auth` as `Authorization: Bearer`."
            ),
        },
        "paths": {one.path: {"get": _operation(one, examples)} for one in _PATHS} | _LOGIN,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "edge-agent-8080",
                    "description": "Set by POST /api/v1/login; the number is that of the port; `__Host-` before it "
                    "with TLS.",
                },
            },
        },
    }


def _operation(one: _Path, examples: Json) -> Json:
    body: Json = {"schema": one.answer}
    if one.path in examples:
        body["example"] = examples[one.path]
    responses: Json = {"200": {"description": one.title, "content": {one.media: body}}}
    if one.other is not None:
        code, schema, words = one.other
        responses[str(code)] = {"description": words, "content": {"application/json": {"schema": schema}}}
    errors = dict(one.errors)
    if not one.free:
        errors = {
            401: "Beyond loopback this needs the token, or a login.",
            403: "On loopback the agent answers to names of loopback only.",
            429: "Too many wrong tokens came from this address.",
            503: "The agent is stopping.",
        } | errors
    for code, words in errors.items():
        responses[str(code)] = {"description": words, "content": {"application/json": {"schema": _ref("Error")}}}
    operation: Json = {
        "operationId": one.path.removeprefix("/api/v1").strip("/").translate(str.maketrans("/.", "__", "{}")),
        "summary": one.title,
        "parameters": [parameter.shown() for parameter in one.parameters],
        "responses": responses,
    }
    if one.words:
        operation["description"] = one.words
    if not one.free:
        operation["security"] = [{}, {"token": []}, {"session": []}]
    return operation


def _schemas() -> Json:
    types: list[Any] = [*_STRUCTS, schema.History]
    made, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schemas = dict(components)
    schemas["History"] = made[-1]
    return dict(sorted(schemas.items()))
