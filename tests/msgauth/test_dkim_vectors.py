"""The samples of RFC 6376 appendix A and RFC 8463 appendix A, and keys good and bad."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from posthouse.msgauth.dkim_key import PublicKey, parse_key
from posthouse.msgauth.dkim_sign import SigningKey, key_record
from posthouse.msgauth.results import Result
from tests.fakes.resolver import FakeResolver
from tests.msgauth.messages import crafted, crlf, signed, verified
from tests.msgauth.vectors import folder

DATA = folder("dkimpy-data") / "data"

# RFC 8463 appendix A.2: the keys of football.example.com.
BRISBANE = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
TEST = (
    "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY"
    "/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryO"
    "TIKT+l/K4w3QIDAQAB"
)
FOOTBALL = f"""
brisbane._domainkey.football.example.com. TXT "{BRISBANE}"
test._domainkey.football.example.com. TXT "{TEST}"
"""


@pytest.mark.parametrize("name", ["rfc6376.signed.msg", "rfc6376.signed.rsa.msg"])
async def test_samples_of_the_standards_pass(name: str) -> None:
    raw = crlf((DATA / name).read_bytes())
    found = await verified(raw, FakeResolver(FOOTBALL))
    assert found
    assert [one.result for one in found] == [Result.PASS] * len(found), [one.reason for one in found]


async def test_a_changed_sample_fails() -> None:
    raw = crlf((DATA / "rfc6376.signed.msg").read_bytes())
    body = await verified(raw.replace(b"lost the game", b"won the game"), FakeResolver(FOOTBALL))
    header = await verified(raw.replace(b"Is dinner ready?", b"Is lunch ready?"), FakeResolver(FOOTBALL))
    # The same sample with a tag of the signature itself taken out and another put in.
    tag = await verified(crlf((DATA / "rfc6376.signed.no_t.msg").read_bytes()), FakeResolver(FOOTBALL))
    assert {one.result for one in (*body, *header, *tag)} == {Result.FAIL}


async def test_a_signature_among_the_signed_fields_is_another_one() -> None:
    """RFC 6376 §5.4: its own is always signed and never meant by "dkim-signature" in h=."""
    key = ed25519.Ed25519PrivateKey.generate()
    signing = SigningKey(domain="a.test", selector="s", algorithm="ed25519-sha256", key=key)
    published = FakeResolver(f's._domainkey.a.test. TXT "{key_record(key)}"')
    raw = b"From: <x@a.test>\r\nTo: <y@b.test>\r\nSubject: hello\r\n\r\ntext\r\n"
    alone = crafted(raw, signing, h="from:to:subject:dkim-signature")
    assert [one.result for one in await verified(alone, published)] == [Result.PASS]
    first = crafted(raw, signing)
    both = crafted(first, signing, h="from:to:subject:dkim-signature")
    assert [one.result for one in await verified(both, published)] == [Result.PASS] * 2
    without_first = both.replace(first.removesuffix(raw), b"")
    assert [one.result for one in await verified(without_first, published)] == [Result.FAIL]


async def test_the_ed25519_key_of_the_standard_signs_as_the_standard_shows() -> None:
    seed = base64.b64decode((DATA / "rfc8032_7_1.key").read_text())
    key = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    assert key_record(key) == BRISBANE
    signing = SigningKey(
        domain="football.example.com", selector="brisbane", algorithm="ed25519-sha256", key=key
    )
    raw = signed(crlf((DATA / "rfc6376.msg").read_bytes()), signing)
    assert [one.result for one in await verified(raw, FakeResolver(FOOTBALL))] == [Result.PASS]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("test.txt", 1024),
        ("test2.txt", 1024),
        ("2048_testkey_wo_markers.pub.txt", 2048),
        ("2048_testkey_wo_markers.pub.rsa.txt", 2048),
        ("1024_testkey_wo_markers.pub.txt", 1024),
        ("ed25519test.dns", 256),
        ("badk.txt", None),
        ("badversion.txt", None),
    ],
)
def test_keys(name: str, wanted: int | None) -> None:
    text = (DATA / name).read_text().strip()
    found = parse_key(text if "=" in text.split(";")[0][:8] else f"p={text}")
    assert (found.bits if isinstance(found, PublicKey) else None) == wanted


async def test_our_signatures_with_the_samples_key() -> None:
    key = load_pem_private_key((DATA / "test.private").read_bytes(), None)
    signing = SigningKey(domain="example.com", selector="test", algorithm="rsa-sha256", key=key)  # type: ignore[arg-type]
    record = (DATA / "test.txt").read_text().strip()
    raw = signed(crlf((DATA / "test.message").read_bytes()), signing)
    found = await verified(raw, FakeResolver(f'test._domainkey.example.com. TXT "{record}"'))
    assert [one.result for one in found] == [Result.PASS]
