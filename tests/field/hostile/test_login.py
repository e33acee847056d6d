"""Logging in beyond loopback, over real sockets and the machine's own address."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from agent.web import guard, logins
from agent.web.answers import HEADERS
from agent.web.guard import Guard
from agent.web.logins import Logins
from agent.web.tls import Certificate
from tests.support.certs import make_certs
from tests.support.waiting import eventually
from tests.support.web import own_address, serving

TOKEN = "a-token-of-some-length"
SECRET = "press-01"  #: what nobody may see who is not logged in


class Stage:
    """A port beyond loopback with a page, data and a stream."""

    def __init__(self, folder: Path, *, auth: bool = True) -> None:
        self.token = folder / "token"
        self.token.write_text(TOKEN + "\n", encoding="utf-8")
        self.now = 0.0
        self.open_streams = 0
        self.app = Guard(
            Starlette(
                routes=[
                    Route("/", lambda _: PlainTextResponse("shell")),
                    Route("/static/app.js", lambda _: PlainTextResponse("script")),
                    Route("/static/{path:path}", lambda _: PlainTextResponse("", 404)),
                    Route("/healthz", lambda _: PlainTextResponse("ok")),
                    Route("/readyz", lambda _: PlainTextResponse("ok")),
                    Route("/api/v1/stream", self._stream),
                    Route("/{path:path}", self._data, methods=["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]),
                ]
            ),
            open_to_all=False,
            logins=Logins(self.token, lambda: self.now) if auth else None,
        )

    async def _data(self, _request: Request) -> Response:
        return PlainTextResponse(SECRET)

    async def _stream(self, _request: Request) -> Response:
        async def events() -> AsyncIterator[str]:
            self.open_streams += 1
            try:
                yield f"data: {SECRET}\n\n"
                await asyncio.Event().wait()
            finally:
                self.open_streams -= 1

        return StreamingResponse(events(), media_type="text/event-stream")


@asynccontextmanager
async def browser(
    stage: Stage, certificate: Certificate | None = None, verify: ssl.SSLContext | bool = True
) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody's, on another machine as far as the port can tell."""
    async with serving(stage.app, "0.0.0.0", certificate) as port:
        base = f"{'https' if certificate else 'http'}://{own_address()}:{port}"
        async with httpx.AsyncClient(base_url=base, verify=verify) as client:
            client.headers["origin"] = base
            yield client


async def log_in(client: httpx.AsyncClient, token: str = TOKEN, **more: Any) -> httpx.Response:
    return await client.post("/api/v1/login", data={"token": token}, **more)


async def test_a_person_logs_in_and_out(tmp_path: Path) -> None:
    """The token typed into a form opens everything, with a cookie no script reads, until the logout."""
    async with browser(Stage(tmp_path)) as client:
        assert (await client.get("/data")).status_code == 401
        answer = await log_in(client)
        cookie = answer.headers["set-cookie"].lower()
        assert answer.status_code == 200
        assert {"httponly", "samesite=strict", "path=/", "max-age=43200"} <= set(cookie.split("; "))
        assert TOKEN not in cookie
        assert (await client.get("/data")).text == SECRET
        kept = dict(client.cookies)
        assert (await client.post("/api/v1/logout")).status_code == 204
        assert not client.cookies
        client.cookies.update(kept)
        assert (await client.get("/data")).status_code == 401


async def test_a_browser_without_scripts_is_led_to_the_page(tmp_path: Path) -> None:
    """A plain form works; JSON does as well."""
    async with browser(Stage(tmp_path)) as client:
        answer = await log_in(client, headers={"accept": "text/html"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert (await client.get("/data")).text == SECRET
        assert (await client.post("/api/v1/login", json={"token": TOKEN})).status_code == 200


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"json": {"tokens": TOKEN}}, 400), ({"json": [TOKEN]}, 400), ({"json": {"token": 5}}, 400),
        ({"data": {"other": TOKEN}}, 400), ({"content": TOKEN}, 415), ({"files": {"token": TOKEN}}, 415),
        ({"content": b"\xff\xfe=", "headers": {"content-type": "application/x-www-form-urlencoded"}}, 400),
        ({"data": {"token": "x" * 10_000}}, 413),
    ],
)  # fmt: skip
async def test_what_is_no_login_is_told_so(tmp_path: Path, sent: Any, code: int) -> None:
    """And opens nothing."""
    async with browser(Stage(tmp_path)) as client:
        answer = await client.post("/api/v1/login", **sent)
        assert (answer.status_code, "set-cookie" in answer.headers) == (code, False)
        assert (await client.get("/data")).status_code == 401


