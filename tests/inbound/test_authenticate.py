"""Mail from strangers at port 25: what was proved, what a DMARC policy does, and what readers are told."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from functools import partial

import msgspec
import pytest

from posthouse.config import MsgAuth
from posthouse.inbound import authenticate, questions
from posthouse.inbound.authenticate import Authenticate, prove_sender
from posthouse.inbound.mail import Via
from posthouse.inbound.policy import Peer, Transaction
from posthouse.limits import DKIM_SIGNATURES
from posthouse.message.headers import Headers
from posthouse.msgauth.arc_seal import Sealing, seal
from posthouse.msgauth.authres import parse_authres
from posthouse.msgauth.dkim_sign import FORM, SigningKey, key_record, make_private_key
from tests.fakes.resolver import FakeResolver
from tests.inbound.small_house import NOW, SmallHouse
from tests.msgauth.messages import hashed, signed, split

KEY = SigningKey(
    domain="bank.test", selector="s1", algorithm="ed25519-sha256", key=make_private_key("ed25519-sha256")
)
OURS = SigningKey(domain="example.test", selector="s1", algorithm="ed25519-sha256", key=KEY.key)

SEALER = SigningKey(
    domain="relay.test", selector="rsa", algorithm="rsa-sha256", key=make_private_key("rsa-sha256")
)

ZONE = f"""
client.elsewhere.test. A 192.0.2.1
1.2.0.192.in-addr.arpa. PTR client.elsewhere.test.
elsewhere.test. TXT "v=spf1 a:client.elsewhere.test -all"
bank.test. TXT "v=spf1 ip4:192.0.2.77 -all"
_dmarc.bank.test. TXT "v=DMARC1; p=reject; sp=quarantine; rua=mailto:dmarc@bank.test"
s1._domainkey.bank.test. TXT "{key_record(KEY.key)}"
news.bank.test. A 192.0.2.9
lax.test. TXT "v=spf1 ~all"
_dmarc.soft.test. TXT "v=DMARC1; p=quarantine"
_dmarc.lenient.test. TXT "v=DMARC1; p=none"
_dmarc.strict.test. TXT "v=DMARC1; p=reject"
s1._domainkey.relay.test. TXT "{key_record(KEY.key)}"
rsa._domainkey.relay.test. TXT "{key_record(SEALER.key)}"
s1._domainkey.example.test. TXT "{key_record(KEY.key)}"
away.test. FAIL
_dmarc.away.test. FAIL
s1._domainkey.away.test. FAIL
"""


def sha256_of(body: str) -> str:
    return base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()


def letter(author: str, *fields: str, body: str = "text\r\n") -> bytes:
    lines = [f"From: {author}", "To: alice@example.test", "Subject: hello", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


@pytest.fixture
async def house(tmp_path):
    house = await SmallHouse.open(tmp_path, resolver=FakeResolver(ZONE))
    yield house
    await house.close()


def with_resolver(house: SmallHouse, resolver: FakeResolver) -> FakeResolver:
    """Let the checks ask another DNS."""
    for check in house.pipeline._checks[Via.MX]:
        if isinstance(check, Authenticate):
            check._resolver = resolver
    return resolver


async def take(house: SmallHouse, raw: bytes, **changes) -> tuple[str, dict[str, str], str]:
    """(reply, method → result that the reader is told, folder)."""
    mail = house.mail("alice", raw=raw, **changes)
    [reply] = await house.pipeline.accept(mail)
    for folder in ("INBOX", "Junk"):
        if messages := await house.inbox("alice", folder):
            [field] = Headers.scan(messages[-1]).all("authentication-results") or [b"nobody; none"]
            return str(reply), {one.method: one.result for one in parse_authres(field).results}, folder
    return str(reply), {}, ""


async def test_a_good_stranger(house):
    reply, told, folder = await take(house, letter("Eve <eve@elsewhere.test>"))
    assert (reply[:3], folder) == ("250", "INBOX")
    assert told == {"dkim": "none", "spf": "pass", "dmarc": "none", "iprev": "pass"}


async def test_a_signature_proves_a_sender_whose_address_does_not(house):
    raw = signed(letter("Bank <info@bank.test>"), KEY)
    reply, told, folder = await take(house, raw, reverse_path="bounce@elsewhere.test")
    assert (reply[:3], folder) == ("250", "INBOX")
    assert told == {"dkim": "pass", "spf": "pass", "dmarc": "pass", "iprev": "pass"}


async def test_reject_is_a_refusal_with_its_reason(house):
    reply, _, folder = await take(house, letter("info@bank.test"), reverse_path="info@bank.test")
    assert folder == ""
    assert reply == "550 5.7.1 bank.test asks by DMARC to refuse this: SPF fail bank.test, DKIM none"


BROKEN = signed(letter("info@bank.test"), KEY).replace(b"text\r\n", b"text\r\n-- \r\nthe list\r\n")
RELAY = SigningKey(domain="relay.test", selector="s1", algorithm="ed25519-sha256", key=KEY.key)


def sealed(raw: bytes) -> bytes:
    """Handed on by somebody who found nothing wrong."""
    fields, body = split(raw)
    said = "relay.test; dmarc=pass header.from=bank.test"
    sealing = Sealing(results=said, key=SEALER, now=int(NOW))
    return seal(fields, hashed(body, frozenset({FORM}))[FORM], sealing) + raw


@pytest.mark.parametrize(
    ("raw", "refused"),
    [
        (letter("info@bank.test", "List-Id: <talk.relay.test>"), False),
        (letter("info@bank.test", "X-BeenThere: talk@relay.test"), False),
        (letter("info@bank.test", "Resent-From: eve@relay.test"), False),
        (BROKEN, False),
        (sealed(letter("info@bank.test")), False),
        (letter("info@bank.test", "List-Unsubscribe: <mailto:off@relay.test>"), True),
        (
            BROKEN.replace(b"text\r\n-- \r\nthe list\r\n", b"text\r\n").replace(b"s=s1", b"s=no"),
            True,
        ),  # no key
        (signed(letter("info@bank.test"), RELAY).replace(b"text\r\n", b"more\r\n"), True),
        (sealed(letter("info@bank.test")).replace(b"text\r\n", b"more\r\n"), True),
        (letter("info@bank.test, x@strict.test", "List-Id: <talk.relay.test>"), False),
        (BROKEN.replace(b"From: info@bank.test", b"From: info@bank.test, x@strict.test"), True),
    ],
)
async def test_reject_alone_refuses_nothing_that_came_by_others(house, raw, refused):
    """RFC 9989 §7.4, §8: a list's subscribers must not be taken off it for what its members' domains ask."""
    reply, told, folder = await take(house, raw, reverse_path="talk-bounces@relay.test")
    assert (reply[:3], folder) == (("550", "") if refused else ("250", "Junk"))
    assert refused or told["dmarc"] == "fail"


@pytest.mark.parametrize("author", ["x@soft.test", "x@news.bank.test"])
async def test_quarantine_is_junk(house, author):
    reply, told, folder = await take(house, letter(author))
    assert (reply[:3], told["dmarc"], folder) == ("250", "fail", "Junk")


async def test_p_none_changes_nothing(house):
    reply, told, folder = await take(house, letter("x@lenient.test"))
    assert (reply[:3], told["dmarc"], folder) == ("250", "fail", "INBOX")


@pytest.mark.parametrize(
    ("helo", "record", "told"),
    [
        ("mx.elsewhere.test", '"v=spf1 ip4:192.0.2.1 -all"', "pass"),
        ("mx.elsewhere.test", '"v=spf1 -all"', "fail"),
        ("MX.Elsewhere.test.", '"v=spf1 a:%{h} -all"', "fail"),
        ("mx.elsewhere.test", '"v=spf1 broken:"', "permerror"),
        ("mx.elsewhere.test", '"nothing of the kind"', ""),
        ("elsewhere.test", '"v=spf1 ip4:192.0.2.1 -all"', ""),  # the reverse-path says it
        ("localhost", '"v=spf1 -all"', ""),
        ("[192.0.2.1]", '"v=spf1 -all"', ""),
        ("192.0.2.1", '"v=spf1 -all"', ""),
        ("gone.test", "FAIL", ""),
    ],
)
async def test_the_name_that_a_host_gives_itself_is_asked_about_too(house, helo, record, told):
    """RFC 7208 §2.3; what is found is told, and changes nothing."""
    resolver = with_resolver(house, FakeResolver(ZONE))
    resolver.add("gone.test. FAIL" if record == "FAIL" else f"mx.elsewhere.test. TXT {record}")
    raw = letter("Eve <eve@elsewhere.test>")
    mail = house.mail("alice", raw=raw, helo=helo)
    assert str((await house.pipeline.accept(mail))[0]).startswith("250")
    [message] = await house.inbox("alice")
    [field] = Headers.scan(message).all("authentication-results")
    spf = [(one.result, dict(one.properties)) for one in parse_authres(field).results if one.method == "spf"]
    assert spf[0] == ("pass", {"smtp.mailfrom": "elsewhere.test"})
    assert spf[1:] == ([(told, {"smtp.helo": "mx.elsewhere.test"})] if told else [])
    assert {name for kind, name in resolver.asked if kind == "TXT"} & {"localhost", "192.0.2.1"} == set()
    [checked] = [
        one.detail for one in await house.real_store.events(trace_id=mail.trace_id) if one.kind == "checked"
    ]
    assert checked.startswith(
        f"spf=pass elsewhere.test, {f'helo={told} mx.elsewhere.test, ' if told else ''}dkim="
    )


async def test_a_name_that_a_host_gives_itself_proves_no_author(house):
    """DMARC asks SPF of the reverse-path, or of HELO where that is empty, and of nothing beside it."""
    resolver = with_resolver(house, FakeResolver(ZONE))
    resolver.add('mx.strict.test. TXT "v=spf1 ip4:192.0.2.1 -all"\n')
    raw = letter("info@strict.test")
    reply, _, _ = await take(house, raw, helo="mx.strict.test", reverse_path="x@lax.test")
    assert reply.startswith("550 5.7.1 strict.test asks by DMARC to refuse this")


async def test_what_a_host_gives_as_its_name_is_not_waited_for(house, monkeypatch):
    monkeypatch.setattr(authenticate, "HELO_TIMEOUT", 0.05)

    class Slow(FakeResolver):
        async def txt(self, name):
            if name == "slow.test":
                await asyncio.sleep(30)
            return await super().txt(name)

    with_resolver(house, Slow(ZONE))
    async with asyncio.timeout(5):
        reply, told, _ = await take(house, letter("eve@elsewhere.test"), helo="slow.test")
    assert (reply[:3], told["spf"]) == ("250", "pass")


async def test_what_we_found_stands_above_our_received(house):
    """Readers believe only what stands there: all below may be a stranger's."""
    raw = letter("eve@elsewhere.test", "Authentication-Results: other.test; dmarc=pass", "Received: x")
    await house.pipeline.accept(house.mail("alice", raw=raw))
    [message] = await house.inbox("alice")
    names = [name.lower() for name, _ in Headers.scan(message).items()]
    ours = names[: names.index(b"received") + 1]
    assert ours == [b"return-path", b"delivered-to", b"authentication-results", b"received"]


