"""Forged mail, second part: results in our name as loose readers see them, obsolete syntax, odd signatures, BDAT.

Rules and victims are those of `test_forgery`. Besides, each message that came in is read once more by a reader that
takes any line end, decodes encoded words, and strips comments and quotes: it may find one field in our name, our own.
"""

from __future__ import annotations

import asyncio
import email.header
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from posthouse.limits import AUTHRES_FIELD
from posthouse.message.headers import Headers, unfold
from posthouse.msgauth.arc_seal import Sealing, seal
from posthouse.msgauth.authres import parse_authres
from posthouse.msgauth.dkim_sign import FORM, SigningKey, key_record
from tests.attack.test_forgery import (
    EDWARDS,
    ENVELOPES,
    EVIL,
    VICTIMS,
    ZONE,
    believed,
    converse,
    genuine,
    letter,
    owner,
)
from tests.fakes.resolver import FakeResolver
from tests.inbound.small_house import NOW, SmallHouse
from tests.msgauth.messages import crafted, hashed, signed, split

Forge = Callable[[str], bytes]
OURS = "mx.example.test"


def says(text: str) -> Callable[[str], bytes]:
    """A letter of the victim's with a field above it; `{v}` is the victim."""
    return lambda v: letter(f"info@{v}", text.replace("{v}", v))


PASS = "; dmarc=pass header.from={v}"
RESULTS: dict[str, Forge] = {
    "a version behind the name": says(f"Authentication-Results: {OURS} 2{PASS}"),
    "a version with a slash": says(f"Authentication-Results: {OURS}/1{PASS}"),
    "comments in comments": says(f"Authentication-Results: (a (b \\) c) d) {OURS} (1){PASS}"),
    "a comment without end before": says(f"Authentication-Results: (x {OURS}{PASS}"),
    "a long comment before": says(f"Authentication-Results: ({'x' * AUTHRES_FIELD}) {OURS}{PASS}"),
    "many long lines before": says(
        "Authentication-Results: (" + "\r\n ".join(["x" * 900] * 40) + f")\r\n {OURS}{PASS}"
    ),
    "a blank before the colon": says(f"Authentication-Results : {OURS}{PASS}"),
    "a tab before the colon": says(f"Authentication-Results\t: {OURS}{PASS}"),
    "no blank": says(f"Authentication-Results:{OURS}{PASS}"),
    "on the next line": says(f"Authentication-Results:\r\n\t{OURS}{PASS}"),
    "an empty line of blanks between": says(f"Authentication-Results:\r\n \r\n\t{OURS}{PASS}"),
    "a dot behind": says(f"Authentication-Results: {OURS}.{PASS}"),
    "capitals": says(f"AUTHENTICATION-RESULTS: {OURS.upper()}{PASS}"),
    "quoted pairs": says('Authentication-Results: "mx\\.exa\\mple.test"' + PASS),
    "backslashes without quotes": says("Authentication-Results: mx\\.example.test" + PASS),
    "a quote that does not end": says(f'Authentication-Results: "{OURS}{PASS}'),
    "an encoded word": says(f"Authentication-Results: =?utf-8?q?{OURS}?={PASS}"),
    "an encoded word without a dot": says("Authentication-Results: =?utf-8?q?mx=2Eexample=2Etest?=" + PASS),
    "an encoded word of base 64": says("Authentication-Results: =?utf-8?b?bXguZXhhbXBsZS50ZXN0?=" + PASS),
    "two encoded words": says(
        "Authentication-Results: =?us-ascii?q?mx=2Eexam?= =?utf-8?q?ple=2Etest?=" + PASS
    ),
    "all of it in an encoded word": says(
        "Authentication-Results: =?utf-8?q?mx=2Eexample=2Etest=3B_dmarc=3Dpass?="
    ),
    "half of the name in a comment": says("Authentication-Results: mx.(x)example(y).test" + PASS),
    "another host first": says(f"Authentication-Results: elsewhere.test, {OURS}{PASS}"),
    "behind a CR": says(f"X-A: b\rAuthentication-Results: {OURS}{PASS}"),
    "behind an LF": says(f"X-A: b\nAuthentication-Results: {OURS}{PASS}"),
    "a null character in the name": says(f"Authentication-Results: mx.\0example.test{PASS}"),
    "our verdict": says("X-Posthouse-Verdict: fine"),
    "our verdict, blank before the colon": says("X-Posthouse-Verdict : fine"),
    "many of them": says("\r\n".join([f"Authentication-Results: {OURS}{PASS}"] * 200)),
}

