"""SETACL and `shareWith` are the same: grants, notices and answers (RFC 4314 §3, RFC 9670 §4)."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec
import pytest

from posthouse import limits
from posthouse.accounts.sharing import MAILBOXES
from posthouse.imap import acl
from posthouse.ranges import Ranges
from posthouse.store.grants import Grant, Share, decode, encode
from posthouse.store.interface import AddAccount, PlaceEmails, PutAccount, PutDomain, PutItem
from posthouse.store.model import Domain
from tests.house import PASSWORDS
from tests.imap.shared import ALICE, ALL_GIVEN, BOB, THERE, Neighbours, shared_club

CLUB = f'"{THERE}/Club"'
ADMIN = "admin@example.test"
USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:principals"]


async def jmap(people: Neighbours, address: str, name: str, **arguments: Any) -> Any:
    """One JMAP method in somebody's own account."""
    url = f"http://127.0.0.1:{people.house.port('http')}/jmap/"
    call = [name, {"accountId": f"A{people.number(address)}"} | arguments, "0"]
    async with httpx.AsyncClient(auth=(address, PASSWORDS[address])) as client:
        answer = await client.post(url, json={"using": USING, "methodCalls": [call]})
    return answer.json()["methodResponses"][0][1]


async def club_of(people: Neighbours) -> int:
    box = await people.house.app.store.mailbox(people.number(ALICE), "Club")
    assert box is not None
    return box.mailbox_id


async def kept(people: Neighbours, *addresses: str) -> list[Any]:
    """What sharing leaves in the store, without times and mod-sequences."""
    store, found = people.house.app.store, []
    for address in (ALICE, *addresses):
        for kind in ("Grant", "SharedAccount", "ShareNotification"):
            for item in await store.items(people.number(address), kind):
                data = msgspec.json.decode(item.data)
                data.pop("created", None)
                found.append((address, kind, data))
    return found


async def give_by_jmap(people: Neighbours, rights: list[str]) -> None:
    given = {f"W{people.number(BOB)}": dict.fromkeys(rights, True)}
    update = {f"F{await club_of(people)}": {"shareWith": given if rights else None}}
    assert (await jmap(people, ALICE, "Mailbox/set", update=update))["notUpdated"] is None


READ_SEEN = ["mayReadItems", "maySetSeen"]


async def test_what_is_given_is_kept_as_by_jmap(people: Neighbours) -> None:
    alice, _ = await shared_club(people, "")
    await give_by_jmap(people, READ_SEEN)
    by_jmap = await kept(people, BOB)
    await give_by_jmap(people, [])
    withdrawn = await kept(people, BOB)
    await jmap(people, BOB, "ShareNotification/set", destroy=await notices(people))
    await alice.ok(f"SETACL Club {BOB} lrs")
    assert await kept(people, BOB) == by_jmap
    await alice.ok(f"DELETEACL Club {BOB}")
    assert [each for each in await kept(people, BOB) if each[1] != "ShareNotification"] == [
        each for each in withdrawn if each[1] != "ShareNotification"
    ]
    (notice,) = (await jmap(people, BOB, "ShareNotification/get", ids=None))["list"]
    assert notice["newRights"] is None
    assert notice["objectId"] == f"F{await club_of(people)}"
    assert notice["name"] == "Club"


async def notices(people: Neighbours) -> list[str]:
    found: list[str] = (await jmap(people, BOB, "ShareNotification/query"))["ids"]
    return found


async def test_jmap_sees_what_imap_gives_and_the_other_way_round(people: Neighbours) -> None:
    alice, bob = await shared_club(people, "lrsk")
    (box,) = (await jmap(people, ALICE, "Mailbox/get", ids=[f"F{await club_of(people)}"]))["list"]
    given = box["shareWith"][f"W{people.number(BOB)}"]
    assert {right for right, is_given in given.items() if is_given} == {*READ_SEEN, "mayCreateChild"}
    for names, letters in (
        (READ_SEEN, "lrs"),
        ([*READ_SEEN, "mayAddItems", "mayRemoveItems", "maySetKeywords"], "lrswited"),
        (["mayReadItems", "mayRename", "mayDelete"], "lrxc"),
        (["mayReadItems", "mayDelete"], "lr"),
        (["mayReadItems", "mayRename"], "lr"),
    ):
        await give_by_jmap(people, names)
        assert await bob.ok(f"MYRIGHTS {CLUB}") == [f"* MYRIGHTS {CLUB} {letters}"]
        assert await alice.ok("GETACL Club") == [f"* ACL Club {ALICE} lrswipkxteacd {BOB} {letters}"]


