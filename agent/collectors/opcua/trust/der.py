"""Just enough DER (ITU-T X.690) for certificates as controllers send them. Pure."""

from __future__ import annotations

_BOOLEAN, _EXTENSIONS = 0x01, 0xA3


def first_element(data: bytes) -> bytes:
    """The first element with its header. Raises ValueError."""
    if len(data) < 2:
        raise ValueError("the certificate is cut short")
    header = 2
    length = data[1]
    if length >= 0x80:
        header += length & 0x7F
        length = int.from_bytes(data[2:header], "big")
    if header + length > len(data):
        raise ValueError("the certificate is cut short")
    return data[: header + length]


def without_explicit_false(certificate: bytes) -> bytes:
    """The same certificate, its extensions without `critical FALSE`: DER leaves a default out, a SINUMERIK does not.

    It can be looked into then; its signature, which is over the bytes as they were, cannot be verified any more.
    Raises ValueError where it is no certificate.
    """
    outer = _elements(_content(certificate))
    if not outer:
        raise ValueError("the certificate is empty")
    inside = [_extensions(part) if part[0] == _EXTENSIONS else part for part in _elements(_content(outer[0]))]
    return _element(certificate[0], _element(outer[0][0], b"".join(inside)) + b"".join(outer[1:]))


def _extensions(part: bytes) -> bytes:
    sequence = _content(part)
    return _element(part[0], _element(sequence[0], b"".join(map(_extension, _elements(_content(sequence))))))


def _extension(extension: bytes) -> bytes:
    parts = [part for part in _elements(_content(extension)) if not (part[0] == _BOOLEAN and part[-1] == 0)]
    return _element(extension[0], b"".join(parts))


def _elements(data: bytes) -> list[bytes]:
    found = []
    while data:
        found.append(first_element(data))
        data = data[len(found[-1]) :]
    return found


def _content(element: bytes) -> bytes:
    return element[2 + (element[1] & 0x7F if element[1] >= 0x80 else 0) :]


def _element(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content
