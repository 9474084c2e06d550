"""ARC (RFC 8617) where the suite of vectors says nothing."""

from __future__ import annotations

import base64

import pytest

from posthouse.msgauth.arc import ArcSet, Chain, seal_digests
from posthouse.msgauth.dkim_canon import RawField
from posthouse.msgauth.dkim_sign import FORM, SigningKey, key_record, make_private_key, signed_value
from posthouse.msgauth.dkim_signature import header_digest
from posthouse.msgauth.results import Arc, Result
from tests.fakes.resolver import FakeResolver
from tests.msgauth.messages import hashed, split

KEY = SigningKey(
    domain="list.test", selector="s", algorithm="ed25519-sha256", key=make_private_key("ed25519-sha256")
)
PUBLISHED = f's._domainkey.list.test. TXT "{key_record(KEY.key)}"'
RAW = b"From: eve@bank.test\r\nSubject: x\r\n\r\ntext\r\n"
WHO = "a=ed25519-sha256; d=list.test; s=s"


def field(name: str, value: str) -> RawField:
    return RawField(name.lower().encode(), f"{name}: {value}".encode())


def sealed(tag: str = "") -> bytes:
    """A message with one set; `tag` stands in its message signature."""
    fields, body = split(RAW)
    body_hash = base64.b64encode(hashed(body, frozenset({FORM}))[FORM].digest).decode()
    about = f"i=1; {tag}{WHO}; c=relaxed/relaxed; h=from; bh={body_hash}; b="
    digest = header_digest(fields, [b"from"], field("ARC-Message-Signature", about), relaxed=True)
    signature = field("ARC-Message-Signature", about + signed_value(KEY.key, digest))
    results, head = field("ARC-Authentication-Results", "i=1; list.test; none"), f"i=1; cv=none; {WHO}; b="
    own = ArcSet(
        results=results,
        signature=signature,
        signature_tags={},
        seal=field("ARC-Seal", head),
        seal_tags={},
    )
    seal = field("ARC-Seal", head + signed_value(KEY.key, seal_digests([own])[-1]))
    return b"".join(one.raw + b"\r\n" for one in (seal, signature, results)) + RAW


async def validated(raw: bytes, zone: str = PUBLISHED) -> Arc:
    fields, body = split(raw)
    chain = Chain.of(fields)
    return await chain.validate(hashed(body, chain.forms), FakeResolver(zone))


@pytest.mark.parametrize("tag", ["", "v=1; ", "v=2; "])
async def test_a_version_in_a_message_signature_says_nothing(tag: str) -> None:
    """RFC 8617 §4.1.2: one that is seen must be ignored."""
    found = await validated(sealed(tag))
    assert (found.result, found.reason) == (Result.PASS, "")


async def test_a_key_that_cannot_be_asked_for_fails_the_chain() -> None:
    """RFC 8617 §5.2.1: all failures are permanent, those of the DNS too."""
    found = await validated(sealed(), "s._domainkey.list.test. FAIL")
    assert (found.result, found.sealers) == (Result.FAIL, ("list.test",))
