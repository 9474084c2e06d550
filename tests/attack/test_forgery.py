"""Forged mail: each kind is a conversation with port 25; none may end in the Inbox as authentic.

The forger owns elsewhere.test, with good SPF and DKIM. The victims own bank.test (which asks to refuse forgeries) and
lenient.test (which asks for nothing), with good keys and some bad ones. After each attempt the Inbox is read as a
reader would: no message there that anybody could take for a victim's may be told to be proved.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable

import pytest
from asn1crypto import keys as asn1_keys

from posthouse.inbound.authenticate import author_domains
from posthouse.inbound.authors import claimed_addresses
from posthouse.message.headers import Headers
from posthouse.msgauth.authres import parse_authres
from posthouse.msgauth.dkim_sign import SigningKey, key_record, make_private_key
from tests.fakes.resolver import FakeResolver
from tests.inbound.small_house import SmallHouse
from tests.msgauth.messages import crafted, signed

VICTIMS = ("bank.test", "lenient.test")
EDWARDS = make_private_key("ed25519-sha256")
EVIL = SigningKey(domain="elsewhere.test", selector="s1", algorithm="ed25519-sha256", key=EDWARDS)


def owner(victim: str, selector: str = "s1") -> SigningKey:
    """A victim's key under one of its selectors."""
    return SigningKey(domain=victim, selector=selector, algorithm="ed25519-sha256", key=EDWARDS)


def rsa_record(bits: int) -> str:
    """A key of any size as published; nobody needs its private half to be refused."""
    number = (1 << (bits - 1)) | 1
    public = asn1_keys.RSAPublicKey({"modulus": number, "public_exponent": 65537})
    info = asn1_keys.PublicKeyInfo.wrap(public, "rsa")

    return f"v=DKIM1; k=rsa; p={base64.b64encode(info.dump()).decode()}"


def zone_of(victim: str, policy: str) -> str:
    good = key_record(EDWARDS)
    return f"""
{victim}. TXT "v=spf1 ip4:192.0.2.77 -all"
{victim}. MX 10 mx.{victim}.
_dmarc.{victim}. TXT "v=DMARC1; p={policy}"
sub.{victim}. A 192.0.2.9
s1._domainkey.{victim}. TXT "{good}"
testing._domainkey.{victim}. TXT "{good}; t=y"
revoked._domainkey.{victim}. TXT "v=DMARC1; p="
other._domainkey.{victim}. TXT "{good}; s=other"
short._domainkey.{victim}. TXT "{rsa_record(512)}"
huge._domainkey.{victim}. TXT "{rsa_record(16_384)}"
flood._domainkey.{victim}. TXT "v=DKIM1; p={"A" * 65_000}"
loop._domainkey.{victim}. CNAME loop._domainkey.{victim}.
"""


ZONE = (
    f"""
127.0.0.1 PTR client.elsewhere.test.
client.elsewhere.test. A 127.0.0.1
elsewhere.test. TXT "v=spf1 ip4:127.0.0.1 -all"
bank.test.elsewhere.test. TXT "v=spf1 ip4:127.0.0.1 -all"
notbank.test. TXT "v=spf1 ip4:127.0.0.1 -all"
s1._domainkey.elsewhere.test. TXT "{key_record(EDWARDS)}"
s1._domainkey.notbank.test. TXT "{key_record(EDWARDS)}"
s1._domainkey.test. TXT "{key_record(EDWARDS)}"
s1._domainkey.bank.test.elsewhere.test. TXT "{key_record(EDWARDS)}"
"""
    + zone_of("bank.test", "reject")
    + zone_of("lenient.test", "none")
)

Forge = Callable[[str], bytes]
"""A victim's domain → what comes between DATA and the final dot."""


def letter(author: str, *fields: str, body: str = "pay now\r\n") -> bytes:
    lines = [*fields, f"From: {author}", "To: alice@example.test", "Subject: your account"]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def genuine(victim: str) -> bytes:
    """What the victim really sent once, to somebody."""
    return signed(letter(f"info@{victim}"), owner(victim))


