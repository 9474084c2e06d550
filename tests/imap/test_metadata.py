"""GETMETADATA, SETMETADATA and what is told of changes (RFC 5464), over sockets and the real store."""

from __future__ import annotations

import pytest

from posthouse import limits
from posthouse.imap.commands.metadata import GetArgs, parse_get, parse_set
from posthouse.imap.grammar import BadSyntax, Reader
from tests.imap.conftest import Client, Post
from tests.imap.shared import THERE, Neighbours, shared_club


async def said(client: Client, text: bytes) -> list[bytes]:
    """A command's answer, in lines without their ends."""
    return [line.removesuffix(b"\r\n") for line in await client.command(text)]


async def set_by(client: Client, entries: bytes, mailbox: bytes = b"INBOX") -> None:
    answer = await said(client, b"SETMETADATA %b (%b)" % (mailbox, entries))
    assert answer == [b"t OK SETMETADATA completed"]


# --- the examples of the RFC, in its order -----------------------------------------------------------------


async def test_examples_of_reading(post: Post) -> None:
    alice = await post.login()
    await set_by(alice, b'/private/comment "My own comment" /shared/comment {6+}\r\nShared')
    assert await said(alice, b'GETMETADATA "INBOX" /private/comment') == [
        b'* METADATA INBOX (/private/comment "My own comment")',
        b"t OK GETMETADATA completed",
    ]
    both = b'* METADATA INBOX (/shared/comment "Shared" /private/comment "My own comment")'
    assert (await said(alice, b'GETMETADATA "INBOX" (/shared/comment /private/comment)'))[0] == both
    # §4.4.1 shows two names without parentheses
    assert (await said(alice, b'GETMETADATA "INBOX" /shared/comment /private/comment'))[0] == both
    assert await said(alice, b'GETMETADATA "" /shared/comment') == [
        b'* METADATA "" (/shared/comment NIL)',
        b"t OK GETMETADATA completed",
    ]


async def test_example_of_maxsize(post: Post) -> None:
    alice = await post.login()
    await set_by(alice, b'/private/comment "My own comment" /shared/comment {2199+}\r\n' + b"x" * 2199)
    told = [
        b'* METADATA INBOX (/private/comment "My own comment")',
        b"t OK [METADATA LONGENTRIES 2199] GETMETADATA completed",
    ]
    entries = b"(/shared/comment /private/comment)"
    # The grammar has the options before the mailbox, the examples behind it.
    assert await said(alice, b'GETMETADATA (MAXSIZE 1024) "INBOX" ' + entries) == told
    assert await said(alice, b'GETMETADATA "INBOX" (MAXSIZE 1024) ' + entries) == told
    everything = await said(alice, b"GETMETADATA (MAXSIZE 2199) INBOX " + entries)
    assert everything[-1] == b"t OK GETMETADATA completed", "a value as long as that is not too long"


async def test_example_of_depth(post: Post) -> None:
    alice = await post.login()
    await set_by(
        alice,
        b'/private/filters/values/small "SMALLER 5000"'
        b' /private/filters/values/boss "FROM \\"boss@example.com\\"" /private/filters/valuesx "no"'
        b' /private/filters/values/deep/er "yes"',
    )
    one = (
        b'* METADATA INBOX (/private/filters/values/boss "FROM \\"boss@example.com\\""'
        b' /private/filters/values/small "SMALLER 5000")'
    )
    assert (await said(alice, b'GETMETADATA "INBOX" (DEPTH 1) (/private/filters/values)'))[0] == one
    deep = one[:-1].replace(b" /private/filters/values/small", b' /private/filters/values/deep/er "yes"\0')
    deep = deep.replace(b"\0", b" /private/filters/values/small") + b")"
    assert (await said(alice, b"GETMETADATA (DEPTH infinity) INBOX /private/filters/values"))[0] == deep
    assert await said(alice, b"GETMETADATA (DEPTH 0) INBOX /private/filters/values") == [
        b"* METADATA INBOX (/private/filters/values NIL)",
        b"t OK GETMETADATA completed",
    ]
    assert await said(alice, b"GETMETADATA (DEPTH 1) INBOX /private/nothing") == [
        b"t OK GETMETADATA completed"
    ]


