"""What leaves in our name is signed, once, aligned, and verifies; nothing else is."""

from __future__ import annotations

import asyncio

import dkim
import msgspec
import pytest

from posthouse.accounts.model import Login
from posthouse.errors import StoreUnavailable
from posthouse.inbound.checks import Examination
from posthouse.inbound.mail import Via
from posthouse.inbound.sign import Signer
from posthouse.message.headers import Headers
from posthouse.msgauth.arc import Chain
from posthouse.msgauth.authres import parse_authres
from posthouse.msgauth.dkim_sign import key_record, make_private_key, private_pem
from posthouse.msgauth.results import Arc, Result
from posthouse.store.trust import DkimKey, KeyState
from tests.fakes.resolver import FakeResolver
from tests.inbound.small_house import NOW, SmallHouse
from tests.msgauth.messages import hashed, split, verified

PRIVATE = {algorithm: make_private_key(algorithm) for algorithm in ("rsa-sha256", "ed25519-sha256")}
KEYS = [
    DkimKey(
        domain="example.test",
        selector=algorithm[0] + "1",
        algorithm=algorithm,
        private_key=private_pem(key),
        created_at=1,
        changed_at=1,
    )
    for algorithm, key in PRIVATE.items()
]
RESOLVER = FakeResolver(
    "\n".join(f'{a[0]}1._domainkey.example.test. TXT "{key_record(key)}"' for a, key in PRIVATE.items())
)
FAR = "friend@elsewhere.test"


class Signing:
    """A house that signs, and what its queue holds."""

    def __init__(self, house: SmallHouse) -> None:
        self.house = house
        self.keys = list(KEYS)
        self.reads = 0
        self.signer = Signer(self._read)
        house.deliverer._sign = self.signer.sign

    async def _read(self) -> list[DkimKey]:
        self.reads += 1
        return self.keys

    async def send(self, raw: bytes, *recipients: str, **changes) -> list[bytes]:
        """Submit as alice; the queued messages, whole."""
        login = Login(account=self.house.accounts["alice"], mechanism="PLAIN")
        values = {"reverse_path": "alice@example.test", "via": Via.SUBMISSION, "login": login}
        self.mail = self.house.mail(*(recipients or (FAR,)), raw=raw, **(values | changes))
        await self.house.pipeline.accept(self.mail)
        store = self.house.real_store
        return [await store.read(queued.stored) for queued in await store.queue()]


@pytest.fixture
async def signing(tmp_path):
    house = await SmallHouse.open(tmp_path)
    signing = Signing(house)
    yield signing
    signing.signer.close()
    await house.close()


LETTER = b"From: Alice <alice@example.test>\r\nTo: friend@elsewhere.test\r\nSubject: hi\r\n\r\ntext\r\n"


async def test_what_leaves_is_signed_by_both_keys(signing: Signing):
    [queued] = await signing.send(LETTER)
    assert queued.startswith(b"DKIM-Signature: ")
    found = await verified(queued, RESOLVER, int(NOW))
    assert [(one.result, one.algorithm, one.domain) for one in found] == [
        (Result.PASS, "rsa-sha256", "example.test"),
        (Result.PASS, "ed25519-sha256", "example.test"),
    ]
    story = await signing.house.story(signing.mail.trace_id)
    assert ("signed", "alice@example.test", "as example.test (r1, e1), aligned with example.test") in story


async def test_what_the_house_adds_is_signed_too(signing: Signing):
    [queued] = await signing.send(LETTER)
    for field in (b"Date", b"Message-ID"):
        changed = queued.replace(field + b": ", field + b": x", 1)
        assert {one.result for one in await verified(changed, RESOLVER, int(NOW))} == {Result.FAIL}


async def test_nothing_can_be_added_unnoticed(signing: Signing):
    [queued] = await signing.send(LETTER)
    for field in (
        b"From: x@y.test",
        b"Subject: x",
        b"To: x@y.test",
        b"Reply-To: x@y.test",
        b"Content-Type: a/b",
    ):
        found = await verified(field + b"\r\n" + queued, RESOLVER, int(NOW))
        assert {one.result for one in found} == {Result.FAIL}, field
    relayed = b"Received: from a by b; Mon, 02 Nov 2026 10:00:00 +0000\r\nList-Id: <a.b>\r\n" + queued
    assert {one.result for one in await verified(relayed, RESOLVER, int(NOW))} == {Result.PASS}