AUTHORS: dict[str, Forge] = {
    "blanks around the at": lambda v: letter(f"info @ {v}"),
    "blanks around the dot": lambda v: letter(f"info@{v.replace('.', ' . ')}"),
    "a blank before the dot, in brackets": lambda v: letter(f"Bank <info@{v.replace('.', ' .')}>"),
    "a comment at the dot": lambda v: letter(f"info@{v.replace('.', '(x).')}"),
    "comments everywhere": lambda v: letter(f"(a)info(b)@(c){v.replace('.', '(d).(e)')}(f)"),
    "folded at the dot": lambda v: letter(f"info@{v.replace('.', chr(13) + chr(10) + ' .')}"),
    "a domain literal": lambda v: letter(f"info@[{v}]"),
    "a quoted domain": lambda v: letter(f'info@"{v}"'),
    "two ats": lambda v: letter(f"info@{v}@elsewhere.test"),
    "empty places in the list": lambda v: letter(f", ,info@{v}, ,"),
    "behind a semicolon": lambda v: letter(f"eve@elsewhere.test; info@{v}"),
    "a wide full stop": lambda v: letter("info@" + v.replace(".", "\u3002")),
    "a soft hyphen": lambda v: letter("info@" + v[:2] + "\u00ad" + v[2:]),
    "a zero-width joiner": lambda v: letter("info@" + v[:2] + "\u200d" + v[2:]),
    "a mathematical letter": lambda v: letter("info@" + v.replace("n", "\U0001d427", 1)),
    "an obsolete route in brackets": lambda v: letter(f"<@a.test,@b.test:info@{v}>"),
    "an empty From, then another": lambda v: letter("", f"From: info@{v}"),
    "a From of blanks above": lambda v: letter(f"info@{v}", "From: "),
    "another case of the name": lambda v: letter("eve@elsewhere.test", f"fROM: info@{v}"),
    "a tab before the colon": lambda v: letter("eve@elsewhere.test", f"From\t: info@{v}"),
    "From of a resender": lambda v: letter(
        f"info@{v}", "Resent-From: eve@elsewhere.test", "Resent-To: a@b.test"
    ),
    "nine labels below": lambda v: letter(f"info@a.b.c.d.e.f.g.h.i.{v}"),
    "signed nine labels below another": lambda v: signed(letter(f"info@{v}"), EVIL),
    "a label of 64": lambda v: letter(f"info@{'a' * 64}.{v}"),
    "an empty label": lambda v: letter(f"info@.{v}"),
    "two dots": lambda v: letter("info@" + v.replace(".", "..")),
}