async def test_half_of_x_stays_until_x_is_spoken_of(people: Neighbours) -> None:
    alice, bob = await shared_club(people, "")
    await give_by_jmap(people, ["mayReadItems", "mayDelete"])
    assert await bob.no(f"DELETE {CLUB}") == "NOPERM"
    await alice.ok(f"SETACL Club {BOB} +s")
    assert await rights_kept(people) == {*READ_SEEN, "mayDelete"}
    await alice.ok(f"SETACL Club {BOB} -x")
    assert await rights_kept(people) == set(READ_SEEN)
    await alice.ok(f"SETACL Club {BOB} +x")
    assert await rights_kept(people) == {*READ_SEEN, "mayDelete", "mayRename"}
    await alice.ok(f"SETACL Club {BOB} lr")
    assert await rights_kept(people) == {"mayReadItems"}


async def rights_kept(people: Neighbours) -> set[str]:
    """bob's rights to Club as the store has them."""
    (item,) = await people.house.app.store.items(people.number(ALICE), "Grant", [people.number(BOB)])
    return set(decode(item.data).mailboxes[await club_of(people)].rights)


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ("", "lr", "lr"),
        ("", "+lrd", "lrted"),
        ("lrs", "d", None),
        ("lrs", "+d", "lrsted"),
        ("lrs", "+et", "lrsted"),
        ("lrs", "+c", "lrskxc"),
        ("lrs", "+k", "lrskc"),
        ("lrs", "+", "lrs"),
        ("lrs", "-", "lrs"),
        ("lrs", '""', ""),
        ("lrste", "-t", "lrs"),
        ("lrste", "-d", "lrs"),
        ("lrskx", "-c", "lrs"),
        ("lrskx", "-x", "lrskc"),
        ("lrs", "-pa", "lrs"),
        ("lrs", "-lrs", ""),
        ("lrs", "-lrswikxtepacd", ""),
        ("lrs", "-r", None),
        ("lr", "-r", ""),
        ("lrs", "+t", None),
        ("lrs", "+p", None),
        ("lrs", "+a", None),
        ("lrs", "l", None),
        ("lrs", "sw", None),
        ("lrs", "lrswipkxtea", None),
        ("lrs", "+l", "lrs"),
        ("", "+s", None),
    ],
)
async def test_a_change_of_rights(people: Neighbours, before: str, change: str, after: str | None) -> None:
    alice, _ = await shared_club(people, before)
    found = await people.state()
    if after is None:
        assert await alice.no(f"SETACL Club {BOB} {change}") == "CANNOT"
        assert await people.state() == found
        return
    await alice.ok(f"SETACL Club {BOB} {change}")
    told = f" {BOB} {after}" if after else ""
    assert await alice.ok("GETACL Club") == [f"* ACL Club {ALICE} lrswipkxteacd{told}"]


async def test_the_inbox_keeps_its_name(people: Neighbours) -> None:
    alice, bob = await people.person(ALICE), await people.person(BOB)
    assert await alice.no(f"SETACL INBOX {BOB} lrx") == "CANNOT"
    await alice.ok(f"SETACL inbox {BOB} lrc")
    assert await alice.ok("GETACL INBOX") == [f"* ACL INBOX {ALICE} lrswipkteacd {BOB} lrkc"]
    assert await alice.ok("LISTRIGHTS INBOX bob") == ['* LISTRIGHTS INBOX bob "" lr s w i te k c d']
    inbox = f'"{THERE}/INBOX"'
    assert await bob.no(f"DELETE {inbox}") == "NOPERM"
    assert await bob.no(f'RENAME {inbox} "{THERE}/Mail"') == "NOPERM"
    # also when JMAP has said otherwise
    number = (await people.house.app.store.mailboxes(people.number(ALICE)))[0].mailbox_id
    rights = tuple(sorted(set(MAILBOXES.rights) - MAILBOXES.withheld))
    grant = Grant(mailboxes={number: Share(rights=rights)})
    key = {"account_id": people.number(ALICE), "kind": "Grant", "item_id": people.number(BOB)}
    await people.house.app.store.apply(PutItem(**key, data=encode(grant)))
    assert await bob.ok(f"MYRIGHTS {inbox}") == [f"* MYRIGHTS {inbox} lrswiktecd"]
    assert await bob.no(f"DELETE {inbox}") == "NOPERM"


