"""An ONNX graph without the nodes that lead to no wanted output: the runtime computes every node at each call, whatever
is asked for. Works on the file's bytes, a protocol buffer, so that a service needs no second ONNX package."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

# Numbers of the fields, from onnx.proto.
_MODEL_GRAPH: Final = 7
_GRAPH_NODE: Final = 1
_GRAPH_OUTPUT: Final = 12
_NODE_INPUT: Final = 1
_NODE_OUTPUT: Final = 2
_NODE_ATTRIBUTE: Final = 5
_OUTPUT_NAME: Final = 1
_ATTRIBUTE_GRAPHS: Final = (6, 11)
# How a field's content is written: as a number of variable length, as counted bytes, or as eight or four bytes.
_VARINT: Final = 0
_COUNTED: Final = 2
_FIXED: Final = {1: 8, 5: 4}


class _Field(NamedTuple):
    """`content` of a field that is no counted one is empty; `whole` is the field as it stands in the file."""

    number: int
    content: bytes
    whole: bytes


def leading_to(wanted: Collection[str], model: bytes) -> bytes:
    """The model with these outputs alone. It must be one that the runtime has loaded."""
    return b"".join(
        _written(each.number, _pruned(each.content, wanted)) if each.number == _MODEL_GRAPH else each.whole
        for each in _fields(model)
    )


def _pruned(graph: bytes, wanted: Collection[str]) -> bytes:
    outputs = {each.encode() for each in wanted}
    needed, kept = set(outputs), []
    for each in reversed(list(_fields(graph))):  # a node stands behind those that it depends on
        if each.number == _GRAPH_OUTPUT and outputs.isdisjoint(_contents(each.content, _OUTPUT_NAME)):
            continue
        if each.number == _GRAPH_NODE:
            if needed.isdisjoint(_contents(each.content, _NODE_OUTPUT)):
                continue
            needed.update(_needs(each.content))
        kept.append(each.whole)
    return b"".join(reversed(kept))


def _needs(node: bytes) -> Iterator[bytes]:
    """The names that a node reads, by itself or in a branch or a loop that it carries."""
    yield from _contents(node, _NODE_INPUT)
    for attribute in _contents(node, _NODE_ATTRIBUTE):
        for graph in _contents(attribute, *_ATTRIBUTE_GRAPHS):
            for inner in _contents(graph, _GRAPH_NODE):
                yield from _needs(inner)


def _contents(message: bytes, *numbers: int) -> Iterator[bytes]:
    return (each.content for each in _fields(message) if each.number in numbers)


def _fields(message: bytes) -> Iterator[_Field]:
    at = 0
    while at < len(message):
        start = at
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            _, end = _varint(message, at)
        elif kind == _COUNTED:
            length, at = _varint(message, at)
            end = at + length
        else:
            end = at + _FIXED[kind]
        yield _Field(number, message[at:end] if kind == _COUNTED else b"", message[start:end])
        at = end


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number, seven bits a byte, the lowest first; and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        value, at, shift = value | (byte & 127) << shift, at + 1, shift + 7
        if byte < 128:
            return value, at


def _written(number: int, content: bytes) -> bytes:
    return _as_varint(number << 3 | _COUNTED) + _as_varint(len(content)) + content


def _as_varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
