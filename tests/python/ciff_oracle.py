"""Protocol Buffers and CIFF written and read here, independently of the library, to compare it with."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Fields = list[tuple[int, Any]]


def varint(number: int) -> bytes:
    number %= 2**64
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(high) if high else bytes([low])


def encode(fields: Iterable[tuple[int, int | float | str | bytes]]) -> bytes:
    """Return a message; fields that are 0 or empty text are left out, as version 3 of the language has it."""
    message = b""
    for number, value in fields:
        match value:
            case 0 | "":
                continue
            case int():
                message += varint(number << 3) + varint(value)
            case float():
                message += varint(number << 3 | 1) + struct.pack("<d", value)
            case _:
                content = value.encode() if isinstance(value, str) else value
                message += varint(number << 3 | 2) + varint(len(content)) + content
    return message


def framed(*messages: bytes) -> bytes:
    return b"".join(varint(len(message)) + message for message in messages)


def header(lists: int, documents: int, version: int = 1) -> bytes:
    return encode([(1, version), (2, lists), (3, documents), (4, lists), (5, documents), (7, 2.5), (8, "by hand")])


def postings_list(term: str, postings: Mapping[int, int], df: int | None = None) -> bytes:
    fields: Fields = [(1, term), (2, len(postings) if df is None else df), (3, sum(postings.values()))]
    previous = 0
    for document in sorted(postings):
        fields.append((4, encode([(1, document - previous), (2, postings[document])])))
        previous = document
    return encode(fields)


def record(document: int, name: str) -> bytes:
    return encode([(1, document), (2, name), (3, 9)])


def ciff(lists: Mapping[str, Mapping[int, int]], names: Sequence[str]) -> bytes:
    """Return a file of lists, weights by document by term, in the order given."""
    messages = [postings_list(term, postings) for term, postings in lists.items()]
    records = [record(document, name) for document, name in enumerate(names)]
    return framed(header(len(messages), len(records)), *messages, *records)


def take_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


def decode(message: bytes) -> Fields:
    fields: Fields = []
    at = 0
    while at < len(message):
        tag, at = take_varint(message, at)
        if tag & 7 == 0:
            value, at = take_varint(message, at)
            fields.append((tag >> 3, value))
        elif tag & 7 == 1:
            fields.append((tag >> 3, struct.unpack_from("<d", message, at)[0]))
            at += 8
        else:
            assert tag & 7 == 2
            length, at = take_varint(message, at)
            assert at + length <= len(message)
            fields.append((tag >> 3, message[at : at + length]))
            at += length
    return fields


def messages(data: bytes) -> list[Fields]:
    """Return the fields of each message of a file."""
    return [decode(message) for _, message in decode_framed(data)]


def decode_framed(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    at = 0
    while at < len(data):
        length, at = take_varint(data, at)
        assert at + length <= len(data)
        found.append((at, data[at : at + length]))
        at += length
    return found