async def test_copies_that_stay_here_are_not_signed(signing: Signing):
    [queued] = await signing.send(LETTER, "bob", FAR)
    assert b"DKIM-Signature" in queued
    [kept] = await signing.house.inbox("bob")
    assert b"DKIM-Signature" not in kept


async def test_a_large_message_is_signed_from_staging(signing: Signing, monkeypatch):
    monkeypatch.setattr("posthouse.limits.STAGE_MEMORY", 1000)
    staging = signing.house.real_store.stage()
    await staging.write(LETTER)
    for number in range(3000):
        await staging.write(b"line %05d  with  blanks \r\n" % number)
    content = await staging.finish()
    assert content.path is not None
    [queued] = await signing.send(b"", content=content)
    assert {one.result for one in await verified(queued, RESOLVER, int(NOW))} == {Result.PASS}


async def test_mail_that_strangers_brought_is_not_ours_to_sign(signing: Signing):
    raw = b"From: eve@elsewhere.test\r\n\r\ntext\r\n"
    [queued] = await signing.send(raw, "away", via=Via.MX, login=None, reverse_path="eve@elsewhere.test")
    assert b"DKIM-Signature" not in queued


async def test_our_own_notices_are_signed_by_the_domain_above_our_host(signing: Signing):
    raw = b"From: MAILER-DAEMON@mx.example.test\r\nSubject: x\r\n\r\ntext\r\n"
    [queued] = await signing.send(raw, via=Via.LOCAL, login=None, reverse_path="")
    found = await verified(queued, RESOLVER, int(NOW))
    assert {(one.result, one.domain) for one in found} == {(Result.PASS, "example.test")}


async def test_delivery_reports_go_the_same_way(signing: Signing):
    raw = b"From: MAILER-DAEMON@mx.example.test\r\nTo: friend@elsewhere.test\r\n\r\nfailed\r\n"
    mail = signing.house.mail(FAR, raw=raw, via=Via.LOCAL, login=None, reverse_path="")
    await signing.house.real_store.commit(*await signing.house.deliverer.operations(mail, b"Received: x\r\n"))
    [queued] = await signing.house.real_store.queue()
    found = await verified(await signing.house.real_store.read(queued.stored), RESOLVER, int(NOW))
    assert {(one.result, one.domain) for one in found} == {(Result.PASS, "example.test")}


async def test_without_a_key_it_is_said(signing: Signing):
    signing.keys = [msgspec.structs.replace(key, state=KeyState.RETIRED) for key in KEYS]
    signing.keys += [msgspec.structs.replace(KEYS[0], private_key="broken")]
    [queued] = await signing.send(LETTER)
    assert b"DKIM-Signature" not in queued
    story = await signing.house.story(signing.mail.trace_id)
    assert ("signed", "alice@example.test", "not signed: there is no DKIM key for example.test") in story


async def test_keys_are_read_once_until_they_change(signing: Signing):
    await signing.send(LETTER)
    await signing.send(LETTER)
    assert signing.reads == 1
    signing.signer.forget()
    await signing.send(LETTER)
    assert signing.reads == 2


async def test_messages_of_the_first_moment_are_all_signed(signing: Signing):
    mails = [signing.house.mail(FAR, raw=LETTER, via=Via.LOCAL, login=None) for _ in range(5)]
    found = await asyncio.gather(*(signing.signer.sign(mail, b"") for mail in mails))
    assert all(one.fields for one in found)
    assert signing.reads == 1


async def test_a_store_that_cannot_give_keys_puts_mail_off(signing: Signing):
    async def away() -> list[DkimKey]:
        raise StoreUnavailable("disk full")

    signing.signer._read_keys = away
    for _ in range(2):
        mail = signing.house.mail(FAR, raw=LETTER, via=Via.LOCAL, login=None)
        assert [reply.code for reply in await signing.house.pipeline.accept(mail)] == [452]


# --- ARC ------------------------------------------------------------------------------------------------------

AUTHRES = (
    b"Authentication-Results: mx.example.test;\r\n\tdkim=pass header.d=elsewhere.test;\r\n"
    b"\tdmarc=pass header.from=elsewhere.test\r\n"
)