async def test_a_login_that_never_arrives_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its body drips, or is announced and does not come."""
    monkeypatch.setattr(logins, "FORM_WITHIN", 0.2)
    async with browser(Stage(tmp_path)) as client:
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        kind = "Content-Type: application/x-www-form-urlencoded"
        writer.write(f"POST /api/v1/login HTTP/1.1\r\nHost: gw\r\n{kind}\r\nContent-Length: 100\r\n\r\nt".encode())
        async with asyncio.timeout(10):
            assert b" 408 " in await reader.read()
        writer.close()


async def test_wrong_tokens_in_the_form_are_slowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the fifth on 429; counted together with those in headers, logged without them; the right one gets in."""
    monkeypatch.setattr(logins, "GUESS", 0.01)
    async with browser(Stage(tmp_path)) as client:
        with capture_logs() as lines:
            codes = [(await log_in(client, f"guess-{at}")).status_code for at in range(3)]
            wrong = {"authorization": "Bearer guess-x"}
            codes += [(await client.get("/data", headers=wrong)).status_code for _ in range(3)]
        assert codes == [401] * 4 + [429] * 2
        assert "guess" not in str(lines)
        assert (await log_in(client)).status_code == 200


async def test_a_changed_token_file_ends_sessions_at_the_next_request(tmp_path: Path) -> None:
    """And the new token is taken at once."""
    stage = Stage(tmp_path)
    async with browser(stage) as client:
        await log_in(client)
        stage.token.write_text("another-token-of-some-length", encoding="utf-8")
        assert (await client.get("/data")).status_code == 401
        assert (await log_in(client, "another-token-of-some-length")).status_code == 200
        assert (await client.get("/data")).status_code == 200


@pytest.mark.parametrize("how", ["logout", "token", "time", "bearer"])
async def test_a_stream_ends_with_its_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """By logout, by another token in the file, and after twelve hours; nothing of it is left."""
    monkeypatch.setattr(guard, "LOOK_EVERY", 0.05)
    stage = Stage(tmp_path)
    async with browser(stage) as client:
        headers = {"authorization": f"Bearer {TOKEN}"} if how == "bearer" else {}
        if how != "bearer":
            await log_in(client)
        async with client.stream("GET", "/api/v1/stream", headers=headers) as answer:
            parts = answer.aiter_text()
            assert SECRET in await anext(parts)
            if how == "logout":
                await client.post("/api/v1/logout")
            elif how == "time":
                stage.now = 12 * 3600
            else:
                stage.token.write_text("another-token-of-some-length", encoding="utf-8")
            async with asyncio.timeout(10):
                assert [part async for part in parts] == []
        await eventually(lambda: stage.open_streams == 0)


async def test_a_stream_does_not_keep_the_port_from_closing(tmp_path: Path) -> None:
    """Who watches hears the end at once."""
    stage = Stage(tmp_path)
    async with browser(stage) as client:
        await log_in(client)
        answer = await client.send(client.build_request("GET", "/api/v1/stream"), stream=True)
        assert SECRET in await anext(answer.aiter_text())
    assert stage.open_streams == 0
    await answer.aclose()


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"origin": "http://evil.example"}, 403), ({"origin": "null"}, 403), ({"origin": "http://[bad"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403), ({"sec-fetch-site": "same-origin"}, 200), ({}, 200),
    ],
)  # fmt: skip
async def test_a_page_of_somebody_else_posts_nothing(tmp_path: Path, headers: dict[str, str], code: int) -> None:
    """Browsers say where a POST comes from; programs need not."""
    async with browser(Stage(tmp_path)) as client:
        del client.headers["origin"]
        assert (await log_in(client, headers=headers)).status_code == code
        assert (await client.post("/api/v1/logout", headers=headers)).status_code == (204 if code == 200 else 403)


