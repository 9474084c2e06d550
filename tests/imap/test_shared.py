"""Mailboxes of others in IMAP: where they show, and that every command works on them (RFC 2342, RFC 4314)."""

from __future__ import annotations

import asyncio

from posthouse.operations.transfer.imap_server import ImapSource
from posthouse.store.grants import Grant, Share, encode
from posthouse.store.interface import AddAccount, CreateMailbox, PutItem
from tests.house import PASSWORDS, message
from tests.imap.shared import ALICE, ALL_GIVEN, BOB, THERE, Neighbours, shared_club

CLUB = f'"{THERE}/Club"'


# --- names --------------------------------------------------------------------------------------------------


async def test_the_namespace_shows_once_somebody_shares(people: Neighbours) -> None:
    alice, bob = await shared_club(people, "")
    assert await bob.ok("NAMESPACE") == ['* NAMESPACE (("" "/")) NIL NIL']
    await alice.ok(f"SETACL Club {BOB} lr")
    assert await bob.ok("NAMESPACE") == ['* NAMESPACE (("" "/")) (("Other Users/" "/")) NIL']
    assert await alice.ok("NAMESPACE") == ['* NAMESPACE (("" "/")) NIL NIL']
    assert "Other Users/" not in "".join(await alice.ok('LIST "" *'))


async def test_names_of_mailboxes_that_are_not_shared_do_not_show(people: Neighbours) -> None:
    alice, bob = await shared_club(people, "")
    await alice.ok("CREATE Secret/Club/Deep/Deeper")
    await alice.ok(f"SETACL Secret/Club {BOB} lr")
    await alice.ok(f"SETACL Secret/Club/Deep/Deeper {BOB} lr")
    await alice.ok(f"SETACL INBOX {BOB} lr")
    assert await bob.ok(f'LIST "" "{THERE}/*"') == [
        f'* LIST (\\HasChildren) "/" "{THERE}/Club"',
        f'* LIST (\\HasNoChildren) "/" "{THERE}/Club/Deeper"',
        f'* LIST (\\HasNoChildren) "/" "{THERE}/INBOX"',
    ]
    assert await bob.ok('LIST "Other Users/" %') == [
        f'* LIST (\\NonExistent \\Noselect \\HasChildren) "/" "{THERE}"'
    ]
    everything = await bob.ok('LIST "" *')
    assert not any("Secret" in line for line in everything)
    assert [line for line in everything if line.endswith(" INBOX")] == ['* LIST (\\HasNoChildren) "/" INBOX']


async def test_special_uses_are_the_owners(people: Neighbours) -> None:
    alice, bob = await shared_club(people)
    await alice.ok(f"SETACL Sent {BOB} lr")
    uses = [line for line in await bob.ok('LIST "" * RETURN (SPECIAL-USE)') if "\\Sent" in line]
    assert uses == ['* LIST (\\HasNoChildren \\Sent) "/" Sent']


async def test_subscriptions_are_those_of_jmap(people: Neighbours) -> None:
    _, bob = await shared_club(people)
    assert not any("Club" in line for line in await bob.ok('LSUB "" *'))
    await bob.ok(f"SUBSCRIBE {CLUB}")
    await bob.ok(f"SUBSCRIBE {CLUB}")
    assert f'* LSUB () "/" {CLUB}' in await bob.ok('LSUB "" *')
    assert f'* LIST (\\HasNoChildren \\Subscribed) "/" {CLUB}' in await bob.ok('LIST (SUBSCRIBED) "" *')
    assert not any("Other" in name for name in await people.house.app.store.subscriptions(people.number(BOB)))
    await bob.ok(f"UNSUBSCRIBE {CLUB}")
    assert not any("Club" in line for line in await bob.ok('LSUB "" *'))
    assert await bob.no(f'SUBSCRIBE "{THERE}/Nothing"') == "NONEXISTENT"
    await bob.ok(f'UNSUBSCRIBE "{THERE}/Nothing"')


async def test_a_mailbox_of_ones_own_keeps_its_name(people: Neighbours) -> None:
    _, bob = await shared_club(people)
    await people.house.app.store.apply(CreateMailbox(account_id=people.number(BOB), name=f"{THERE}/Club"))
    assert (await bob.ok(f"STATUS {CLUB} (MESSAGES)")) == [f"* STATUS {CLUB} (MESSAGES 0)"]
    assert len(await bob.ok(f'LIST "" {CLUB}')) == 1
    await bob.ok(f"DELETE {CLUB}")
    assert (await bob.ok(f"STATUS {CLUB} (MESSAGES)")) == [f"* STATUS {CLUB} (MESSAGES 3)"]