OLD, SOON = str(int(NOW) - 864_000), str(int(NOW) + 864_000)
SIGNATURES: dict[str, Forge] = {
    "l= beyond the end, and text behind it": lambda v: crafted(letter(f"info@{v}"), owner(v), l="999999") + b"evil\r\n",
    "l= below nothing": lambda v: crafted(letter(f"info@{v}"), owner(v), l="-1"),
    "l= that overflows, and text behind it": lambda v: crafted(letter(f"info@{v}"), owner(v), l="9" * 76) + b"evil\r\n",
    "l= twice": lambda v: crafted(letter(f"info@{v}"), owner(v), covered=9, l="9; l=0"),
    "l= in the middle of a line end": lambda v: crafted(
        letter(f"info@{v}", body="pay now\r\nevil\r\n"), owner(v), covered=8
    ),
    "x= before t=": lambda v: crafted(letter(f"info@{v}"), owner(v), t=SOON, x=OLD),
    "x= no number": lambda v: crafted(letter(f"info@{v}"), owner(v), x="never"),
    "x= with a sign": lambda v: crafted(letter(f"info@{v}"), owner(v), x="+99999999999"),
    "x= below nothing": lambda v: crafted(letter(f"info@{v}"), owner(v), x="-1"),
    "x= in other digits": lambda v: crafted(letter(f"info@{v}"), owner(v), x="\u0669" * 10),
    "x= of the past, then of the future": lambda v: crafted(letter(f"info@{v}"), owner(v), x=f"{OLD}; x={SOON}"),
    "t= no number": lambda v: crafted(letter(f"info@{v}"), owner(v), t="now"),
    "version 2": lambda v: crafted(letter(f"info@{v}"), owner(v), v="2"),
    "no version": lambda v: crafted(letter(f"info@{v}"), owner(v), v=None),
    "another way to the key": lambda v: crafted(letter(f"info@{v}"), owner(v), q="http"),
    "an unknown canonicalisation": lambda v: crafted(letter(f"info@{v}"), owner(v), c="nowsp/nowsp"),
    "i= elsewhere": lambda v: crafted(letter(f"info@{v}"), owner(v), i="@elsewhere.test"),
    "i= of a name that ends alike": lambda v: crafted(letter(f"info@{v}"), EVIL, i=f"@{v}.elsewhere.test", d=v),
    "d= with a dot in front": lambda v: crafted(letter(f"info@{v}"), EVIL, d=f".{v}"),
    "d= of the top level": lambda v: crafted(letter(f"info@{v}"), EVIL, d="test"),
    "d= with a null character": lambda v: crafted(letter(f"info@{v}"), EVIL, d=f"elsewhere.test\0.{v}"),
    "d= with a comment": lambda v: crafted(letter(f"info@{v}"), EVIL, d=f"{v}(elsewhere.test)"),
    "h= with From once, and two of them": lambda v: letter("x").split(b"From")[0]
    + f"From: Boss <boss@{v}>\r\n".encode() + genuine(v),
    "h= in pieces": lambda v: crafted(letter(f"info@{v}"), owner(v), h="fr om:to:subject"),
    "From behind the signed one": lambda v: genuine(v).replace(
        b"\r\n\r\n", f"\r\nFrom: boss@{v}\r\n\r\n".encode(), 1
    ),
    "a second text behind an empty line": lambda v: genuine(v).replace(b"\r\n\r\n", b"\r\n \r\n\r\nevil\r\n", 1),
}  # fmt: skip

KINDS = (
    {f"results: {name}": forge for name, forge in RESULTS.items()}
    | {f"author: {name}": forge for name, forge in AUTHORS.items()}
    | {f"signature: {name}": forge for name, forge in SIGNATURES.items()}
)


CHUNKED: dict[str, Callable[[bytes, bytes], bytes]] = {
    "the end of DATA within a chunk": lambda first, second: chunk(first + b"\r\n.\r\n" + second),
    "a lone dot between LF within a chunk": lambda first, second: chunk(first + b"\n.\n" + second),
    "a lone dot between CR within a chunk": lambda first, second: chunk(first + b"\r.\r" + second),
    "the dot in a chunk of its own": lambda first, second: (
        chunk(first, "") + chunk(b".\r\n", "") + chunk(second)
    ),
    "CR and LF in two chunks": lambda first, second: (
        chunk(first + b"\r", "") + chunk(b"\n.\r", "") + chunk(b"\n" + second)
    ),
    "a size that is too large by one": lambda first, second: (
        f"BDAT {len(first) + 1} LAST\r\n".encode() + first + second
    ),
    "a size below nothing": lambda first, second: b"BDAT -1 LAST\r\n" + first + second,
    "a size that overflows": lambda first, second: (
        f"BDAT {2**64 + len(first)} LAST\r\n".encode() + first + second
    ),
    "a size in other digits": lambda first, second: (
        f"BDAT 0x{len(first):x} LAST\r\n".encode() + first + second
    ),
    "two sizes": lambda first, second: f"BDAT {len(first)} {len(second)} LAST\r\n".encode() + first + second,
    "a command behind LF": lambda first, second: (
        f"BDAT {len(first + second)} LAST\nNOOP\r\n".encode() + first + second
    ),
    "DATA between the chunks": lambda first, second: (
        chunk(first, "") + b"DATA\r\n" + second + b"\r\n.\r\n" + chunk(b"")
    ),
    "RSET between the chunks": lambda first, second: chunk(first, "") + b"RSET\r\n" + chunk(second),
    "MAIL between the chunks": lambda first, second: (
        chunk(first, "") + b"MAIL FROM:<info@bank.test>\r\n" + chunk(second)
    ),
}
"""What stands behind RCPT; the first text is the forger's own, the second begins with commands."""