async def test_without_auth_only_probes_answer_beyond_loopback(tmp_path: Path) -> None:
    """Neither page nor login."""
    async with browser(Stage(tmp_path, auth=False)) as client:
        assert (await client.get("/healthz")).status_code == 200
        for path in ("/", "/static/app.js", "/data", "/api/v1/stream"):
            assert (await client.get(path)).status_code == 401
        assert (await log_in(client)).status_code == 401


async def test_the_form_is_there_before_the_login(tmp_path: Path) -> None:
    """The page's shell needs none; each answer says what a browser may do with it."""
    async with browser(Stage(tmp_path)) as client:
        assert [(await client.get(path)).text for path in ("/", "/static/app.js")] == ["shell", "script"]
        for path in ("/", "/data", "/healthz", "/api/v1/login"):
            headers = (await client.get(path)).headers
            assert HEADERS.items() <= {name.title(): value for name, value in headers.items()}.items()
            assert "unsafe" not in headers["content-security-policy"]


async def test_on_loopback_there_is_no_login_and_no_cookie() -> None:
    """Whoever is on the machine reads it anyway."""

    async def data(_request: Request) -> Response:
        return PlainTextResponse(SECRET)

    app = Guard(Starlette(routes=[Route("/data", data)]), open_to_all=True, logins=None)
    async with serving(app) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        assert (await client.get("/data")).text == SECRET
        answer = await client.post("/api/v1/login", data={"token": TOKEN})
        assert (answer.status_code, "set-cookie" in answer.headers) == (404, False)
        assert (await client.post("/data", headers={"origin": "http://evil.example"})).status_code == 403


async def test_a_token_file_that_cannot_be_read_just_now_is_no_wrong_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Descriptors may be scarce: 503, and the session is still one afterwards."""
    stage = Stage(tmp_path)
    async with browser(stage) as client:
        await log_in(client)
        with monkeypatch.context() as patch, capture_logs() as lines:

            def refuse(_path: Path) -> str:
                raise OSError(24, "Too many open files")

            patch.setattr("agent.web.token.read_secret", refuse)
            answer = await client.get("/data")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert [(line["event"], line["reason"]) for line in lines] == [("http.token_unusable", "Too many open files")]
        assert (await client.get("/data")).text == SECRET


async def test_with_tls_the_cookie_is_for_tls_only_and_a_renewed_certificate_is_used(tmp_path: Path) -> None:
    """At the next connection, without a restart; half of a renewal keeps the one before."""
    mine = own_address()
    first = make_certs(tmp_path / "a", addresses=(mine,))
    second = make_certs(tmp_path / "b", addresses=(mine,))
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(first.server_cert.read_bytes())
    key.write_bytes(first.server_key.read_bytes())
    stage = Stage(tmp_path)
    trust = ssl.create_default_context(cafile=first.ca)
    async with browser(stage, Certificate(cert, key), trust) as client:
        cookie = (await log_in(client)).headers["set-cookie"]
        assert cookie.startswith("__Host-")
        assert "secure" in cookie.lower()
        assert (await client.get("/data")).text == SECRET

        async def seen() -> bytes:
            trust = ssl.create_default_context()
            trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
            _, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port, ssl=trust)
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            writer.close()
            return bytes(shown)

        before = await seen()
        with capture_logs() as lines:
            cert.write_bytes(second.server_cert.read_bytes())
            assert await seen() == before
        assert [(line["event"], "key" in line["reason"]) for line in lines] == [("http.certificate_unusable", True)]
        key.write_bytes(second.server_key.read_bytes())
        assert await seen() != before
        assert (await client.get("/data")).text == SECRET  # the connection that was there stays