async def test_identifiers(people: Neighbours) -> None:
    """Accounts of one's own domain, in any spelling; others do not exist."""
    alice, _ = await shared_club(people, "")
    store = people.house.app.store
    await store.apply(PutDomain(domain=Domain(name="elsewhere.test")))
    far = await store.apply(AddAccount(address="eve@elsewhere.test", password="!", created_at=0))
    for name in ("bob", "BOB", '"bob@EXAMPLE.test"', "{16+}\r\nbob@example.test"):
        await alice.ok(f"SETACL Club {name} lr")
        await alice.ok(f"DELETEACL Club {name}")
    for name in (
        "eve@elsewhere.test", "eve", "nobody", "team@example.test", "bob+tag@example.test", "anyone", "ANYONE",
        "anonymous", "-bob", "-anyone", "$team", "group:staff", "owner", ALICE, "alice", "@", "bob@", "@example.test",
    ):  # fmt: skip
        assert await alice.no(f'SETACL Club "{name}" lr') == "CANNOT", name
        if name not in {ALICE, "alice"}:
            assert await alice.no(f'LISTRIGHTS Club "{name}"') == "CANNOT", name
    for raw in (b'""', b'"\x01"', b'"\xff"', b"{3+}\r\n\xc2\xad\xc2", b'"\xc2\xad"'):
        for command in (b"SETACL Club %b lr", b"DELETEACL Club %b", b"LISTRIGHTS Club %b"):
            assert (await alice.command(command % raw))[-1].startswith(b"t BAD "), raw
    assert await alice.ok("GETACL Club") == [f"* ACL Club {ALICE} lrswipkxteacd"]
    assert (await store.states(far.account_id)).kinds == {}


async def test_who_is_locked_out_can_be_given_nothing_and_be_taken_all(people: Neighbours) -> None:
    alice, _ = await shared_club(people, "lrs")
    store, account = people.house.app.store, people.house.accounts[BOB]
    await store.apply(PutAccount(account=msgspec.structs.replace(account, disabled=True)))
    assert await alice.ok("GETACL Club") == [f"* ACL Club {ALICE} lrswipkxteacd {BOB} lrs"]
    assert await alice.no(f"SETACL Club {BOB} lrsw") == "CANNOT"
    await alice.ok(f"DELETEACL Club {BOB}")
    assert await alice.ok("GETACL Club") == [f"* ACL Club {ALICE} lrswipkxteacd"]


