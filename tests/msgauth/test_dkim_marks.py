"""What tells the signatures of one message apart (RFC 6008)."""

from __future__ import annotations

from posthouse.msgauth.dkim_verify import Signatures
from tests.fakes.resolver import FakeResolver
from tests.msgauth.messages import split, verified

RAW = b"From: x@a.test\r\n\r\ntext\r\n"


def signature(value: str, domain: str = "a.test") -> bytes:
    return f"DKIM-Signature: v=1; a=rsa-sha256; d={domain}; s=s; h=from; bh=eA==; b={value}\r\n".encode()


async def test_a_mark_is_as_long_as_it_takes() -> None:
    """RFC 6008 §4: eight characters, or all there are, and more where those are not unique."""
    values = ["AAAABBBBCCCC", "AAAABBBBCCDD", "AAAABBBB EEEE", "AAAACCCC", "Zg=="]
    raw = b"".join(map(signature, values)) + b"DKIM-Signature: v=9; b=AAAABBBBCCCE\r\n" + RAW
    found = await verified(raw, FakeResolver())
    assert [one.mark for one in found] == [
        *("AAAABBBBCCC", "AAAABBBBCCD", "AAAABBBBE", "AAAACCCC", "Zg=="),
        "",  # it could not be read
    ]


def test_the_same_value_twice_is_told_whole_or_short_alike() -> None:
    found = Signatures.of(
        split(signature("AAAABBBBCCCC") + signature("AAAABBBBCCCC", "b.test") + RAW)[0]
    ).found
    assert [one.mark for one in found] == ["AAAABBBB", "AAAABBBB"]