def chunk(octets: bytes, last: str = " LAST") -> bytes:
    return f"BDAT {len(octets)}{last}\r\n".encode() + octets


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[SmallHouse]:
    house = await SmallHouse.open(tmp_path, resolver=FakeResolver(ZONE))
    yield house
    await house.close()


def loosely(message: bytes) -> list[str]:
    """What a loose reader takes for results in our name."""
    head = re.split(rb"\r\n\r\n|\n\n|\r\r", message, maxsplit=1)[0].decode("utf-8", "replace")
    unfolded = re.sub(r"(?:\r\n|\r|\n)[ \t]+", " ", head)
    found = []
    for line in re.split(r"[\r\n]+", unfolded):
        name, _, value = line.partition(":")
        if name.strip().lower() != "authentication-results":
            continue
        words = "".join(
            part.decode("utf-8", "replace") if isinstance(part, bytes) else part
            for part, _ in email.header.decode_header(value)
        )
        while (shorter := re.sub(r"\((?:[^()\\]|\\.)*\)", "", words)) != words:
            words = shorter
        bare = re.sub(r'[\s"\\\0]', "", words).lower()
        if re.match(re.escape(OURS) + r"\.?[0-9]*(?:[;/]|$)", bare):
            found.append(words)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("victim", VICTIMS)
async def test_never_authentic_in_the_inbox(house: SmallHouse, kind: str, victim: str) -> None:
    port = await house.listen()
    for helo, sender in ENVELOPES.values():
        await converse(port, helo.format(victim=victim), sender.format(victim=victim), KINDS[kind](victim))
    assert await believed(house) == []
    for message in await house.inbox("alice"):
        assert len(loosely(message)) == 1, "one field in our name: our own"


async def test_a_genuine_letter_leaves_one_field_for_a_loose_reader(house: SmallHouse) -> None:
    """Fields of other hosts stay: only what could be taken for ours goes."""
    theirs = b"Authentication-Results: mx.example.test.elsewhere.test; dkim=pass header.d=elsewhere.test\r\n"
    other = b"Authentication-Results: relay.other.test (near mx.example.test) 1; spf=none\r\n"
    port = await house.listen()
    await converse(port, "client.elsewhere.test", "eve@elsewhere.test", theirs + other + genuine("bank.test"))
    [message] = await house.inbox("alice")
    assert len(loosely(message)) == 1
    assert theirs in message and other in message


SECOND = b"MAIL FROM:<info@bank.test>\r\nRCPT TO:<alice@example.test>\r\n" + chunk(genuine("bank.test"))