async def test_examples_of_setting(post: Post) -> None:
    alice = await post.login()
    alice.send(b"a SETMETADATA INBOX (/private/comment {33}\r\n")
    assert (await alice.line()).startswith(b"+ ")
    alice.send(b"My new comment across\r\ntwo lines.)\r\n")
    assert await alice.line() == b"a OK SETMETADATA completed\r\n"
    assert await said(alice, b"GETMETADATA INBOX /private/comment") == [
        b"* METADATA INBOX (/private/comment {33}",
        b"My new comment across",
        b"two lines.)",
        b"t OK GETMETADATA completed",
    ]
    await set_by(alice, b"/private/comment NIL")
    assert (await said(alice, b"GETMETADATA INBOX /private/comment"))[0].endswith(b"(/private/comment NIL)")
    await set_by(alice, b'/private/comment "My new comment" /shared/comment "This one is for you!"')
    assert (await said(alice, b"GETMETADATA INBOX (/private/comment /shared/comment)"))[0] == (
        b'* METADATA INBOX (/private/comment "My new comment" /shared/comment "This one is for you!")'
    )


async def test_example_of_too_many(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "METADATA_ENTRIES", 1)
    alice = await post.login()
    await set_by(alice, b'/shared/comment "first"')
    answer = await said(alice, b'SETMETADATA INBOX (/shared/comment "x" /private/comment "My new comment")')
    assert answer[0].startswith(b"t NO [METADATA TOOMANY] ")
    assert b'"first"' in (await said(alice, b"GETMETADATA INBOX /shared/comment"))[0], "§4.3: all or none"


async def test_examples_of_what_is_told(post: Post) -> None:
    alice, other = await post.login(), await post.login()
    assert await said(alice, b"ENABLE METADATA") == [b"* ENABLED METADATA", b"t OK ENABLE completed"]
    await set_by(other, b'/private/comment "x"', b'""')
    assert await said(alice, b"NOOP") == [b'* METADATA "" /private/comment', b"t OK NOOP completed"]
    await set_by(other, b'/shared/comment "x" /private/comment "y"')
    assert await said(alice, b"NOOP") == [
        b"* METADATA INBOX /private/comment /shared/comment",
        b"t OK NOOP completed",
    ]
    assert await said(alice, b"NOOP") == [b"t OK NOOP completed"]


# --- what is told ------------------------------------------------------------------------------------------


async def test_only_third_parties_changes_are_told_and_only_to_who_asked(post: Post) -> None:
    alice, other, silent = await post.login(), await post.login(), await post.login()
    await alice.command(b"ENABLE METADATA")
    await set_by(alice, b'/private/own "x"')
    await set_by(other, b'/private/theirs "x" /private/gone "x"')
    await set_by(other, b"/private/gone NIL")
    assert await said(alice, b'SETMETADATA INBOX (/private/own "y")') == [
        b"* METADATA INBOX /private/gone /private/theirs",
        b"t OK SETMETADATA completed",
    ]
    assert await said(alice, b"NOOP") == [b"t OK NOOP completed"]
    assert await said(silent, b"NOOP") == [b"t OK NOOP completed"]
    await set_by(other, b"/private/theirs NIL")
    assert await said(alice, b"NOOP") == [b"* METADATA INBOX /private/theirs", b"t OK NOOP completed"]


async def test_it_is_pushed_to_who_idles(post: Post) -> None:
    alice, other = await post.login(), await post.login()
    await alice.command(b"ENABLE METADATA IMAP4rev2")
    await other.command("CREATE Büro".encode())
    alice.send(b"i IDLE\r\n")
    assert await alice.line() == b"+ idling\r\n"
    await set_by(other, b'/private/comment "x"', "Büro".encode())
    assert await alice.line() == '* METADATA "Büro" /private/comment\r\n'.encode()
    await other.command("DELETE Büro".encode())
    await set_by(other, b'/private/comment "x"')
    assert await alice.line() == b"* METADATA INBOX /private/comment\r\n"
    alice.send(b"DONE\r\n")
    assert (await alice.line()).startswith(b"i OK ")


# --- refusals and limits -----------------------------------------------------------------------------------


async def test_values_up_to_the_limit_and_no_further(post: Post) -> None:
    alice = await post.login()
    most = limits.METADATA_VALUE
    code = b"t NO [METADATA MAXSIZE %d] " % most
    await set_by(alice, b"/private/a {%d+}\r\n" % most + b"x" * most)
    more = b"SETMETADATA INBOX (/private/b NIL /private/a {%d+}\r\n%b)"
    assert (await said(alice, more % (most + 1, b"y" * (most + 1))))[0].startswith(code)
    huge = limits.IMAP_LITERAL + 1
    assert (await said(alice, more % (huge, b"y" * huge)))[0].startswith(code), (
        "also where no literal is taken"
    )
    alice.send(b"t SETMETADATA INBOX (/private/a {%d}\r\n" % huge)
    assert (await alice.line()).startswith(code)
    longest = b"/private/" + b"n" * (limits.METADATA_NAME - 9)
    await set_by(alice, longest + b' "x"')
    assert (await said(alice, b'SETMETADATA INBOX (%bn "x")' % longest))[0].startswith(b"t NO [LIMIT] ")
    asked = b" ".join(b"/private/%d" % number for number in range(limits.METADATA_ENTRIES + 1))
    assert (await said(alice, b"GETMETADATA INBOX (%b)" % asked))[0].startswith(b"t BAD ")


