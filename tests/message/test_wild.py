"""Every message of the vectors gives well-formed answers, and offsets that hold."""

from __future__ import annotations

import email
import email.policy
from email.message import Message

import pytest

from posthouse.message.headers import Headers
from posthouse.message.mime import Part, decode_parts, encode_parts, scan
from posthouse.message.structure import body, body_structure, envelope
from posthouse.message.text import preview, text_of
from posthouse.store.derive import derive
from tests.message import s_expression
from tests.message.vectors import VECTORS, vectors, wild_messages

MESSAGES = wild_messages()


def test_the_vectors_are_there() -> None:
    vectors("spamassassin-testdata")
    assert len(MESSAGES) > 400


@pytest.mark.parametrize("raw", [raw for _, raw in MESSAGES], ids=[name for name, _ in MESSAGES])
def test_answers_are_well_formed(raw: bytes) -> None:
    headers = Headers.scan(raw)
    part = scan(raw, headers)
    s_expression.check_envelope(s_expression.read(envelope(headers)))
    s_expression.check_body(s_expression.read(body_structure(part, raw)), extended=True)
    s_expression.check_body(s_expression.read(body(part)), extended=False)
    assert part.header_start == 0 and part.body_end == len(raw)
    check_offsets(raw, part)
    assert decode_parts(encode_parts(part)) == part
    header_text, body_text = text_of(raw, part)
    assert isinstance(header_text, str) and isinstance(body_text, str)
    assert len(preview(raw, part)) <= 200
    assert derive(raw, 1).envelope == envelope(headers)


def check_offsets(raw: bytes, part: Part) -> None:
    """Children lie within their parent's body, in order, apart; sizes and lines are those of the octets."""
    assert 0 <= part.header_start <= part.body_start <= part.body_end <= len(raw)
    position = part.body_start
    for child in part.children:
        assert position <= child.header_start and child.body_end <= part.body_end
        position = child.body_end
        check_offsets(raw, child)
    if part.message is not None:
        assert (part.message.header_start, part.message.body_end) == (part.body_start, part.body_end)
        check_offsets(raw, part.message)
    if part.type == "text":
        assert part.lines == raw[part.body_start : part.body_end].count(b"\n")


# Where the two libraries differ on purpose. Ours ends a header only at an empty line (headers.py), shows a
# multipart without delimiters as text, and does not look for parts in encoded messages.
DIFFERENT_ON_PURPOSE = (
    "msg_35.txt",  # a header section without its empty line
    "nice/mime8",  # `Content-Type: BINARY` in base64 is no text
)


def wild_multiparts() -> list[tuple[str, bytes]]:
    return [(name, raw) for name, raw in MESSAGES if "(CRLF)" not in name]


@pytest.mark.parametrize(
    "raw", [raw for _, raw in wild_multiparts()], ids=[name for name, _ in wild_multiparts()]
)
def test_structure_agrees_with_the_standard_library(raw: bytes, request: pytest.FixtureRequest) -> None:
    """The same tree of types, wherever the message is sound in the standard library's eyes."""
    oracle = email.message_from_bytes(raw, policy=email.policy.compat32)
    if any(part.defects for part in oracle.walk()) or request.node.callspec.id.endswith(DIFFERENT_ON_PURPOSE):
        pytest.skip("not sound: the standard library reports defects, and mends them in its own way")
    if any(
        part.get_content_maintype() == "message"
        and part.get("content-transfer-encoding", "7bit").lower() not in ("7bit", "8bit", "binary")
        for part in oracle.walk()
    ):
        pytest.skip("an encoded embedded message")
    assert shape(scan(raw)) == oracle_shape(oracle)


def shape(part: Part) -> object:
    kind = f"{part.type}/{part.subtype}"
    if part.children:
        return (kind, [shape(child) for child in part.children])
    if part.message is not None:
        return (kind, [shape(part.message)])
    return kind


def oracle_shape(message: Message) -> object:
    kind = message.get_content_type()
    payload = message.get_payload()
    if kind in ("message/delivery-status", "message/external-body"):
        return kind  # the library reads what is in them as messages
    if isinstance(payload, list):
        return (kind, [oracle_shape(child) for child in payload if isinstance(child, Message)])
    return kind


def test_vectors_path() -> None:
    assert VECTORS.name == "vectors"
