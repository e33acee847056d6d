from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.consumer.sparkplug.audit import SparkplugAudit
from agent.consumer.sparkplug.wire import MalformedError, decode
from agent.encoders.sparkplug.schema import Payload

NOW = 1_763_760_000_000


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes):
    """Nothing but MalformedError, whatever arrives."""
    with contextlib.suppress(MalformedError):
        decode(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x08", "without an end"),
        (b"\x08" + b"\xff" * 10, "without an end"),
        (b"\x12\x05\x0a", "cut off"),
        (b"\x0b", "wire type 3"),
        (b"\x0d\x00\x00\x00\x00", "wire type 5"),
        (b"\x12\x03\x0a\x01\xff", "no UTF-8"),
    ],
)
def test_malformed_payloads_say_why(data: bytes, reason: str):
    """The evidence in a report is fit to be acted on."""
    with pytest.raises(MalformedError, match=reason):
        decode(data)


@pytest.mark.parametrize(
    ("data", "oddity"),
    [
        (b"\x08\x01\x08\x02", "payload: timestamp twice"),
        (b"\x30\x01", "payload: unknown field 6"),
        (b"\x12\x04\x50\x01\x58\x02", "metric: long_value twice"),
    ],
)
def test_what_a_library_would_pass_over_shows(data: bytes, oddity: str):
    """Repeated and unknown fields are legal protobuf and no Sparkplug."""
    assert oddity in decode(data).oddities


@given(st.floats(allow_nan=False), st.integers(0, 2**64 - 1), st.text())
def test_it_reads_what_the_library_writes(number: float, whole: int, text: str):
    """Two decoders, one meaning."""
    payload = Payload(timestamp=whole, seq=7)
    payload.metrics.add(name=text, double_value=number)
    payload.metrics.add(alias=whole, long_value=whole, is_historical=True)
    payload.metrics.add(string_value=text, is_null=False)
    decoded = decode(payload.SerializeToString())
    assert (decoded.timestamp, decoded.seq, decoded.oddities) == (whole, 7, [])
    assert (decoded.metrics[0].name, decoded.metrics[0].value) == (text, number)
    assert (decoded.metrics[1].alias, decoded.metrics[1].value, decoded.metrics[1].is_historical) == (
        whole,
        whole,
        True,
    )
    assert decoded.metrics[2].value == text


def test_a_node_is_judged_from_its_birth_on():
    """Who comes late knows no more than a host that comes late, and a broken ear forgets all."""
    audit = SparkplugAudit(lambda: NOW)
    data = Payload(timestamp=NOW, seq=9).SerializeToString()
    audit.feed("spBv1.0/g/DDATA/n/d", data, retained=False)
    audit.feed("spBv1.0/g/NCMD/n", b"", retained=False)
    assert [audit.ok] == [False]
    assert "1 messages and no birth yet" in audit.report()[0]
    birth = Payload(timestamp=NOW, seq=0)
    birth.metrics.add(name="bdSeq", datatype=4, timestamp=NOW, long_value=3)
    birth.metrics.add(name="Node Control/Rebirth", datatype=11, timestamp=NOW, boolean_value=False)
    audit.feed("spBv1.0/g/NBIRTH/n", birth.SerializeToString(), retained=False)
    assert [audit.ok] == [True]
    assert audit.report()[0] == "g/n: born, 0 devices, 1 messages"
    audit.interrupted()
    audit.feed("spBv1.0/g/DDATA/n/d", data, retained=False)
    assert audit.ok
    audit.feed("spBv1.0/g/NBIRTH/n", birth.SerializeToString(), retained=True)
    assert any("payloads-nbirth-retain" in line for line in audit.report())


def test_templates_and_data_sets_are_no_fault():
    """Nodes of others have them: they are noted, not checked, and violate nothing."""
    audit = SparkplugAudit(lambda: NOW)
    birth = Payload(timestamp=NOW, seq=0)
    birth.metrics.add(name="bdSeq", datatype=4, timestamp=NOW, long_value=3)
    birth.metrics.add(name="Node Control/Rebirth", datatype=11, timestamp=NOW, boolean_value=False)
    birth.metrics.add(name="motor", datatype=19, timestamp=NOW, is_null=True)
    birth.metrics.add(name="table", datatype=16, timestamp=NOW, is_null=True)
    audit.feed("spBv1.0/g/NBIRTH/n", birth.SerializeToString(), retained=False)
    assert audit.ok, audit.report()
    notes = [line for line in audit.report() if line.startswith("note: NBIRTH g/n: a ")]
    assert [note.split(": ")[2].split(",")[0] for note in notes] == ["a template", "a dataset"]