def plain(victim: str) -> bytes:
    """The same, signed as most do: each field once, so that further ones can be added."""
    return crafted(
        letter(f"info@{victim}", "Content-Type: text/plain"), owner(victim), h="from:to:subject:content-type"
    )


KINDS: dict[str, Forge] = {
    "nothing but the name": lambda v: letter(f"Bank <info@{v}>"),
    "signed by the forger": lambda v: signed(letter(f"info@{v}"), EVIL),
    "two From, the forger's first": lambda v: letter("eve@elsewhere.test").replace(
        b"To:", f"From: info@{v}\r\nTo:".encode()
    ),
    "two From, the victim's first": lambda v: letter(f"info@{v}").replace(
        b"To:", b"From: eve@elsewhere.test\r\nTo:"
    ),
    "two authors in one From": lambda v: signed(letter(f"eve@elsewhere.test, info@{v}"), EVIL),
    "a group": lambda v: letter(f"Bank: info@{v};"),
    "the victim behind a group": lambda v: letter(f"x: eve@elsewhere.test;, info@{v}"),
    "a null character": lambda v: letter(f"info@{v}\0 <eve@elsewhere.test>"),
    "a null character in the name of the field": lambda v: letter("eve@elsewhere.test", f"From\0: info@{v}"),
    "a comment in the domain": lambda v: letter(f"info@(x){v}(y)"),
    "a comment that does not end": lambda v: letter(f"(info <info@{v}>"),
    "an encoded word as the address": lambda v: letter(f"=?utf-8?q?info=40{v}?="),
    "an encoded word before the address": lambda v: letter(f"=?utf-8?b?eA==?= info@{v}"),
    "a quote that does not end": lambda v: letter(f'"eve <info@{v}>'),
    "two pairs of brackets": lambda v: signed(letter(f"<eve@elsewhere.test> <info@{v}>"), EVIL),
    "brackets in brackets": lambda v: letter(f"<eve@elsewhere.test <info@{v}>>"),
    "a source route": lambda v: letter(f"<@elsewhere.test:info@{v}>"),
    "a dot behind the domain": lambda v: letter(f"info@{v}."),
    "capitals": lambda v: letter(f"INFO@{v.upper()}"),
    "wide letters": lambda v: letter("info@" + "".join(chr(ord(c) + 0xFEE0) for c in v[:4]) + v[4:]),
    "folded in the middle": lambda v: letter(f"info@\r\n {v}"),
    "a blank before the colon": lambda v: letter("eve@elsewhere.test").replace(
        b"From:", f"From : info@{v}\r\nX:".encode()
    ),
    "a continuation line before all": lambda v: (
        f" From: info@{v}\r\n".encode() + letter("eve@elsewhere.test")
    ),
    "no From, but a Sender": lambda v: f"Sender: info@{v}\r\nSubject: x\r\n\r\ntext\r\n".encode(),
    "a subdomain that exists": lambda v: letter(f"info@sub.{v}"),
    "a subdomain that does not": lambda v: letter(f"info@no.such.{v}"),
    "the victim's name below the forger's": lambda v: signed(
        letter(f"info@{v}"),
        SigningKey(domain="bank.test.elsewhere.test", selector="s1", algorithm=EVIL.algorithm, key=EDWARDS),
    ),
    "a name that only ends alike": lambda v: signed(
        letter(f"info@{v}"),
        SigningKey(domain="notbank.test", selector="s1", algorithm=EVIL.algorithm, key=EDWARDS),
    ),
    "signed by the top-level domain": lambda v: signed(
        letter(f"info@{v}"), SigningKey(domain="test", selector="s1", algorithm=EVIL.algorithm, key=EDWARDS)
    ),
    "i= of the victim, d= of the forger": lambda v: crafted(letter(f"info@{v}"), EVIL, i=f"@{v}"),
    "d= twice": lambda v: crafted(letter(f"info@{v}"), EVIL, h=f"from; d={v}; d=elsewhere.test"),
    "replayed with another From above": lambda v: (
        b"From: Support <support@" + v.encode() + b">\r\n" + genuine(v)
    ),
    "replayed with another Subject above": lambda v: b"Subject: win\r\n" + genuine(v),
    "replayed with another To": lambda v: genuine(v).replace(b"To: ", b"To: x@elsewhere.test\r\nTo: "),
    "replayed with a Reply-To": lambda v: b"Reply-To: eve@elsewhere.test\r\n" + genuine(v),
    "replayed with another Content-Type": lambda v: b"Content-Type: text/html\r\n" + genuine(v),
    "replayed with a Subject that its signature does not guard": lambda v: b"Subject: win\r\n" + plain(v),
    "replayed with a To that its signature does not guard": lambda v: b"To: you@example.test\r\n" + plain(v),
    "replayed with a Content-Type that its signature does not guard": lambda v: (
        b"Content-Type: text/html\r\n" + plain(v)
    ),
    "replayed with a Subject below": lambda v: plain(v).replace(b"\r\n\r\n", b"\r\nSubject: win\r\n\r\n"),
    "replayed with another text": lambda v: genuine(v).replace(b"pay now", b"pay eve"),
    "text behind the part that l= covers": lambda v: crafted(
        letter(f"info@{v}", body="pay now\r\n<b>evil</b>\r\n"), owner(v), covered=9
    ),
    "l= of nothing": lambda v: crafted(letter(f"info@{v}"), owner(v), covered=0),
    "From is not signed": lambda v: crafted(letter(f"info@{v}"), owner(v), h="to:subject"),
    "expired long ago": lambda v: crafted(letter(f"info@{v}"), owner(v), t="1000000000", x="1000086400"),
    "SHA-1": lambda v: crafted(letter(f"info@{v}"), owner(v), a="rsa-sha1"),
    "an algorithm called none": lambda v: crafted(letter(f"info@{v}"), owner(v), a="none"),
    "an Ed25519 key taken for RSA": lambda v: crafted(letter(f"info@{v}"), owner(v), a="rsa-sha256"),
    "a key that is only tried out": lambda v: signed(letter(f"info@{v}"), owner(v, "testing")),
    "a key that was revoked": lambda v: signed(letter(f"info@{v}"), owner(v, "revoked")),
    "a key for something else": lambda v: signed(letter(f"info@{v}"), owner(v, "other")),
    "a key of 512 bits": lambda v: crafted(letter(f"info@{v}"), owner(v, "short"), a="rsa-sha256"),
    "a key of 16,384 bits": lambda v: crafted(letter(f"info@{v}"), owner(v, "huge"), a="rsa-sha256"),
    "a key of 64 KB": lambda v: crafted(letter(f"info@{v}"), owner(v, "flood"), a="rsa-sha256"),
    "a key whose name goes in circles": lambda v: signed(letter(f"info@{v}"), owner(v, "loop")),
    "a selector that climbs out": lambda v: crafted(letter(f"info@{v}"), EVIL, s=f"s1._domainkey.{v}.x"),
    "results in our name": lambda v: letter(
        f"info@{v}", f"Authentication-Results: mx.example.test; dmarc=pass header.from={v}"
    ),
    "results in our name, in quotes": lambda v: letter(
        f"info@{v}", f'Authentication-Results: "mx.example.test"; dmarc=pass header.from={v}'
    ),
    "results in our name, below ours": lambda v: letter(
        f"info@{v}",
        f"Subject: x\r\nAuthentication-Results: (;) mx.EXAMPLE.test 1; dmarc=pass header.from={v}",
    ),
    "a chain of ARC that nobody made": lambda v: letter(
        f"info@{v}",
        f"ARC-Seal: i=1; a=ed25519-sha256; cv=none; d={v}; s=s1; b=AAAA",
        f"ARC-Message-Signature: i=1; a=ed25519-sha256; d={v}; s=s1; h=from; bh=AAAA; b=AAAA",
        f"ARC-Authentication-Results: i=1; mx.example.test; dmarc=pass header.from={v}",
    ),
}