async def test_the_timeline_tells_what_was_found(house):
    mail = house.mail("alice", raw=letter("eve@elsewhere.test"))
    await house.pipeline.accept(mail)
    story = await house.story(mail.trace_id)
    assert (
        "checked",
        "eve@elsewhere.test",
        "spf=pass elsewhere.test, dkim=none, dmarc=none elsewhere.test",
    ) in story
    assert [kind for kind, _, _ in story] == ["received", "checked", "delivered"]


@pytest.mark.parametrize(
    ("reverse_path", "author", "by_bank", "told"),
    [
        ("eve@elsewhere.test", "eve@elsewhere.test", False, True),  # SPF lets it
        ("x@bank.test", "eve@elsewhere.test", False, False),  # SPF forbids it
        ("x@bank.test", "info@bank.test", True, True),  # but the bank signed it: somebody forwards
        ("x@unknown.test", "eve@elsewhere.test", False, True),  # nothing is known
        (
            "x@lax.test",
            "x@lax.test",
            False,
            True,
        ),  # SPF only doubts it: mail may come by ways its owner forgot
        ("x@unknown.test", "x@soft.test", False, False),  # DMARC says that From is forged
        ("eve@elsewhere.test", "x@soft.test", False, True),  # a mailing list wants to know
    ],
)
async def test_nobody_is_told_at_an_address_that_is_probably_forged(
    house, reverse_path, author, by_bank, told
):
    """A dead end behind an alias cannot be refused any more, and another host may refuse it later."""
    raw = signed(letter(author), KEY) if by_bank else letter(author)
    mail = house.mail("mixed", raw=raw, reverse_path=reverse_path)
    [reply] = await house.pipeline.accept(mail)
    assert reply.accepted
    assert [n.address for _, notices in house.notices for n in notices] == ["off@example.test"] * told
    [message] = await house.real_store.queue()
    assert [(one.address, one.notify) for one in message.recipients] == [
        ("friend@elsewhere.test", "" if told else "NEVER")
    ]
    said = [detail for kind, _, detail in await house.story(mail.trace_id) if kind == "told"]
    assert len(said) == (not told)