async def test_all_of_an_account_are_bounded(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "METADATA_OCTETS", 100)
    alice = await post.login()
    answer = await said(alice, b'SETMETADATA INBOX (/private/a "%b")' % (b"x" * 100))
    assert answer[0].startswith(b"t NO [OVERQUOTA] ")


async def test_binary_values_come_back_as_they_were(post: Post) -> None:
    alice = await post.login()
    for value in (b"\0\r\n\xff", b"", b"NIL", bytes(range(1, 256))):
        alice.send(b"t SETMETADATA INBOX (/private/a ~{%d+}\r\n%b)\r\n" % (len(value), value))
        assert (await alice.line()).startswith(b"t OK "), value
        alice.send(b"t GETMETADATA INBOX /private/a\r\n")
        heard = b"".join(await alice.until(b"t OK "))
        shown = heard.removeprefix(b"* METADATA INBOX (/private/a ").partition(b")\r\nt OK ")[0]
        quoted, literal = b'"%b"' % value, b"{%d}\r\n%b" % (len(value), value)
        assert shown in (quoted, literal, b"~" + literal), value
    assert (await said(alice, b"SETMETADATA INBOX (/private/a {1+}\r\n\0)"))[0].startswith(b"t BAD ")


@pytest.mark.parametrize(
    "name",
    [
        *(b"/private", b"/shared", b"private/x", b"/other/x", b"/", b'""', b"/private/", b"/private//x"),
        *(b"/private/x/", b"/private/x*", b'"/private/x%"', b'"/private/\x01"', b'"/private/\x19"'),
        *(b'"/private/\xc3\xbc"', b"/privatex/y", b"/private/vendor/x", b"/shared/vendor", b"NIL"),
    ],
)
def test_names_that_cannot_be_set(name: bytes) -> None:
    with pytest.raises(BadSyntax):
        parse_set(Reader(b' INBOX (%b "x")' % name), False)


@pytest.mark.parametrize(
    "name", [b"/private/x", b'"/SHARED/a b"', b"/private/vendor/x/y", b'"/private/\x1a"']
)
def test_names_that_can_be_set(name: bytes) -> None:
    args = parse_set(Reader(b' INBOX (%b "x")' % name), False)
    assert list(args.values) == [name.strip(b'"').decode().lower()]


@pytest.mark.parametrize(
    "text",
    [
        *(b"INBOX", b"INBOX ()", b"(MAXSIZE) INBOX /private/x", b"(MAXSIZE -1) INBOX /private/x"),
        *(b"(MAXSIZE 4294967296) INBOX /private/x", b"(DEPTH 2) INBOX /private/x", b"() INBOX /private/x"),
        *(b"(DEPTH 1 DEPTH 1) INBOX /private/x", b"(COLOUR red) INBOX /private/x", b"INBOX (/private/x"),
        *(b"(DEPTH 1) INBOX (DEPTH 1) /private/x", b"INBOX /private/x)", b"INBOX (/private/x) /private/y"),
    ],
)
def test_what_cannot_be_asked(text: bytes) -> None:
    with pytest.raises(BadSyntax):
        parse_get(Reader(b" " + text), False)


def test_words_are_the_same_in_any_case() -> None:
    args = parse_get(Reader(b' (maxsize 5 Depth Infinity) inbox ("/private/x" /private/x)'), False)
    assert args == GetArgs(mailbox="INBOX", entries=("/private/x",), depth=None, max_size=5)


async def test_states_and_strangers(post: Post) -> None:
    stranger = await post.connect()
    assert (await said(stranger, b"GETMETADATA INBOX /private/a"))[0].startswith(b"t BAD ")
    huge = b"SETMETADATA INBOX (/private/a {%d}" % (limits.IMAP_LITERAL + 1)
    assert (await said(stranger, huge))[0].startswith(b"t BAD ")
    alice = await post.login()
    assert b" METADATA " in (await said(alice, b"CAPABILITY"))[0] + b" "
    for text in (b"GETMETADATA nowhere /private/a", b'SETMETADATA nowhere (/private/a "x")'):
        assert (await said(alice, text))[0].startswith(b"t NO [NONEXISTENT] ")