ENVELOPES = {
    "the forger's own": ("client.elsewhere.test", "eve@elsewhere.test"),
    "the victim's": ("client.elsewhere.test", "info@{victim}"),
    "none, and the victim's name in EHLO": ("{victim}", ""),
}

SMUGGLED = {
    "a dot between LF": b"\n.\n",
    "LF before the dot": b"\n.\r\n",
    "LF behind the dot": b"\r\n.\n",
    "CR before the dot": b"\r.\r\n",
    "CR behind the dot": b"\r\n.\r",
    "CR LF CR before the dot": b"\r\n\r.\r\n",
}


@pytest.fixture
async def house(tmp_path) -> AsyncIterator[SmallHouse]:
    house = await SmallHouse.open(tmp_path, resolver=FakeResolver(ZONE))
    yield house
    await house.close()


async def converse(port: int, helo: str, sender: str, text: bytes) -> bytes:
    """One transaction, all said at once; what the server says until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    writer.write(f"EHLO {helo}\r\nMAIL FROM:<{sender}>\r\nRCPT TO:<alice@example.test>\r\n".encode())
    writer.write(b"DATA\r\n")
    said = b""
    while b"\r\n354 " not in said:
        line = await reader.readline()
        said += line
        if not line or (line[:1] in b"45" and line[3:4] == b" "):
            writer.close()
            return said
    writer.write(text + b"\r\n.\r\nQUIT\r\n")
    said += await reader.read()
    writer.close()
    return said


async def believed(house: SmallHouse) -> list[tuple[str, str]]:
    """(victim, what the reader is told of it) for messages in the Inbox that might be taken for the victim's."""
    found = []
    for message in await house.inbox("alice"):
        headers = Headers.scan(message)
        addresses = [a for value in headers.all("from") for a in claimed_addresses(value)]
        told = [parse_authres(value) for value in headers.all("authentication-results")]
        ours = [one for one in told if one.host == "mx.example.test"]
        assert len(ours) == 1, "exactly one field in our name: our own"
        passed = {
            one.properties.get("header.from", "")
            for one in ours[0].results
            if (one.method, one.result) == ("dmarc", "pass")
        }
        found += [
            (domain, "pass")
            for domain in author_domains(addresses)
            if domain in passed and domain.endswith(VICTIMS)
        ]
        found += [(domain, "pass") for domain in passed if domain.endswith(VICTIMS)]
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("victim", VICTIMS)
async def test_never_authentic_in_the_inbox(house: SmallHouse, kind: str, victim: str) -> None:
    port = await house.listen()
    for helo, sender in ENVELOPES.values():
        await converse(port, helo.format(victim=victim), sender.format(victim=victim), KINDS[kind](victim))
    assert await believed(house) == []


@pytest.mark.parametrize("ending", SMUGGLED)
async def test_a_second_message_is_not_smuggled_in(house: SmallHouse, ending: str) -> None:
    """The first is honest; the second would be received as if the honest sender's host had sent it."""
    second = b"MAIL FROM:<info@bank.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n" + genuine("bank.test")
    port = await house.listen()
    await converse(
        port,
        "client.elsewhere.test",
        "eve@elsewhere.test",
        letter("eve@elsewhere.test") + SMUGGLED[ending] + second,
    )
    assert all(
        b"From: info@bank.test" not in Headers.scan(m).raw[: Headers.scan(m).end]
        for m in await house.inbox("alice")
    )
    assert await believed(house) == []


async def test_the_genuine_one_is_believed(house: SmallHouse) -> None:
    """Else all of the above would prove nothing."""
    port = await house.listen()
    for victim in VICTIMS:
        await converse(port, "client.elsewhere.test", "eve@elsewhere.test", genuine(victim))
    assert {victim for victim, _ in await believed(house)} == set(VICTIMS)


def test_there_are_at_least_25_kinds() -> None:
    assert len(KINDS) + len(SMUGGLED) >= 25