async def test_silence_of_the_dns_is_not_held_against_anybody(house):
    reply, told, folder = await take(house, letter("x@away.test"), reverse_path="x@away.test")
    assert (reply[:3], folder) == ("250", "INBOX")
    assert (told["spf"], told["dmarc"]) == ("temperror", "temperror")


async def test_silence_about_somebody_else_is_no_excuse(house):
    """A forger chooses the reverse-path, the signers and how long their name servers are silent."""
    signature = "DKIM-Signature: v=1; a=rsa-sha256; d=away.test; s=s1; h=from; b=AAAA; bh=" + sha256_of(
        "text\r\n"
    )
    reply, _, folder = await take(house, letter("info@bank.test", signature), reverse_path="x@away.test")
    assert (reply[:3], folder) == ("550", "")


async def test_who_makes_us_ask_much_keeps_no_policy_from_being_asked_for(house, monkeypatch):
    monkeypatch.setattr(questions, "MSGAUTH_QUESTIONS", 5)
    terms = " ".join(f"a:h{number}.greedy.test" for number in range(9))
    hosts = "\n".join(f"h{number}.greedy.test. A 192.0.2.99" for number in range(9))
    with_resolver(house, FakeResolver(f'{ZONE}greedy.test. TXT "v=spf1 {terms} -all"\n{hosts}\n'))
    others = ", ".join(f"x@{name}.greedy.test" for name in ("a.b.c.d", "e.f.g.h", "z.y.x.w"))
    reply, _, _ = await take(house, letter("info@bank.test"), reverse_path="x@greedy.test")
    assert reply[:3] == "550"
    reply, _, _ = await take(house, letter(f"info@bank.test, {others}"), reverse_path="x@greedy.test")
    assert reply[:3] == "550"