async def test_an_address_with_a_slash_is_one_level(people: Neighbours) -> None:
    store, bob = people.house.app.store, await people.person(BOB)
    odd = await store.apply(AddAccount(address="a/b@example.test", password="!", created_at=0))
    box = await store.apply(CreateMailbox(account_id=odd.account_id, name="Club"))
    grant = Grant(mailboxes={box.mailbox_id: Share(rights=("mayReadItems",))})
    key = {"account_id": odd.account_id, "kind": "Grant", "item_id": people.number(BOB)}
    await store.apply(PutItem(**key, new=True, data=encode(grant)))
    key = {"account_id": people.number(BOB), "kind": "SharedAccount", "item_id": odd.account_id}
    await store.apply(PutItem(**key, new=True, data=b"{}"))
    await bob.ok("ENABLE IMAP4rev2")
    name = "Other Users/a\u2215b@example.test/Club"
    assert f'* LIST (\\HasNoChildren) "/" "{name}"' in await bob.ok('LIST "" *')
    await bob.ok(f'SELECT "{name}"')


# --- reading ------------------------------------------------------------------------------------------------


async def test_a_reader_reads(people: Neighbours) -> None:
    _, bob = await shared_club(people, count=3)
    assert await bob.ok(f"STATUS {CLUB} (MESSAGES UNSEEN)") == [f"* STATUS {CLUB} (MESSAGES 3 UNSEEN 3)"]
    opened = await bob.ask(f"SELECT {CLUB}")
    assert "* OK [PERMANENTFLAGS ()] Read-only mailbox" in opened
    assert opened[-1].startswith("t OK [READ-ONLY] ")
    found = await bob.ok("FETCH 1:* (FLAGS BODY[HEADER.FIELDS (SUBJECT)])")
    assert [line for line in found if line.startswith("Subject")] == [
        f"Subject: Message {n}" for n in (1, 2, 3)
    ]
    await bob.ok("FETCH 1 BODY[]")
    assert await bob.ok("FETCH 1 FLAGS") == ["* 1 FETCH (FLAGS ())"], "no right to set \\Seen"
    assert await bob.ok("SEARCH SUBJECT 2") == ["* SEARCH 2"]
    assert await bob.ok("SEARCH TEXT message") == ["* SEARCH 1 2 3"]
    assert await bob.ok("SORT (REVERSE DATE) UTF-8 ALL") == ["* SORT 3 2 1"]
    assert await bob.ok("THREAD REFERENCES UTF-8 ALL") == ["* THREAD (1)(2)(3)"]
    assert len(await bob.ok("FETCH 1:* (EMAILID THREADID ENVELOPE BODYSTRUCTURE PREVIEW)")) == 3
    await bob.ok("CLOSE")
    assert await people.house.total(ALICE, "Club") == 3


async def test_the_answer_of_rev2_names_it_as_the_login_does(people: Neighbours) -> None:
    alice, bob = await shared_club(people)
    await alice.ok("CREATE Club/Sub")
    await bob.ok("ENABLE IMAP4rev2")
    assert f'* LIST (\\HasNoChildren) "/" {CLUB}' in await bob.ok(f"SELECT {CLUB}")
    await alice.ok(f"SETACL Club/Sub {BOB} lr")
    assert f'* LIST (\\HasChildren) "/" {CLUB}' in await bob.ok(f"EXAMINE {CLUB}")


async def test_new_mail_is_pushed(people: Neighbours) -> None:
    _, bob = await shared_club(people, count=1)
    await bob.ok(f"SELECT {CLUB}")
    bob.send(b"i IDLE\r\n")
    await bob.until(b"+ ")
    await people.house.fill(ALICE, 1, mailbox="Club")
    assert await bob.pushed(b"* 2 EXISTS") == [b"* 2 EXISTS\r\n"]
    bob.send(b"DONE\r\n")
    await bob.until(b"i OK")


async def test_keywords_that_are_used_elsewhere_do_not_show(people: Neighbours) -> None:
    alice, bob = await shared_club(people, "lrw", count=1)
    await alice.append("INBOX", message(1), "Divorce")
    await alice.ok("SELECT Club")
    await alice.ok("STORE 1 +FLAGS Party")
    flags = [line for line in await bob.ok(f"SELECT {CLUB}") if "FLAGS" in line]
    assert flags == [
        "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft Party)",
        "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Draft Party \\*)] Flags permitted",
    ]
    await alice.ok("STORE 1 +FLAGS Divorce")
    assert "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft Divorce Party)" in await bob.ok("NOOP")


