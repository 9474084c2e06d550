"""What is read of a message is bounded, whatever its sender writes."""

from __future__ import annotations

import pytest

from posthouse.limits import PREVIEW_CHARACTERS, THREAD_IDS, VCARD_PROPERTIES
from posthouse.message.headers import Headers
from posthouse.message.mime import scan
from posthouse.message.text import preview
from posthouse.message.threading import thread_keys
from posthouse.message.vcard import VCardError, read_cards


def keys(*references: str) -> tuple[int, ...]:
    raw = f"Message-ID: <own@a.test>\r\nReferences: {' '.join(references)}\r\n\r\n"
    return thread_keys(Headers.scan(raw.encode()))


def test_a_message_is_tied_to_a_conversation_by_so_many_ids() -> None:
    many = [f"<{number}@b.test>" for number in range(1000)]
    assert len(keys(*many)) == THREAD_IDS <= 50
    latest = keys(many[-1])
    assert set(latest) <= set(keys(*many)), "its own id and the latest reference are among them"


@pytest.mark.parametrize(("properties", "read"), [(VCARD_PROPERTIES, True), (VCARD_PROPERTIES + 1, False)])
def test_a_card_has_so_many_properties(properties: int, read: bool) -> None:
    card = "BEGIN:VCARD\r\n" + "NOTE:x\r\n" * properties + "END:VCARD\r\n"
    if read:
        assert [len(each) for each in read_cards(card.encode())] == [properties]
    else:
        with pytest.raises(VCardError):
            list(read_cards(card.encode()))


def test_a_preview_has_so_many_characters() -> None:
    """RFC 8970 §3.3: at most 200."""
    raw = b"\r\n" + b"word " * 1000
    assert 190 <= len(preview(raw, scan(raw, Headers.scan(raw)))) <= 200 == PREVIEW_CHARACTERS