async def test_silence_of_the_dns_may_put_mail_off(tmp_path):
    house = await SmallHouse.open(tmp_path, resolver=FakeResolver(ZONE), msgauth=MsgAuth(temporary="defer"))
    try:
        assert (await take(house, letter("x@away.test")))[0][:9] == "451 4.4.3"
        assert (await take(house, letter("eve@elsewhere.test")))[0][:3] == "250"
    finally:
        await house.close()


async def test_report_mode_only_notes(tmp_path):
    house = await SmallHouse.open(tmp_path, resolver=FakeResolver(ZONE), msgauth=MsgAuth(verify="report"))
    try:
        reply, told, folder = await take(house, letter("info@bank.test"))
        assert (reply[:3], told["dmarc"], folder) == ("250", "fail", "INBOX")
    finally:
        await house.close()


async def test_off_asks_nothing(tmp_path):
    resolver = FakeResolver(ZONE)
    house = await SmallHouse.open(tmp_path, resolver=resolver, msgauth=MsgAuth(verify="off"))
    try:
        assert (await take(house, letter("info@bank.test")))[0][:3] == "250"
        assert resolver.asked == []
    finally:
        await house.close()


async def test_hosts_of_our_own_are_not_asked(tmp_path):
    resolver = FakeResolver(ZONE)
    house = await SmallHouse.open(tmp_path, resolver=resolver, trusted=("192.0.2.1",))
    try:
        assert (await take(house, letter("info@bank.test")))[0][:3] == "250"
        assert resolver.asked == []
    finally:
        await house.close()


