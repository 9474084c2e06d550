"""In whose name a list's copies go out: From where DMARC would have them refused, and what our keys sign."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from posthouse.inbound.list_fields import rewritten_from
from posthouse.message.headers import Headers
from posthouse.message.mailboxes import flat, parse_mailbox_list
from posthouse.store.mailing_lists import MailingList, Posting, Rewriting
from tests.fakes.mail_server import Received
from tests.inbound.list_office import ALICE, TEAM, ListOffice, list_office, raw

VIA = b"From: Pal via The team <crew@example.test>\r\n"
PAL = b"Reply-To: Pal <pal@strict.test>\r\n"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[ListOffice]:
    async with list_office(tmp_path) as made:
        await made.set(posting=Posting.ANYONE)
        yield made


async def copy_of(office: ListOffice, sender: str, text: bytes, to: str = TEAM, login: str = "") -> Received:
    reply = await office.say(sender, to, text, login=login)
    assert reply[:3] == "250", reply
    return (await office.sent())[0]


def domains_of(copy: Received) -> set[str]:
    """In whose names it is signed."""
    return {
        value.replace(b" ", b"").partition(b"d=")[2].partition(b";")[0].decode()
        for value in Headers.scan(copy.content).all("dkim-signature")
    }


@pytest.mark.parametrize(
    ("rewriting", "author", "rewritten"),
    [
        (Rewriting.STRICT, "pal@strict.test", True),
        (Rewriting.STRICT, "pal@sub.strict.test", True),
        (Rewriting.STRICT, "pal@easy.test", False),
        (Rewriting.STRICT, "pal@nowhere.test", False),
        (Rewriting.NEVER, "pal@strict.test", False),
        (Rewriting.ALWAYS, "pal@easy.test", True),
    ],
)
async def test_from_is_rewritten_where_it_must_be(
    office: ListOffice, rewriting: Rewriting, author: str, rewritten: bool
) -> None:
    await office.set(rewriting=rewriting)
    # Proved by SPF where the domain has that; the subdomain by its parent's alignment.
    domain = author.rpartition("@")[2].removeprefix("sub.")
    copy = await copy_of(office, f"pal@{domain}", raw(f"Pal <{author}>"))
    assert (VIA in copy.content) is rewritten, copy.content
    assert (f"Reply-To: Pal <{author}>\r\n".encode() in copy.content) is rewritten
    assert copy.content.count(b"\nFrom:") == 1


async def test_who_is_answered_stays_as_the_author_wants(office: ListOffice) -> None:
    copy = await copy_of(
        office, "pal@strict.test", raw("Pal <pal@strict.test>", "Reply-To: desk@strict.test")
    )
    assert VIA in copy.content and PAL not in copy.content
    assert b"Reply-To: desk@strict.test\r\n" in copy.content


async def test_people_here_are_signed_for_by_their_own_domain(office: ListOffice) -> None:
    for name in ("lists.test", "people.test"):
        await office.command("domain.add", {"name": name})
    await office.make("crew@lists.test", "pal@friend.test", posting=Posting.ANYONE)
    body = raw("Ann <ann@people.test>")
    arguments = {"sender": "ann@people.test", "recipients": ["crew@lists.test"]}
    administration = office.house.app.house.administration
    handed = [each async for each in administration.run("sendmail", arguments, body)]
    assert handed[0]["recipients"][0]["accepted"], handed
    (copy,) = await office.sent()
    assert domains_of(copy) == {"lists.test", "people.test"}
    assert b"From: Ann <ann@people.test>\r\n" in copy.content
    assert (await office.say("pal@strict.test", "crew@lists.test", raw("Pal <pal@strict.test>")))[:3] == "250"
    assert domains_of((await office.sent(2))[1]) == {"lists.test"}


async def test_nothing_vouches_for_what_anybody_may_have_written(office: ListOffice) -> None:
    await office.command("domain.add", {"name": "people.test"})
    await office.set(rewriting=Rewriting.NEVER)
    boss = raw("The boss <boss@people.test>").decode()

    def hand_in() -> None:  # by LMTP it is not known who wrote
        with smtplib.LMTP("127.0.0.1", office.house.port("lmtp")) as client:
            client.sendmail("x@far.test", [TEAM], boss)

    await asyncio.to_thread(hand_in)
    (copy,) = await office.sent()
    assert b"From: The boss via The team <crew@example.test>\r\n" in copy.content
    assert domains_of(copy) <= {"example.test"}


@pytest.mark.parametrize(
    ("author", "name"),
    [
        ("Ann <ann@x.test>", "Ann via Team"),
        ("ann@x.test", "ann via Team"),
        ('"boss@bank.test" <ann@x.test>', "boss via Team"),
        ("=?utf-8?B?5a6J?= <ann@x.test>", "安 via Team"),
    ],
)
def test_the_author_is_named_and_no_other_address(author: str, name: str) -> None:
    people = flat(parse_mailbox_list(author.encode()))
    made = rewritten_from(people, MailingList(address="t@l.test", title="Team"), has_reply_to=False)
    headers = Headers.scan(made + b"\r\n")
    (shown,) = flat(parse_mailbox_list(headers.first("from") or b""))
    assert (shown.display_name, shown.address) == (name, "t@l.test")
    assert b"ann@x.test" in (headers.first("reply-to") or b"")


async def test_an_authors_own_post_by_login_stays_as_it_is(office: ListOffice) -> None:
    await office.set(rewriting=Rewriting.STRICT)
    copy = await copy_of(office, ALICE, raw("Alice <alice@example.test>"), login=ALICE)
    assert b"From: Alice <alice@example.test>\r\n" in copy.content