async def test_a_mailbox_has_so_many_readers_and_no_more(
    people: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SHARES", 1)
    alice, _ = await shared_club(people, "lr")
    assert await alice.no(f"SETACL Club {ADMIN} lr") == "LIMIT"
    await alice.ok(f"SETACL Club {BOB} +s")
    monkeypatch.setattr(limits, "SHARES", 2)
    monkeypatch.setattr(limits, "GRANTS", 1)
    assert await alice.no(f"SETACL Club {ADMIN} lr") == "LIMIT"
    await alice.ok(f"DELETEACL Club {ADMIN}")
    assert await alice.ok("GETACL Club") == [f"* ACL Club {ALICE} lrswipkxteacd {BOB} lrs"]


async def test_two_who_give_at_once_take_nothing_from_each_other(people: Neighbours) -> None:
    alice, _ = await shared_club(people, "")
    other = await people.person(ALICE)
    for _ in range(5):
        await asyncio.gather(alice.ok(f"SETACL Club {BOB} lr"), other.ok(f"SETACL Club {ADMIN} lrs"))
        assert await alice.ok("GETACL Club") == [f"* ACL Club {ALICE} lrswipkxteacd {BOB} lr {ADMIN} lrs"]
        await asyncio.gather(alice.ok(f"DELETEACL Club {BOB}"), other.ok(f"DELETEACL Club {ADMIN}"))


async def test_pipelined_commands_see_what_came_before(people: Neighbours) -> None:
    """RFC 4314 §5.1.1."""
    alice, bob = await shared_club(people, "")
    await bob.ok("NOOP")
    alice.send(
        f"a SETACL Club {BOB} lr\r\nb GETACL Club\r\nc SETACL Club {BOB} lrs\r\nt GETACL Club\r\n".encode()
    )
    told = [line for line in await alice.until(b"t ") if line.startswith(b"* ACL")]
    assert [line.split()[-1] for line in told] == [b"lr", b"lrs"]


async def test_who_loses_a_mailbox_that_is_deleted_is_told(people: Neighbours) -> None:
    alice, bob = await shared_club(people, "lr")
    await jmap(people, BOB, "ShareNotification/set", destroy=await notices(people))
    await alice.ok("DELETE Club")
    (notice,) = (await jmap(people, BOB, "ShareNotification/get", ids=None))["list"]
    assert (notice["name"], notice["newRights"]) == ("Club", None)
    assert await bob.ok("NAMESPACE") == ['* NAMESPACE (("" "/")) NIL NIL']
    # a mailbox that takes its name is another
    await alice.ok("CREATE Club")
    assert await alice.ok("GETACL Club") == [f"* ACL Club {ALICE} lrswipkxteacd"]


async def test_a_mailbox_made_below_is_shared_as_that_is(people: Neighbours) -> None:
    """RFC 4314 §4."""
    alice, bob = await shared_club(people, "lrk")
    await alice.ok(f"SETACL Club {ADMIN} lrsw")
    await bob.ok(f'CREATE "{THERE}/Club/Sub/Deep"')
    for name in ("Club/Sub", "Club/Sub/Deep"):
        assert await alice.ok(f"GETACL {name}") == [
            f"* ACL {name} {ALICE} lrswipkxteacd {BOB} lrkc {ADMIN} lrsw"
        ]
    # but what the owner makes there is not, as in JMAP
    await alice.ok("CREATE Club/Mine")
    assert await alice.ok("GETACL Club/Mine") == [f"* ACL Club/Mine {ALICE} lrswipkxteacd"]
    assert await bob.no(f'CREATE "{THERE}/Club/Mine"') == "ALREADYEXISTS"
    assert await bob.no(f'CREATE "{THERE}/Club/a%b"') == "CANNOT"
    assert await bob.no(f'CREATE "{THERE}/Club/{"x/" * 200}"') == "CANNOT"


async def test_a_mailbox_that_is_renamed_keeps_who_sees_it(people: Neighbours) -> None:
    alice, bob = await shared_club(people, "lrs")
    await bob.ok(f"SUBSCRIBE {CLUB}")
    await alice.ok("RENAME Club Work/Club2")
    assert await alice.ok("GETACL Work/Club2") == [f"* ACL Work/Club2 {ALICE} lrswipkxteacd {BOB} lrs"]
    assert await bob.ok('LSUB "" Other*') == [f'* LSUB () "/" "{THERE}/Club2"']


async def test_how_many_mailboxes_the_owner_may_have(
    people: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, bob = await shared_club(people, ALL_GIVEN)
    present = len(await people.house.app.store.mailboxes(people.number(ALICE)))
    monkeypatch.setattr(limits, "MAILBOXES", present + 1)
    assert await bob.no(f'CREATE "{THERE}/Club/Sub/Deep"') == "LIMIT"
    await bob.ok(f'CREATE "{THERE}/Club/Sub"')
    assert await bob.no(f'CREATE "{THERE}/Club/More"') == "LIMIT"


async def test_an_email_that_is_elsewhere_too_keeps_its_flags(people: Neighbours) -> None:
    """RFC 8621 §2: only with the right in all mailboxes that it is in; \\Deleted is each mailbox's own."""
    alice, bob = await shared_club(people, ALL_GIVEN, count=2)
    store, number = people.house.app.store, people.number(ALICE)
    await alice.ok("CREATE Secret")
    secret = await store.mailbox(number, "Secret")
    assert secret is not None
    place = {"source_id": await club_of(people), "target_id": secret.mailbox_id}
    await store.apply(PlaceEmails(account_id=number, uids=Ranges.of([1]), **place))
    await bob.ok(f"SELECT {CLUB}")
    for command in ("STORE 1 +FLAGS (\\Seen Party)", "STORE 1 FLAGS (\\Flagged)", "STORE 1 FLAGS ()"):
        assert await bob.no(command) == "NOPERM"
    await bob.ok("FETCH 1 BODY[]")
    await bob.ok("STORE 1:2 +FLAGS (\\Flagged)")
    await bob.ok("STORE 1 +FLAGS (\\Deleted \\Flagged)")
    await bob.ok("FETCH 1:2 BODY[TEXT]")
    await alice.ok("SELECT Club")
    assert await alice.ok("FETCH 1:2 FLAGS") == [
        "* 1 FETCH (FLAGS (\\Deleted))",
        "* 2 FETCH (FLAGS (\\Seen \\Flagged))",
    ]
    await alice.ok(f"SETACL Secret {BOB} lrs")
    assert await bob.no("STORE 1 +FLAGS (\\Flagged)") == "NOPERM"
    await bob.ok("STORE 1 +FLAGS (\\Seen)")
    await alice.ok("NOOP")
    assert await alice.ok("FETCH 1 FLAGS") == ["* 1 FETCH (FLAGS (\\Seen \\Deleted))"]
    # it leaves this mailbox, and stays where it is
    await bob.ok("EXPUNGE")
    assert await people.house.total(ALICE, "Secret") == 1


async def test_names_outside_of_ascii(people: Neighbours) -> None:
    alice, bob = await people.person(ALICE), await people.person(BOB)
    await alice.ok("CREATE &kMhm0A-/&bUuL1Q-")
    await alice.ok(f"SETACL &kMhm0A-/&bUuL1Q- {BOB} lr")
    name = f'"{THERE}/&bUuL1Q-"'
    assert f'* LIST (\\HasNoChildren) "/" {name}' in await bob.ok('LIST "" *')
    await bob.ok(f"SELECT {name}")
    assert await bob.ok(f"MYRIGHTS {name}") == [f"* MYRIGHTS {name} lr"]


def test_letters_and_names_fit() -> None:
    """Every right that JMAP can give has a letter, and none has more than one group."""
    given = set(MAILBOXES.rights) - MAILBOXES.withheld
    assert acl.names_of("".join(acl.TIED)) == given
    assert acl.letters_of(given) == frozenset("".join(acl.TIED))
    for group in acl.TIED:
        assert acl.letters_of(acl.names_of(group)) == frozenset(group)


async def test_myrights_by_list(people: Neighbours) -> None:
    """RFC 8440 §4."""
    alice, bob = await shared_club(people, "lrs")
    await alice.ok("CREATE Club/Sub")
    told = await alice.ok('LIST "" (Club* INBOX) RETURN (MYRIGHTS STATUS (MESSAGES))')
    assert told == [
        '* LIST (\\HasNoChildren) "/" INBOX',
        "* MYRIGHTS INBOX lrswipkteacd",
        "* STATUS INBOX (MESSAGES 0)",
        '* LIST (\\HasChildren) "/" Club',
        "* MYRIGHTS Club lrswipkxteacd",
        "* STATUS Club (MESSAGES 3)",
        '* LIST (\\HasNoChildren) "/" Club/Sub',
        "* MYRIGHTS Club/Sub lrswipkxteacd",
        "* STATUS Club/Sub (MESSAGES 0)",
    ]
    await alice.ok("SUBSCRIBE Club/Sub")
    assert await alice.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" C% RETURN (MYRIGHTS)') == [
        '* LIST (\\HasChildren) "/" Club ("CHILDINFO" ("SUBSCRIBED"))'
    ], "a mailbox that is told only for what is below it"
    assert await bob.ok('LIST "Other Users/" (% %/%) RETURN (MYRIGHTS)') == [
        f'* LIST (\\NonExistent \\Noselect \\HasChildren) "/" "{THERE}"',
        f'* LIST (\\HasNoChildren) "/" {CLUB}',
        f"* MYRIGHTS {CLUB} lrs",
    ]