BACKUP_SAYS = (
    b"Authentication-Results: backup.example.test;\r\n\tdkim=pass header.d=bank.test header.s=s1;\r\n"
    b"\tdmarc=pass (p=reject) header.from=bank.test\r\n"
)
BACKUP_TOOK = (
    b"Received: from bank.test ([192.0.2.77])\r\n\tby backup.example.test (Posthouse) with ESMTP id 1\r\n"
)


@pytest.mark.parametrize(
    ("above", "told"),
    [
        (BACKUP_SAYS + BACKUP_TOOK, {"dkim": "pass", "dmarc": "pass"}),
        (BACKUP_TOOK + BACKUP_SAYS, {}),  # below its Received: a stranger's word
        (BACKUP_SAYS, {}),
        (BACKUP_SAYS.replace(b"backup.", b"other.") + BACKUP_TOOK, {}),
        (b"Authentication-Results: ;;\r\n" + BACKUP_TOOK, {}),
        (b"Authentication-Results: backup.example.test; none\r\n" + BACKUP_TOOK, {}),
    ],
)
async def test_what_our_backup_found_is_told_on(tmp_path, above, told):
    house = await SmallHouse.open(tmp_path, resolver=FakeResolver(ZONE), trusted=("192.0.2.1",))
    try:
        await house.pipeline.accept(house.mail("alice", raw=above + letter("info@bank.test")))
        [message] = await house.inbox("alice")
        headers = Headers.scan(message)
        [(_, ours), *_] = headers.spans(["received"])
        fields = zip(
            headers.all("authentication-results"), headers.spans(["authentication-results"]), strict=True
        )
        read = [parse_authres(value) for value, (_, end) in fields if end < ours]
        assert {one.method: one.result for field in read for one in field.results} == told
        assert all(field.host == "mx.example.test" for field in read)
        assert (b"(found by backup.example.test)" in message) is bool(told)
    finally:
        await house.close()


async def test_our_own_domain_comes_back_from_a_list_when_it_is_signed(house):
    raw = signed(letter("alice@example.test", "List-Id: <list.elsewhere.test>"), OURS)
    reply, told, folder = await take(house, raw)
    assert (reply[:3], told["dkim"], folder) == ("250", "pass", "INBOX")
    assert (await take(house, raw.replace(b"text", b"tent")))[0][:9] == "550 5.7.1"


async def test_our_own_domain_is_put_off_while_its_key_cannot_be_asked(house):
    raw = signed(letter("alice@example.test"), msgspec.structs.replace(OURS, selector="gone"))
    with_resolver(house, FakeResolver(ZONE + "gone._domainkey.example.test. FAIL\n"))
    assert (await take(house, raw))[0][:9] == "451 4.4.3"


async def test_results_are_the_houses_whichever_host_writes_them(tmp_path):
    """A cluster: one name for all (RFC 8601 §2.5), and none of its hosts lets a forgery in another's name through."""
    names = ("mx.example.test", "mx2.example.test", "mail.example.test")
    house = await SmallHouse.open(
        tmp_path,
        resolver=FakeResolver(ZONE),
        authserv="mail.example.test",
        our_names=lambda: names,
    )
    try:
        forged = [f"Authentication-Results: {name}; dkim=pass header.d=bank.test" for name in names]
        other = "Authentication-Results: other.test; dkim=pass header.d=elsewhere.test"
        await house.pipeline.accept(house.mail("alice", raw=letter("eve@elsewhere.test", *forged, other)))
        [message] = await house.inbox("alice")
    finally:
        await house.close()
    fields = Headers.scan(message).all("authentication-results")
    assert [parse_authres(field).host for field in fields] == ["mail.example.test", "other.test"]
    assert b"bank.test" not in message


async def test_forged_results_in_our_name_are_left_out(house):
    raw = letter(
        "eve@elsewhere.test",
        "Authentication-Results: mx.example.test; dkim=pass header.d=bank.test",
        "Authentication-Results: (x) MX.example.test 1;\r\n dmarc=pass header.from=bank.test",
        "Authentication-Results: other.test; dkim=pass header.d=elsewhere.test",
        body="Authentication-Results: mx.example.test; stays=pass\r\n",
    )
    await house.pipeline.accept(house.mail("alice", raw=raw))
    [message] = await house.inbox("alice")
    fields = Headers.scan(message).all("authentication-results")
    assert [parse_authres(field).host for field in fields] == ["mx.example.test", "other.test"]
    assert b"bank.test" not in message
    assert b"stays=pass" in message


