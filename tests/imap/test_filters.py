"""Searches kept under names (RFC 5466): whose they are, what stands within them, and what is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from posthouse import limits
from posthouse.store.interface import PutAccount
from tests.imap.conftest import Client, Post
from tests.imap.shared import ALICE, THERE, shared_club

ADMIN = "admin@example.test"


async def keep(client: Client, name: str, value: str) -> bytes:
    raw = value.encode()
    text = f'SETMETADATA "" (/private/filters/values/{name} {{{len(raw)}+}}\r\n'
    return (await client.command(text.encode() + raw + b")"))[-1]


async def found(client: Client, text: str) -> str:
    """What a search finds, or how it is refused."""
    answer = await client.command(f"SEARCH {text}".encode())
    line = answer[0] if answer[-1].startswith(b"t OK") else answer[-1]
    return line.decode().removesuffix("\r\n").removeprefix("* SEARCH").removeprefix("t ").strip()


async def opened(post: Post) -> Client:
    await post.fill(b"Subject: caf\xc3\xa9\r\n\r\nx\r\n", b"Subject: tea\r\n\r\nx\r\n")
    client = await post.login()
    await client.command(b"SELECT INBOX")
    return client


async def test_values_are_utf8(post: Post) -> None:
    client = await opened(post)
    assert (await keep(client, "drink", 'SUBJECT "caf\u00e9"')).startswith(b"t OK")
    assert await found(client, "FILTER drink") == "1"
    assert await found(client, "CHARSET US-ASCII NOT FILTER drink") == "2"
    for charset in ("ISO-8859-1", "nobody-knows"):
        refused = await found(client, f"CHARSET {charset} FILTER drink")
        assert refused.startswith("BAD [BADCHARSET (US-ASCII UTF-8)]")


async def test_what_is_no_search_is_not_kept(post: Post) -> None:
    client = await opened(post)
    for value in (
        "OR SMALLER",
        "",
        " ALL",
        "ALL)",
        "(ALL",
        "RETURN (ALL) ALL",
        "FILTER a/b",
        "FILTER",
        "NEVER",
    ):
        answer = await keep(client, "x", value)
        assert answer.startswith(b"t NO [CANNOT] Not a search: "), value
    octets = b'SETMETADATA "" (/private/filters/%b {3+}\r\nX \xff)'
    for name in (b"values/x", b"descriptions/x"):
        assert (await client.command(octets % name))[-1].startswith(b"t NO [CANNOT] ")
    for name in ("values", "values/a/b", "others/x", '"values/a b"', '"values/a(b"'):
        quoted = name if name.startswith('"') else f'"{name}"'
        entry = f'SETMETADATA "" ("/private/filters/{quoted[1:]} "ALL")'.encode()
        assert (await client.command(entry))[-1] == b"t NO [CANNOT] Not the name of a filter\r\n", name
    assert await found(client, "FILTER x") == "NO [UNDEFINED-FILTER x] No such filter"
    # Annotations of a mailbox are no filters.
    other = b'SETMETADATA INBOX (/private/filters/values/x "no search")'
    assert (await client.command(other))[-1].startswith(b"t OK")
    assert await found(client, "FILTER x") == "NO [UNDEFINED-FILTER x] No such filter"


async def test_loops_end(post: Post) -> None:
    client = await opened(post)
    await keep(client, "self", "OR ALL FILTER Self")
    await keep(client, "one", "NOT FILTER two")
    await keep(client, "two", "(FILTER one)")
    assert await found(client, "FILTER self") == "NO [UNDEFINED-FILTER Self] The filter contains itself"
    assert await found(client, "ALL FILTER one") == "NO [UNDEFINED-FILTER one] The filter contains itself"
    # The same one twice is no loop.
    await keep(client, "two", "2")
    assert await found(client, "OR FILTER one (NOT FILTER one FILTER two)") == "1 2"


async def test_filters_within_filters_are_counted(post: Post) -> None:
    client = await opened(post)
    await keep(client, "f0", "ALL")
    for number in range(limits.IMAP_FILTERS_NESTED):
        await keep(client, f"f{number + 1}", f"FILTER f{number}")
    assert await found(client, f"FILTER f{limits.IMAP_FILTERS_NESTED - 1}") == "1 2"
    deep = await found(client, f"FILTER f{limits.IMAP_FILTERS_NESTED}")
    assert deep == "NO [UNDEFINED-FILTER f0] Too many filters within filters"


async def test_all_keys_together_count(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await opened(post)
    # Each holds the one before ten times: a billion keys.
    await keep(client, "g0", "ALL")
    for number in range(7):
        await keep(client, f"g{number + 1}", " ".join([f"FILTER g{number}"] * 10))
    assert "Too many search keys" in await found(client, "FILTER g7")
    await keep(client, "texts", " ".join(["TEXT x"] * limits.IMAP_SEARCH_TEXTS))
    assert await found(client, "FILTER texts") == "1 2"
    assert "Too many text keys" in await found(client, "TEXT x FILTER texts")
    half = limits.IMAP_NESTING // 2 + 1
    await keep(client, "deep", "NOT (ALL " * half + "ALL" + ")" * half)
    assert "Too deeply nested" in await found(client, "NOT (ALL " * half + "FILTER deep" + ")" * half)


async def test_a_saved_result_is_emptied_by_a_search_that_fails(post: Post) -> None:
    client = await opened(post)
    assert (await client.command(b"SEARCH RETURN (SAVE) ALL"))[-1].startswith(b"t OK")
    assert (await client.command(b"SEARCH RETURN (SAVE) FILTER x"))[-1].startswith(b"t NO")
    assert await found(client, "$") == ""


async def test_the_highest_modseq_is_told_for_a_filter(post: Post) -> None:
    client = await opened(post)
    await keep(client, "news", "MODSEQ 1")
    (line, _) = (await client.command(b"SEARCH FILTER news"))[-2:]
    assert line.startswith(b"* SEARCH 1 2 (MODSEQ ")


async def test_in_every_kind_of_search(post: Post) -> None:
    client = await opened(post)
    await keep(client, "tea", "SUBJECT tea")
    assert (await client.command(b"UID SORT (DATE) UTF-8 FILTER tea"))[0] == b"* SORT 2\r\n"
    assert (await client.command(b"THREAD REFERENCES UTF-8 FILTER tea"))[0] == b"* THREAD (2)\r\n"
    answer = await client.command(b"ESEARCH IN (personal) RETURN (ALL) FILTER tea")
    assert answer[0].endswith(b" UID ALL 2\r\n") and answer[-1].startswith(b"t OK")


# --- whose filters they are ---------------------------------------------------------------------------------------


async def test_what_administrators_share_is_everybodys(people: Any) -> None:
    admin, alice = await people.person(ADMIN), await people.person(ALICE)
    await alice.append("INBOX", b"Subject: one\r\n\r\nx\r\n")
    await alice.ok("SELECT INBOX")
    entry = "/shared/filters/values/x"
    assert await alice.no(f'SETMETADATA "" ({entry} "ALL")') == "NOPERM"
    await admin.ok(f'SETMETADATA "" ({entry} "SUBJECT one" /shared/filters/descriptions/x "Number one")')
    assert await alice.ok("SEARCH FILTER x") == ["* SEARCH 1"]
    told = await alice.ok('GETMETADATA (DEPTH infinity) "" /shared/filters')
    assert told == [f'* METADATA "" (/shared/filters/descriptions/x "Number one" {entry} "SUBJECT one")']
    # One's own of the same name comes first (RFC 5466 §1).
    await alice.ok('SETMETADATA "" (/private/filters/values/x "SUBJECT two")')
    assert await alice.ok("SEARCH FILTER x") == ["* SEARCH"]
    assert await admin.ok('GETMETADATA "" /private/filters/values/x') == [
        '* METADATA "" (/private/filters/values/x NIL)'
    ]
    await alice.ok('SETMETADATA "" (/private/filters/values/x NIL)')
    await admin.ok(f'SETMETADATA "" ({entry} NIL)')
    assert await alice.no("SEARCH FILTER x") == "UNDEFINED-FILTER x"
    assert await admin.no('SETMETADATA "" (/shared/comment "x")') == "NOPERM"
    assert await admin.no(f'SETMETADATA "" ({entry} "OR ALL")') == "CANNOT"


async def appoint(people: Any, admin: bool) -> None:
    """Make alice an administrator, or not."""
    account = msgspec.structs.replace(people.house.accounts[ALICE], admin=admin)
    await people.house.app.store.apply(PutAccount(account=account))


async def test_two_administrators_have_one_filter_of_a_name(people: Any) -> None:
    admin, alice = await people.person(ADMIN), await people.person(ALICE)
    entry = "/shared/filters/values/x"
    await admin.ok(f'SETMETADATA "" ({entry} "SUBJECT one")')
    await appoint(people, True)
    await alice.ok(f'SETMETADATA "" ({entry} "SUBJECT two")')
    for person in (admin, alice):
        assert await person.ok(f'GETMETADATA "" {entry}') == [f'* METADATA "" ({entry} "SUBJECT two")']
    await appoint(people, False)
    assert await alice.ok(f'GETMETADATA "" {entry}') == [f'* METADATA "" ({entry} NIL)']
    await appoint(people, True)
    await admin.ok(f'SETMETADATA "" ({entry} NIL)')
    assert await alice.ok(f'GETMETADATA "" {entry}') == [f'* METADATA "" ({entry} NIL)']


async def test_in_a_mailbox_that_another_shares_the_filters_are_those_of_who_searches(people: Any) -> None:
    alice, bob = await shared_club(people)
    await alice.ok('SETMETADATA "" (/private/filters/values/x "ALL")')
    await bob.ok(f'SELECT "{THERE}/Club"')
    assert await bob.no("SEARCH FILTER x") == "UNDEFINED-FILTER x"
    await bob.ok('SETMETADATA "" (/private/filters/values/x "2:3")')
    assert await bob.ok("SEARCH FILTER x") == ["* SEARCH 2 3"]