async def in_chunks(port: int, behind_rcpt: bytes) -> None:
    """The forger's transaction up to RCPT and what stands behind it, all at once, until the server has closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"EHLO client.elsewhere.test\r\nMAIL FROM:<eve@elsewhere.test>\r\n")
    writer.write(b"RCPT TO:<alice@example.test>\r\n" + behind_rcpt)
    writer.write_eof()
    async with asyncio.timeout(20):
        said = await reader.read()
    writer.close()
    assert said.startswith(b"220 ")


@pytest.mark.parametrize("kind", CHUNKED)
async def test_no_second_message_comes_out_of_chunks(house: SmallHouse, kind: str) -> None:
    """RFC 3030 §2: octets are counted, and what is counted is text; what is no chunk ends no message."""
    await in_chunks(await house.listen(), CHUNKED[kind](letter("eve@elsewhere.test"), SECOND))
    for message in await house.inbox("alice"):
        head = message.partition(b"\r\n\r\n")[0]
        assert b"Return-Path: <info@bank.test>" not in head
        assert b"From: info@bank.test" not in head
        assert len(loosely(message)) == 1
    assert await believed(house) == []


async def test_a_second_message_that_is_one_arrives(house: SmallHouse) -> None:
    """Else the test above would prove nothing."""
    await in_chunks(await house.listen(), chunk(letter("eve@elsewhere.test")) + SECOND)
    assert ("bank.test", "pass") in await believed(house)


TREE = """
_dmarc.test. TXT "v=DMARC1; p=none; psd=y"
_dmarc.shop.bank.test. TXT "v=DMARC1; p=none; psd=n"
_dmarc.odd.test. TXT "v=DMARC1; p=none"
_dmarc.odd.test. TXT "v=DMARC1; p=reject"
"""
"""A public suffix; a part of the bank that stands alone; a domain with two records."""


@pytest.mark.parametrize(
    ("author", "signer", "result"),
    [
        ("info@bank.test", "elsewhere.test", "fail"),  # both below the suffix, which is nobody's organization
        ("info@test", "elsewhere.test", "fail"),
        ("info@shop.bank.test", "bank.test", "fail"),  # psd=n: another organization
        ("info@bank.test", "shop.bank.test", "fail"),
        ("info@a.shop.bank.test", "shop.bank.test", "pass"),
        ("info@sub.bank.test", "bank.test", "pass"),
        ("info@odd.test", "elsewhere.test", "fail"),  # RFC 9989 §4.10 step 2: of two records none counts
    ],
)
async def test_organizations_end_where_the_tree_says(
    tmp_path: Path, author: str, signer: str, result: str
) -> None:
    """RFC 9989 §4.10.2: walked up from both names."""
    keys = f's1._domainkey.shop.bank.test. TXT "{key_record(EDWARDS)}"\n'
    house = await SmallHouse.open(tmp_path, resolver=FakeResolver(ZONE + TREE + keys))
    port = await house.listen()
    key = SigningKey(domain=signer, selector="s1", algorithm="ed25519-sha256", key=EDWARDS)
    await converse(port, "client.elsewhere.test", "eve@elsewhere.test", signed(letter(author), key))
    found = [*await house.inbox("alice"), *await house.inbox("alice", "Junk")]
    passed = [
        one.properties["header.from"]
        for message in found
        for one in parse_authres(unfold(Headers.scan(message).all("authentication-results")[0])).results
        if (one.method, one.result) == ("dmarc", "pass")
    ]
    assert passed == ([author.partition("@")[2]] if result == "pass" else [])
    await house.close()


async def test_a_whole_chain_of_the_forger_s_proves_nothing(house: SmallHouse) -> None:
    """RFC 8617 §7.2: a seal says who handled a message, not that what he says is true."""
    port = await house.listen()
    for victim in VICTIMS:
        fields, body = split(letter(f"info@{victim}"))
        says_so = f"{OURS}; dkim=pass header.d={victim}; dmarc=pass header.from={victim}"
        sealing = Sealing(results=says_so, key=EVIL, now=int(NOW))
        sealed = seal(fields, hashed(body, frozenset({FORM}))[FORM], sealing) + letter(f"info@{victim}")
        await converse(port, "client.elsewhere.test", "eve@elsewhere.test", sealed)
    arrived = await house.inbox("alice")
    assert len(arrived) == 1, "what bank.test wants refused is refused all the same"
    told = parse_authres(unfold(Headers.scan(arrived[0]).all("authentication-results")[0]))
    assert {one.method: one.result for one in told.results}["arc"] == "pass", "the chain itself is in order"
    assert await believed(house) == []