# --- changing -----------------------------------------------------------------------------------------------


async def test_who_may_everything_changes_everything(people: Neighbours) -> None:
    alice, bob = await shared_club(people, ALL_GIVEN, count=4)
    opened = await bob.ask(f"SELECT {CLUB}")
    assert opened[-1].startswith("t OK [READ-WRITE] ")
    assert (
        "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] Flags permitted" in opened
    )
    assert await bob.ok("STORE 1 +FLAGS (\\Seen \\Deleted Party)") == [
        "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft Party)",
        "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft Party \\*)] Flags permitted",
        "* 1 FETCH (FLAGS (\\Seen \\Deleted Party))",
    ]
    await bob.ok("FETCH 2 BODY[]")
    await alice.ok("SELECT Club")
    assert await alice.ok("FETCH 1:2 FLAGS") == [
        "* 1 FETCH (FLAGS (\\Seen \\Deleted Party))",
        "* 2 FETCH (FLAGS (\\Seen))",
    ]
    await alice.ok("UNSELECT")
    assert await bob.ok("EXPUNGE") == ["* 1 EXPUNGE"]
    await bob.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await bob.ok("CLOSE")
    assert await people.house.total(ALICE, "Club") == 2
    answer = await bob.append(f"{THERE}/Club", message(9), "\\Seen \\Flagged")
    assert answer[-1].startswith("t OK [APPENDUID ")
    assert await people.house.total(ALICE, "Club") == 3
    await bob.ok(f'CREATE "{THERE}/Club/Sub/Subsub"')
    names = [line.rpartition(" ")[2] for line in await alice.ok('LIST "" Club/*')]
    assert names == ["Club/Sub", "Club/Sub/Subsub"]
    assert await bob.ok(f'MYRIGHTS "{THERE}/Club/Sub/Subsub"') == [
        f'* MYRIGHTS "{THERE}/Club/Sub/Subsub" lrswikxtecd'
    ]
    await bob.ok(f'RENAME "{THERE}/Club/Sub/Subsub" "{THERE}/Club/Other"')
    await bob.ok(f'RENAME {CLUB} "{THERE}/Team"')
    names = [box.name for box in await people.house.app.store.mailboxes(people.number(ALICE))]
    assert {"Team", "Team/Sub", "Team/Other"} <= set(names)
    await bob.ok(f'DELETE "{THERE}/Team"')
    assert await bob.ok('LIST "Other Users/" *') == [
        f'* LIST (\\HasNoChildren) "/" "{THERE}/Other"',
        f'* LIST (\\HasNoChildren) "/" "{THERE}/Sub"',
    ]


async def test_an_import_takes_nothing_of_other_peoples(people: Neighbours) -> None:
    _, bob = await shared_club(people)
    assert f'* LIST (\\HasNoChildren) "/" {CLUB}' in await bob.ok('LIST "" *')
    url = f"imap://{BOB.replace('@', '%40')}@127.0.0.1:{people.house.port('imap')}"

    def names(url: str) -> set[str]:
        source = ImapSource(url, PASSWORDS[BOB], verify=False)
        try:
            return {folder.name for folder in source.folders()}
        finally:
            source.close()

    own = {box.name for box in await people.house.app.store.mailboxes(people.number(BOB))}
    assert await asyncio.to_thread(names, url) == own
    named = f"{THERE}/Club"
    assert await asyncio.to_thread(names, f"{url}/{named.replace(' ', '%20')}") == {named}, (
        "when it is asked for"
    )


async def test_notify_tells_nothing_of_the_owners_names(people: Neighbours) -> None:
    """What bob makes below a shared mailbox has a path in alice's account that is hers."""
    alice, bob = await people.person(ALICE), await people.person(BOB)
    await alice.ok("CREATE Secret/Club")
    await alice.ok(f"SETACL Secret/Club {BOB} {ALL_GIVEN}")
    await bob.ok("NOTIFY SET (PERSONAL (MailboxName SubscriptionChange MessageNew MessageExpunge))")
    told = await bob.ok(f'CREATE "{THERE}/Club/Sub"')
    told += await bob.ok("CREATE Mine")
    told += await bob.ok(f'RENAME "{THERE}/Club/Sub" "{THERE}/Club/Other"')
    answer = await bob.append(f"{THERE}/Club/Other", message(1))
    assert answer[-1].startswith("t OK ")
    told += await bob.ok(f'DELETE "{THERE}/Club/Other"')
    told += await bob.ok("NOOP")
    assert told + answer[:-1] == []
