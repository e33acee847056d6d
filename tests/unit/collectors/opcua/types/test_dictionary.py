"""Structures that only a dictionary of before 1.04 describes: documents a server may send, and bytes by them."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.opcua.types.dictionary import LARGEST, read_dictionary
from agent.collectors.opcua.types.structures import Codec
from agent.collectors.opcua.values.values import DoubtfulError, UnsupportedError, object_of

URN = "urn:acme:types"


def document(body: str, head: str = "") -> bytes:
    return (
        f'<?xml version="1.0" encoding="utf-8"?>{head}<opc:TypeDictionary '
        'xmlns:opc="http://opcfoundation.org/BinarySchema/" xmlns:ua="http://opcfoundation.org/UA/" '
        f'xmlns:tns="{URN}" xmlns:other="urn:other" DefaultByteOrder="LittleEndian" TargetNamespace="{URN}">'
        f'<opc:Import Namespace="http://opcfoundation.org/UA/"/>{body}</opc:TypeDictionary>'
    ).encode()


def fields(*given: str, name: str = "It") -> bytes:
    """A dictionary with one structure; each field is its attributes behind the name."""
    inside = "".join(f'<opc:Field Name="{one.partition(" ")[0]}" {one.partition(" ")[2]}/>' for one in given)
    return document(f'<opc:StructuredType Name="{name}" BaseType="ua:ExtensionObject">{inside}</opc:StructuredType>')


def decode(said: bytes, body: bytes, name: str = "It") -> Any:
    return Codec(read_dictionary(said).shapes, object_of).decode((URN, name), body)  # type: ignore[arg-type]


def text(value: bytes) -> bytes:
    return struct.pack("<i", len(value)) + value


INT, BIT = 'TypeName="opc:Int32"', 'TypeName="opc:Bit"'


def test_scalars_are_those_of_the_standard() -> None:
    """Both namespaces, by name; standard structures and enumerations are the library's."""
    said = fields(
        'on TypeName="opc:Boolean"', 'name TypeName="opc:CharArray"', 'when TypeName="opc:DateTime"',
        'label TypeName="ua:LocalizedText"', 'range TypeName="ua:Range"', 'state TypeName="ua:ServerState"',
        'any TypeName="ua:Variant"', 'one TypeName="opc:Char"',
    )  # fmt: skip
    body = b"\x01" + text(b"drill") + struct.pack("<q", 132_223_104_000_000_000) + b"\x02" + text("Öl".encode())
    body += struct.pack("<dd", 1.0, 2.0) + struct.pack("<i", 1) + b"\x06" + struct.pack("<i", 7) + b"x"
    assert decode(said, body) == {
        "on": True, "name": "drill", "when": "2020-01-01T00:00:00.000Z", "label": "Öl",
        "range": {"Low": 1.0, "High": 2.0}, "state": 1, "any": 7, "one": "x",
    }  # fmt: skip


def test_arrays_say_their_length_in_another_field() -> None:
    """Which is not said itself; it may serve two, be small, be -1 for null, or stand in the dictionary."""
    said = fields(
        f"NoOf {INT}", f'a {INT} LengthField="NoOf"', 'b TypeName="opc:Byte" LengthField="NoOf"',
        'n TypeName="opc:Byte"', 'word TypeName="opc:Char" LengthField="n"',
        f"NoOfNone {INT}", f'none {INT} LengthField="NoOfNone"',
        'pair TypeName="opc:UInt16" Length="2"', 'code TypeName="opc:Char" Length="4"',
    )  # fmt: skip
    body = struct.pack("<iiiBB", 2, 10, -11, 1, 2) + b"\x03abc" + struct.pack("<i", -1) + struct.pack("<HH", 5, 6)
    assert decode(said, body + b"ab\0\0") == {
        "a": [10, -11], "b": [1, 2], "word": "abc", "none": None, "pair": [5, 6], "code": "ab",
    }  # fmt: skip


def test_optional_fields_and_unions() -> None:
    """Bits in front say what is there; a number chooses."""
    optional = fields(
        f"aSpecified {BIT}", f"bSpecified {BIT}", f'Reserved1 {BIT} Length="30"', f"always {INT}",
        f'a {INT} SwitchField="aSpecified"', f'b {INT} SwitchField="bSpecified"',
    )  # fmt: skip
    assert decode(optional, struct.pack("<Iii", 0b10, 1, 2)) == {"always": 1, "b": 2}
    union = fields(
        'SwitchField TypeName="opc:UInt32"', f'a {INT} SwitchField="SwitchField" SwitchValue="1"',
        'b TypeName="opc:String" SwitchField="SwitchField" SwitchValue="2"',
        f'c {INT} SwitchField="SwitchField" SwitchValue="3" SwitchOperand="GreaterThanOrEqual"',
    )  # fmt: skip
    assert decode(union, struct.pack("<I", 2) + text(b"x")) == {"b": "x"}
    assert decode(union, struct.pack("<Ii", 4, 9)) == {"c": 9}
    assert decode(union, struct.pack("<I", 0)) == {}
    bits = fields(f"ready {BIT}", f'mode {BIT} Length="7"')
    assert decode(bits, bytes([0b0000_1011])) == {"ready": True, "mode": 5}


