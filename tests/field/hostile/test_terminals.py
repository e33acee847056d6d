"""Texts of strangers: at a terminal, in the log, as a tag's name."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest

from agent.cli.listening import ListenSource
from agent.cli.tail import _Tail
from agent.cli.trust import _about
from agent.collectors.opcua.trust.trustlist import TrustEntry
from agent.consumer.target import access_of
from agent.core.text import harmless, harmless_json, plain
from agent.telemetry.logging import configure, get_logger
from tests.field.hostile.papers import paper

ESCAPES = "\x1b[2J\x1b[31mEVIL\r\n2026 press/oil = 0 \x9b31m\u202e\u2028\x7f"
READINGS = {
    "schema": "edge.readings.v1", "agent": "gw", "device": "de" + ESCAPES, "epoch": "01M8MFHANWS89409WNTFV6EDV5",
    "seq": 1, "low": 1, "ts": 1795983000000, "cat": 1,
    "readings": [
        {"tag": "t" + ESCAPES, "value": ESCAPES, "ts": 1795983000000, "quality": "good", "unit": ESCAPES}
    ],
}  # fmt: skip


def obeyed(text: str) -> list[str]:
    """What a terminal would act on, but for the ends of lines."""
    return [char for char in text if char != "\n" and harmless(char) != char]


@pytest.mark.parametrize("as_json", [False, True])
def test_tail_shows_what_it_would_have_done(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    """One message is the lines it has, whatever stands in it; as JSON it comes back as it was."""
    source = ListenSource(access_of("mqtt://127.0.0.1"), "edge", ["edge/#"])
    listener = _Tail(source, json=as_json, device=None, tag=None)
    listener.heard("edge/a/de/readings", json.dumps(READINGS, ensure_ascii=False).encode(), retained=False)
    listener.heard("edge/a/\x1b]0;pwn\x07/readings", b"\x1b[2Jnot json", retained=False)
    said = capsys.readouterr()
    assert (obeyed(said.out), obeyed(said.err)) == ([], [])
    assert len(said.out.splitlines()) == 1
    if as_json:
        assert json.loads(said.out)["value"] == ESCAPES
    else:
        assert r"\x1b[2J" in said.out


def test_a_certificate_s_names_are_shown(tmp_path: Path) -> None:
    """Its subject cannot draw another thumbprint."""
    from rich.console import Console

    certificate = paper("PLC\x1b[2J\x9b31m", uri="urn:x\x1b[31m").certificate
    out = io.StringIO()
    Console(file=out, width=200).print(_about(TrustEntry("00", certificate, tmp_path / "x", [("d\u202e", "u")])))
    assert obeyed(out.getvalue()) == []
    assert r"PLC\x1b[2J\x9b31m" in out.getvalue()


@pytest.mark.parametrize("style", ["json", "console"])
def test_the_log_is_harmless_at_a_terminal(style: str) -> None:
    """People read it there."""
    out = io.StringIO()
    configure(style=style, stream=out)  # type: ignore[arg-type]
    get_logger("opcua").warning("opcua.call_refused", reason=ESCAPES, peer="x", listen="y", repeats=0)
    assert obeyed(out.getvalue()) == []
    assert len(out.getvalue().splitlines()) == 1
    if style == "json":
        assert json.loads(out.getvalue())["reason"] == ESCAPES


def test_a_library_that_chatters_is_heard_once() -> None:
    """A peer decides how often it complains, and with which words."""
    out = io.StringIO()
    configure(stream=out)
    chatterer = logging.getLogger("asyncua.client")
    for at in range(5000):
        chatterer.warning("ServiceFault from server %s", at)
    assert len(out.getvalue().splitlines()) == 1


def test_a_stranger_s_name_is_made_a_tag_s() -> None:
    """With `_` for what cannot be seen; other languages stay as they are."""
    assert plain("Öl\x1b[2J/温度\u202e") == "Öl_[2J/温度_"
    assert json.loads(harmless_json(json.dumps("a\x9b", ensure_ascii=False))) == "a\x9b"