async def forwarded(signing: Signing, raw: bytes, results: bytes = AUTHRES) -> bytes:
    async def found(examination: Examination) -> None:
        examination.fields.append(results)

    signing.house.pipeline._checks = {Via.MX: (found,)}
    signing.signer._may_seal = lambda: True
    signing.signer._hostname = "mx.example.test"
    return (await signing.send(raw, "away", via=Via.MX, login=None, reverse_path="eve@elsewhere.test"))[-1]


async def validated(raw: bytes) -> Arc:
    fields, body = split(raw)
    chain = Chain.of(fields)
    return await chain.validate(hashed(body, chain.forms), RESOLVER)


async def test_what_is_handed_on_may_be_sealed(signing: Signing):
    first = await forwarded(signing, b"From: eve@elsewhere.test\r\nSubject: x\r\n\r\ntext\r\n")
    assert (await validated(first)).result is Result.PASS
    assert (await validated(first.replace(b"text", b"tent"))).result is Result.FAIL
    assert (await validated(first.replace(b"dkim=pass", b"dkim=fail"))).result is Result.FAIL
    second = await forwarded(signing, first)
    found = await validated(second)
    assert (found.result, found.sealers) == (Result.PASS, ("example.test", "example.test"))

    def ask(name: bytes, timeout: int = 5) -> bytes:
        return RESOLVER.records[(name.decode().rstrip("."), "TXT")][0].strip('"').encode()

    assert dkim.arc_verify(second, dnsfunc=ask)[0] == dkim.CV_Pass


async def test_a_broken_chain_is_not_continued(signing: Signing):
    first = await forwarded(signing, b"From: eve@elsewhere.test\r\nSubject: x\r\n\r\ntext\r\n")
    broken = first.replace(b"ARC-Seal", b"X-Seal")
    assert (await forwarded(signing, broken)).count(b"ARC-Message-Signature") == 1


@pytest.mark.parametrize(
    ("arc", "seals"),
    [
        (b"arc=pass", 2),
        (b"spf=none (arc=fail)", 2),  # what strangers publish stands in comments
        (b"arc=fail", 1),
        (b"arc=temperror (no answer)", 1),
    ],
)
async def test_a_chain_that_was_not_found_good_is_not_said_to_be(signing: Signing, arc: bytes, seals: int):
    """RFC 8617 §5.1: cv= of a new seal is what the chain came to."""
    first = await forwarded(signing, b"From: eve@elsewhere.test\r\nSubject: x\r\n\r\ntext\r\n")
    second = await forwarded(signing, first, AUTHRES.replace(b"\tdmarc", b"\t" + arc + b";\r\n\tdmarc"))
    assert second.count(b"ARC-Seal: ") == seals


async def test_a_seal_tells_of_the_first_peer_and_in_short_lines(signing: Signing):
    """RFC 8617 §6: the address that the chain began with; RFC 5322 §2.1.1: as folded as our own results."""
    many = b"".join(b"\tdkim=pass header.d=elsewhere.test header.b=%08d;\r\n" % one for one in range(30))
    results = AUTHRES.replace(b"\tdmarc", many + b"\tdmarc")
    first = await forwarded(signing, b"From: eve@elsewhere.test\r\nSubject: x\r\n\r\ntext\r\n", results)
    told = Headers.scan(first).first("arc-authentication-results")
    assert told is not None and told.startswith(b"i=1;")
    (arc,) = [one for one in parse_authres(told.partition(b";")[2]).results if one.method == "arc"]
    assert (arc.result, arc.properties) == ("none", {"smtp.remote-ip": "192.0.2.1"})
    assert max(map(len, first.split(b"\r\n"))) < 200
    assert (await validated(first)).result is Result.PASS
    again = Headers.scan(
        await forwarded(signing, first, results.replace(b"\tdmarc", b"\tarc=pass;\r\n\tdmarc"))
    )
    assert (again.first("arc-authentication-results") or b"").count(b"\tarc=") == 1


async def test_nothing_is_sealed_unless_configured(signing: Signing):
    raw = b"From: eve@elsewhere.test\r\nSubject: x\r\n\r\ntext\r\n"
    [queued] = await signing.send(raw, "away", via=Via.MX, login=None, reverse_path="eve@elsewhere.test")
    assert b"ARC-" not in queued