def test_structures_and_enumerations_of_the_same_dictionary() -> None:
    """By name, wherever they stand; an enumeration is a number of its own width."""
    said = document(
        '<opc:StructuredType Name="It"><opc:Field Name="N" TypeName="opc:Int32"/>'
        '<opc:Field Name="tools" TypeName="tns:Tool" LengthField="N"/></opc:StructuredType>'
        '<opc:StructuredType Name="Tool"><opc:Documentation>of <b>steel</b></opc:Documentation>'
        '<opc:Field Name="kind" TypeName="tns:Kind"/></opc:StructuredType>'
        '<opc:EnumeratedType Name="Kind" LengthInBits="8"><opc:EnumeratedValue Name="Drill" Value="1"/>'
        "</opc:EnumeratedType>"
    )
    assert decode(said, struct.pack("<iBB", 2, 1, 200)) == {"tools": [{"kind": 1}, {"kind": 200}]}


def test_text_that_is_no_utf_8_is_mended() -> None:
    """As everywhere: said with U+FFFD, uncertain; the rest of the structure stands."""
    with pytest.raises(DoubtfulError) as mended:
        decode(fields('word TypeName="opc:Char" Length="2"', f"n {INT}"), b"\xffa" + struct.pack("<i", 1))
    assert mended.value.value == {"word": "�a", "n": 1}


@pytest.mark.parametrize(
    ("said", "body", "words"),
    [
        (fields(f"a {INT}"), b"\1\0\0\0\0", "1 bytes more"),
        (fields('a TypeName="other:Thing"'), b"", "does not describe the structure Thing"),
        (fields('a TypeName="tns:Nobody"'), b"", "does not describe the structure Nobody"),
        (fields('a TypeName="ua:Client"'), b"", "does not describe the structure Client"),
        (fields('a TypeName="nowhere:x"'), b"", "does not describe the structure x"),
        (fields(f'a {INT} Terminator="0"'), b"", "terminator"),
        (fields(f'a {INT} Length="4" IsLengthInBytes="true"'), bytes(4), "length in bytes"),
        (fields(f'a {INT} LengthField="n"'), bytes(4), "n is no number"),
        (fields('n TypeName="opc:Float"', f'a {INT} LengthField="n"'), bytes(8), "n is no number"),
        (fields(f"n {INT}", f'a {INT} LengthField="n"'), b"\xff\xff\xff\x7f", "longer than its bytes"),
        (fields(f"n {INT}", f'a {INT} SwitchField="n" SwitchValue="1" SwitchOperand="Like"'), bytes(4), "Like"),
        (fields(f"a {BIT}", f"b {INT}"), bytes(5), "begins inside a byte"),
        (fields(f"a {BIT}"), bytes(1), "ends inside a byte"),
        (fields('a TypeName="tns:It"'), b"", "nested too deeply"),
    ],
)
def test_what_does_not_fit_is_said(said: bytes, body: bytes, words: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(UnsupportedError, match=words):
        decode(said, body)


def test_arrays_of_nothing_come_to_an_end() -> None:
    """Structures without bytes, in arrays in arrays: a hundred bytes must not make a million elements."""
    nested = "".join(
        f'<opc:StructuredType Name="L{level}"><opc:Field Name="x" TypeName="tns:L{level + 1}" Length="50"/>'
        "</opc:StructuredType>"
        for level in range(10)
    )
    with pytest.raises(UnsupportedError, match="more fields and elements than its bytes can hold"):
        decode(document(f'{nested}<opc:StructuredType Name="L10"/>'), bytes(100), "L0")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "no XML"),
        (b"\xff\xfe\x00", "no XML"),
        (b"<a>", "no XML"),
        (b"<a/>", "no TypeDictionary"),
        (document("", '<!DOCTYPE x [<!ENTITY a "b">]>'), "DTD"),
        (document("").replace(b"LittleEndian", b"BigEndian"), "byte order"),
        (fields(f'a {INT} Length="-1"'), "Length='-1'"),
        (fields(f'a {INT} Length="9999999999"'), "Length='9999999999'"),
        (b" " * (LARGEST + 1), "are the most"),
        (document('<opc:StructuredType Name="It">' + "<opc:Field/>" * 100_001 + "</opc:StructuredType>"), "fields"),
    ],
)
def test_documents_that_are_none_are_said(said: bytes, words: str) -> None:
    """Not read, however they came to be."""
    with pytest.raises(UnsupportedError, match=words):
        read_dictionary(said)


def test_what_servers_leave_around_a_document_is_taken_off() -> None:
    """A NUL at the end, as C has it; a namespace that others are to be asked for."""
    found = read_dictionary(fields('a TypeName="other:Thing"') + b"\0")
    assert (found.namespace, found.others) == (URN, frozenset({"urn:other"}))


SOME = fields(
    f"n {INT}", 'a TypeName="tns:It" LengthField="n"', f"s {BIT}", f'r {BIT} Length="7"',
    'v TypeName="ua:Variant" SwitchField="s"', 'w TypeName="opc:Char" LengthField="r"',
)  # fmt: skip


@given(st.binary(max_size=60))
def test_no_bytes_do_harm(body: bytes) -> None:
    """A dict, or an error that costs this value alone: what the decoder of values catches."""
    with suppress(Exception):
        assert isinstance(decode(SOME, body), dict)
