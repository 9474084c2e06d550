"""Sealing: one set of ARC fields for a message that we hand on (RFC 8617 §5.1). Off unless configured (`msgauth.seal`).

The standard is on its way to "historic", so this does no more than it asks: our results, a signature over the message
as it leaves, a seal over the chain. A broken chain is not continued.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final

import msgspec

from posthouse.limits import ARC_SETS
from posthouse.msgauth.arc import ArcSet, Chain, seal_digests
from posthouse.msgauth.dkim_canon import BodyDigest, RawField
from posthouse.msgauth.dkim_sign import SigningKey, folded, signed_names, signed_value
from posthouse.msgauth.dkim_signature import header_digest

_ALSO: Final = (b"dkim-signature",)
"""What is signed besides what DKIM would sign: the proofs that came with the message."""


class Sealing(msgspec.Struct, frozen=True, kw_only=True):
    """What a seal says."""

    results: str
    """Our Authentication-Results, without the name of the field."""
    key: SigningKey
    now: int


def seal(fields: Sequence[RawField], body: BodyDigest, sealing: Sealing) -> bytes:
    """The three fields, CRLF-ended, to stand before the message; empty where nothing may be sealed."""
    chain = Chain.of(fields)
    number = len(chain.sets) + 1
    if chain.broken or number > ARC_SETS:
        return b""
    key, now = sealing.key, sealing.now
    results = _field("ARC-Authentication-Results", f" i={number}; {sealing.results.strip()}")
    names = [*signed_names(fields), *(name for name in _ALSO for one in fields if one.name == name)]
    about = [
        f"i={number}; a={key.algorithm}; c=relaxed/relaxed; d={key.domain};",
        f"s={key.selector}; t={now};",
        *folded(names),
        f"bh={base64.b64encode(body.digest).decode()};",
    ]
    unsigned = _field("ARC-Message-Signature", " " + "\r\n\t".join([*about, "b="]))
    signature = _with(unsigned, signed_value(key.key, header_digest(fields, names, unsigned, relaxed=True)))
    state = "pass" if chain.sets else "none"
    about = [f"i={number}; a={key.algorithm}; t={now}; cv={state};", f"d={key.domain}; s={key.selector};"]
    unsealed = _field("ARC-Seal", " " + "\r\n\t".join([*about, "b="]))
    own = ArcSet(results=results, signature=signature, signature_tags={}, seal=unsealed, seal_tags={})
    sealed = _with(unsealed, signed_value(key.key, seal_digests([*chain.sets, own])[-1]))
    return b"".join(field.raw + b"\r\n" for field in (sealed, signature, results))


def _field(name: str, value: str) -> RawField:
    return RawField(name.lower().encode(), f"{name}:{value}".encode())


def _with(field: RawField, value: str) -> RawField:
    return RawField(field.name, field.raw + value.encode())