async def test_a_large_message_is_read_from_staging(house, monkeypatch):
    monkeypatch.setattr("posthouse.limits.STAGE_MEMORY", 1000)
    text = b"".join(b"%07d %s\r\n" % (number, b"x" * 60) for number in range(20_000))
    raw = signed(letter("info@bank.test") + text, KEY)
    staging = house.real_store.stage()
    for start in range(0, len(raw), 100_000):
        await staging.write(raw[start : start + 100_000])
    content = await staging.finish()
    assert content.path is not None
    reply, told, _ = await take(house, b"", content=content)
    assert (reply[:3], told["dkim"], told["dmarc"]) == ("250", "pass", "pass")


async def test_a_hundred_signatures_cost_ten(house):
    one = signed(letter("eve@elsewhere.test"), KEY).partition(b"From:")[0]
    heads = [one.replace(b"s=s1", b"s=k%d" % number) for number in range(100)]
    resolver = with_resolver(house, FakeResolver(ZONE))
    reply, told, _ = await take(house, b"".join(heads) + letter("eve@elsewhere.test"))
    assert (reply[:3], told["dkim"]) == ("250", "policy")
    assert sum("_domainkey" in name for _, name in resolver.asked) == DKIM_SIGNATURES


async def test_sure_questions_go_out_together(house):
    ahead: list[tuple[str, str]] = []
    for check in house.pipeline._checks[Via.MX]:
        if isinstance(check, Authenticate):
            check._prefetch = lambda name, kind: ahead.append((kind, name))
    resolver = with_resolver(house, FakeResolver(ZONE))
    await take(house, signed(letter("info@bank.test"), KEY))
    assert ("TXT", "s1._domainkey.bank.test") in ahead
    assert {name for kind, name in ahead if kind == "TXT"} <= {name for _, name in resolver.asked}


@pytest.mark.parametrize(
    ("spf", "code"), [("v=spf1 ip4:192.0.2.1 -all", 250), ("v=spf1 -all", 550), ("", 550), ("FAIL", 451)]
)
async def test_our_own_sender_from_outside_needs_our_spf_record(house, spf, code):
    record = "example.test. FAIL" if spf == "FAIL" else f'example.test. TXT "{spf}"'
    house.policy._prove_sender = partial(prove_sender, FakeResolver(record))
    peer = Peer(via=Via.MX, address="192.0.2.1")
    assert (await house.policy.mail(peer, Transaction(reverse_path="news@example.test"))).code == code


async def test_internationalized_senders_are_asked_for_as_a_labels(house):
    resolver = with_resolver(
        house, FakeResolver(ZONE + 'xn--bcher-kva.test. TXT "v=spf1 ip4:192.0.2.1 -all"\n')
    )
    raw = "From: Autor <autor@bücher.test>\r\nSubject: x\r\n\r\ntext\r\n".encode()
    _, told, _ = await take(house, raw, reverse_path="autor@bücher.test", smtputf8=True)
    assert (told["spf"], told["dmarc"]) == ("pass", "none")
    assert ("TXT", "_dmarc.xn--bcher-kva.test") in resolver.asked


@pytest.mark.parametrize(
    "domain", [b"\xff\xfe.test", b"\x1b[31mred.test", b"a\x01b", b"x" * 5000, b"a." * 2000 + b"test"]
)
async def test_domains_that_are_none_reach_nothing_as_they_are(house, domain):
    raw = b"From: Eve <eve@" + domain + b">\r\nSubject: x\r\n\r\ntext\r\n"
    mail = house.mail("alice", raw=raw)
    assert [reply.code for reply in await house.pipeline.accept(mail)] == [250]
    story = await house.story(mail.trace_id)
    assert all(detail.isprintable() for _, _, detail in story)
    [message] = await house.inbox("alice")
    [field] = Headers.scan(message).all("authentication-results")
    assert len(field) < 1500
    assert {one.result for one in parse_authres(field).results if one.method == "dmarc"} == {"none"}
