"""Which messages belong together: the subject without what replies add, and keys that a conversation shares.

RFC 8621 §3 advises: two messages are of one thread when one of the Message-IDs that they name (Message-ID,
In-Reply-To, References) is the same and so is the subject without "Re:" and its kin. A key is a hash of one id
with that subject, so threads are found by equality alone.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from posthouse.limits import THREAD_IDS
from posthouse.message.headers import Headers, decode_value

_ID: Final = re.compile(rb"<([^<>\s]{1,998})>")
# RFC 5256 §2.1, and the words that programs of other languages put there.
_REPLY: Final = re.compile(
    r"^\s*(?:\[[^\[\]]{0,60}\]\s*)*"
    r"(?:re|fwd?|aw|wg|sv|vs|antw|tr|rif|res|enc|odp|pd|ynt|ilt|回复|答复|转发|回覆|轉寄|轉發)"
    r"\s*(?:\[[^\[\]]{0,60}\]|\(\d{1,4}\))?\s*[:：]",
    re.IGNORECASE,
)
_TAG: Final = re.compile(r"^\s*\[[^\[\]]{0,60}\]")
_TRAILER: Final = re.compile(r"(?:\(fwd\)|\s)+$", re.IGNORECASE)
_FORWARDED: Final = re.compile(r"\[fwd:(.*)\]$", re.IGNORECASE)
_SPACE: Final = re.compile(r"\s+")
_ROUNDS: Final = 32
"""Prefixes taken off at most; a subject of nothing but "Re:" keeps the rest."""


def base_subject(subject: str) -> str:
    """A subject without reply and forward marks, list tags and differences of white space or case."""
    return marked_subject(subject)[0]


def marked_subject(subject: str) -> tuple[str, bool]:
    """The base subject, and whether it was marked as that of a reply or forward (RFC 5256 §2.1, §3)."""
    plain = _SPACE.sub(" ", subject).strip()
    text = _TRAILER.sub("", plain)
    marked = text != plain
    for _ in range(_ROUNDS):
        forwarded = _FORWARDED.match(text)
        if forwarded is not None:  # RFC 5256 §2.1, step 6: what stands within, from the beginning
            marked = True
            text = _TRAILER.sub("", forwarded[1]).strip()
            continue
        match = _REPLY.match(text)
        if match is None:
            tag = _TAG.match(text)
            if tag is None or not text[tag.end() :].strip():
                break
            match = tag
        else:
            marked = True
        text = text[match.end() :].strip()
    return text.casefold(), marked


def message_ids(value: bytes | None) -> list[bytes]:
    """The ids in a Message-ID, In-Reply-To or References field, without their brackets."""
    return _ID.findall(value) if value else []


def thread_keys(headers: Headers) -> tuple[int, ...]:
    """The keys of a message, at most THREAD_IDS: its own id, what it answers, and the latest of its references.

    Of a field that stands several times the last counts, as in ENVELOPE.
    """
    found: dict[bytes, None] = {}
    for name in ("message-id", "in-reply-to", "references"):
        for message_id in reversed(message_ids(headers.last(name))):
            found.setdefault(message_id)
    subject = base_subject(decode_value(headers.last("subject") or b"")).encode("utf-8", "replace")
    return tuple(
        int.from_bytes(
            hashlib.blake2b(message_id + b"\0" + subject, digest_size=8).digest(), "big", signed=True
        )
        for message_id in list(found)[:THREAD_IDS]
    )