# --- with their mailbox ------------------------------------------------------------------------------------


async def test_they_follow_the_mailbox(post: Post) -> None:
    alice = await post.login()
    await alice.command(b"CREATE a/b")
    await set_by(alice, b'/private/comment "mine"', b"a/b")
    await alice.command(b"RENAME a c")
    assert b'"mine"' in (await said(alice, b"GETMETADATA c/b /private/comment"))[0]
    await alice.command(b"DELETE c/b")
    await alice.command(b"CREATE c/b")
    assert b"NIL" in (await said(alice, b"GETMETADATA c/b /private/comment"))[0]


async def test_renaming_inbox_copies_them(post: Post) -> None:
    alice = await post.login()
    await set_by(alice, b'/private/comment "mine" /private/gone "x"')
    await set_by(alice, b"/private/gone NIL")
    await alice.command(b"RENAME INBOX old")
    for name in (b"INBOX", b"old"):
        assert await said(alice, b"GETMETADATA (DEPTH infinity) %b /private" % name) == [
            b'* METADATA %b (/private/comment "mine")' % name,
            b"t OK GETMETADATA completed",
        ]


async def test_what_comes_while_it_is_looked_at_is_told_once(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, other = await post.login(), await post.login()
    await alice.command(b"ENABLE METADATA")
    await set_by(other, b'/private/first "x"')
    changes = post.store.item_changes

    async def slowly(account_id: int, kind: str, since: int) -> object:
        found = await changes(account_id, kind, since)
        monkeypatch.undo()
        await set_by(other, b'/private/second "x"')
        return found

    monkeypatch.setattr(post.store, "item_changes", slowly)
    told = await said(alice, b"NOOP") + await said(alice, b"NOOP")
    assert [line for line in told if line.startswith(b"* ")] == [
        b"* METADATA INBOX /private/first",
        b"* METADATA INBOX /private/second",
    ]


# --- with LIST (RFC 9590) ----------------------------------------------------------------------------------


async def test_list_tells_annotations_of_each_mailbox(post: Post) -> None:
    alice = await post.login()
    await said(alice, b"CREATE Work/Plans")
    await said(alice, b"SUBSCRIBE Gone")
    await set_by(alice, b'/private/comment "daily" /shared/vendor/x/color "#b71c1c"', b"Work/Plans")
    answer = await said(
        alice, b'LIST "" (INBOX Work/%) RETURN (METADATA (/Shared/vendor/x/color /private/comment))'
    )
    assert answer == [
        b'* LIST (\\HasNoChildren) "/" INBOX',
        b"* METADATA INBOX (/Shared/vendor/x/color NIL /private/comment NIL)",
        b'* LIST (\\HasNoChildren) "/" Work/Plans',
        b'* METADATA Work/Plans (/Shared/vendor/x/color "#b71c1c" /private/comment "daily")',
        b"t OK LIST completed",
    ]
    answer = await said(
        alice, b'LIST (SUBSCRIBED) "" * RETURN (STATUS (MESSAGES) METADATA (/private/comment))'
    )
    assert [line for line in answer if b"Gone" in line] == [
        b'* LIST (\\NonExistent \\Noselect \\HasNoChildren \\Subscribed) "/" Gone'
    ]
    assert b"LIST-METADATA" in (await said(alice, b"CAPABILITY"))[0].split()


@pytest.mark.parametrize(
    "options",
    [b"METADATA", b"METADATA ()", b"METADATA (/private/*)", b"METADATA (comment)", b"METADATA(/a/b)"],
)
async def test_list_refuses_what_names_no_entries(post: Post, options: bytes) -> None:
    alice = await post.login()
    assert (await said(alice, b'LIST "" * RETURN (%b)' % options))[0].startswith(b"t BAD ")


async def test_list_takes_no_more_entries_than_a_mailbox_has(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "METADATA_ENTRIES", 1)
    alice = await post.login()
    asked = b'LIST "" INBOX RETURN (METADATA (/private/comment /shared/comment))'
    assert (await said(alice, asked))[0].startswith(b"t BAD ")


async def test_list_shows_no_private_annotations_of_others(people: Neighbours) -> None:
    alice, bob = await shared_club(people)
    await alice.ok('SETMETADATA Club (/private/comment "mine" /shared/comment "ours")')
    listed = await bob.ok(f'LIST "" "{THERE}/%" RETURN (METADATA (/private/comment /shared/comment))')
    assert f'* METADATA "{THERE}/Club" (/private/comment NIL /shared/comment "ours")' in listed
