"""NOTIFY (RFC 5465) over sockets and the real store: what is told, when, and what is not."""

from __future__ import annotations

import asyncio
import logging

import pytest

from posthouse import limits
from posthouse.store.interface import CreateMailbox
from tests.imap.conftest import Client, Post
from tests.imap.test_compress import Deflated

NEWS = b"From: alice@example.org\r\nTo: bob@example.org\r\nSubject: Re: good morning\r\n\r\n!\r\n"
MESSAGES = b"(MessageNew MessageExpunge)"
ALL = b"(MessageNew MessageExpunge FlagChange)"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here shows the pause but what is about it."""
    monkeypatch.setattr(limits, "NOTIFY_PAUSE", 0.001)


async def ok(client: Client, text: bytes) -> list[bytes]:
    """What a command that succeeds says before its tagged line."""
    lines = [line.removesuffix(b"\r\n") for line in await client.command(text)]
    assert lines[-1].startswith(b"t OK "), lines
    return lines[:-1]


async def heard(client: Client, count: int = 1) -> list[bytes]:
    """The next lines."""
    return [(await client.line()).removesuffix(b"\r\n") for _ in range(count)]


async def silence(client: Client) -> None:
    """Nothing is told for a while, nor with the next command."""
    with pytest.raises(TimeoutError):
        line = await asyncio.wait_for(client.reader.readline(), 0.15)
        pytest.fail(f"heard {line!r}")
    assert await ok(client, b"NOOP") == []


async def append(client: Client, mailbox: bytes, flags: bytes = b"") -> None:
    await ok(client, b"APPEND %b %b{%d+}\r\n%b" % (mailbox, flags, len(NEWS), NEWS))


async def validity(client: Client, mailbox: bytes) -> bytes:
    (line,) = await ok(client, b"STATUS %b (UIDVALIDITY)" % mailbox)
    return line.rpartition(b" ")[2].rstrip(b")")


async def two(post: Post, *mailboxes: bytes) -> tuple[Client, Client]:
    """Who is told, and who does something."""
    told, other = await post.login(), await post.login()
    for name in mailboxes:
        await ok(other, b"CREATE " + name)
    return told, other


# --- the RFC's own conversation ----------------------------------------------------------------------------


async def test_the_conversation_of_section_3(post: Post) -> None:
    told, other = await two(post, b"Lists", b"Lists/Lemonade", b"Lists/Im2000", b"misc")
    await append(other, b"Lists/Lemonade")
    one, two_ = await validity(told, b"Lists/Lemonade"), await validity(told, b"Lists/Im2000")
    fetched = b"(selected MessageNew (uid body.peek[header.fields (from to subject)]) MessageExpunge)"
    lists = b"(subtree Lists MessageNew MessageExpunge)"
    said = await ok(told, b"notify set status %b %b" % (fetched, lists))
    assert sorted(said) == [
        b"* STATUS Lists (MESSAGES 0 UIDNEXT 1 UIDVALIDITY %b)" % await validity(told, b"Lists"),
        b"* STATUS Lists/Im2000 (MESSAGES 0 UIDNEXT 1 UIDVALIDITY %b)" % two_,
        b"* STATUS Lists/Lemonade (MESSAGES 1 UIDNEXT 2 UIDVALIDITY %b)" % one,
    ]
    await ok(told, b"select inbox")
    await append(other, b"Lists/Lemonade")
    assert await heard(told) == [b"* STATUS Lists/Lemonade (MESSAGES 2 UIDNEXT 3 UIDVALIDITY %b)" % one]
    await append(other, b"inbox")
    head = b"From: alice@example.org\r\nTo: bob@example.org\r\nSubject: Re: good morning\r\n\r\n"
    assert b"\r\n".join(await heard(told, 7)) == (
        b"* 1 EXISTS\r\n* 1 FETCH (UID 1 BODY[HEADER.FIELDS (from to subject)] {%d}\r\n%b)"
        % (len(head), head)
    )
    assert (await ok(told, b"STATUS misc (UIDVALIDITY UIDNEXT MESSAGES)"))[0].startswith(b"* STATUS misc (")
    assert (
        await ok(told, b"notify set %b %b (mailboxes misc (MessageNew MessageExpunge))" % (fetched, lists))
        == []
    )
    await append(other, b"misc")
    assert (await heard(told))[0].startswith(b"* STATUS misc (MESSAGES 1 UIDNEXT 2 ")


async def test_the_examples_of_section_5(post: Post) -> None:
    """FlagChange, MessageNew and MessageExpunge in the selected mailbox and in another."""
    await post.fill(NEWS, NEWS)
    told, other = await two(post, b"Lists", b"Lists/Lemonade")
    await ok(told, b"ENABLE CONDSTORE")
    await ok(told, b"SELECT INBOX")
    await ok(
        told, b"NOTIFY SET (selected (MessageNew (uid) MessageExpunge FlagChange)) (subtree Lists %b)" % ALL
    )
    await ok(other, b"SELECT INBOX")
    await ok(other, b"STORE 2 FLAGS ($Junk)")
    flags = await heard(told, 3)
    assert flags[0].startswith(b"* FLAGS (") and flags[1].startswith(b"* OK [PERMANENTFLAGS (")
    assert flags[2].startswith(b"* 2 FETCH (UID 2 FLAGS ($Junk) MODSEQ (")
    await append(other, b"INBOX")
    assert await heard(told, 2) == [b"* 3 EXISTS", b"* 3 FETCH (UID 3)"]
    await ok(other, b"STORE 1 +FLAGS.SILENT (\\Deleted)")
    await ok(other, b"EXPUNGE")
    lines = await heard(told)
    if b"FETCH" in lines[0]:  # the two changes came one by one
        lines = await heard(told)
    assert lines == [b"* 1 EXPUNGE"]
    await append(other, b"Lists/Lemonade")
    number = await validity(other, b"Lists/Lemonade")
    (line,) = await heard(told)
    assert line.startswith(
        b"* STATUS Lists/Lemonade (MESSAGES 1 UIDNEXT 2 UIDVALIDITY %b UNSEEN 1 HIGHESTMODSEQ " % number
    )
    await ok(other, b"SELECT Lists/Lemonade")
    await ok(other, b"STORE 1 +FLAGS (\\Flagged)")
    (line,) = await heard(told)
    assert line.startswith(b"* STATUS Lists/Lemonade (UIDVALIDITY %b HIGHESTMODSEQ " % number)
    await ok(other, b"STORE 1 +FLAGS (\\Seen)")
    (line,) = await heard(told)
    assert line.startswith(b"* STATUS Lists/Lemonade (UIDVALIDITY %b UNSEEN 0 HIGHESTMODSEQ " % number)
    await ok(other, b"STORE 1 +FLAGS (\\Deleted)")
    await heard(told)
    await ok(other, b"EXPUNGE")
    (line,) = await heard(told)
    assert line.startswith(
        b"* STATUS Lists/Lemonade (MESSAGES 0 UIDNEXT 2 UIDVALIDITY %b HIGHESTMODSEQ " % number
    )


async def test_without_condstore_only_unseen_tells_of_flags(post: Post) -> None:
    told, other = await two(post, b"box")
    await append(other, b"box")
    number = await validity(told, b"box")
    await ok(told, b"NOTIFY SET (mailboxes box %b)" % ALL)
    await ok(other, b"SELECT box")
    await ok(other, b"STORE 1 +FLAGS (\\Flagged)")
    await ok(other, b"STORE 1 +FLAGS (\\Seen)")
    assert await heard(told) == [b"* STATUS box (UIDVALIDITY %b UNSEEN 0)" % number]
    await ok(other, b"STORE 1 +FLAGS (\\Answered)")
    await silence(told)
    await ok(told, b"NOTIFY SET (mailboxes box %b)" % MESSAGES)
    await ok(other, b"STORE 1 -FLAGS (\\Seen)")
    await silence(told)


async def test_vanished_with_qresync(post: Post) -> None:
    await post.fill(NEWS, NEWS)
    told, other = await two(post)
    await ok(told, b"ENABLE QRESYNC")
    await ok(told, b"SELECT INBOX")
    await ok(told, b"NOTIFY SET (SELECTED %b)" % MESSAGES)
    await ok(other, b"SELECT INBOX")
    await ok(other, b"STORE 2 +FLAGS (\\Deleted)")
    await ok(other, b"EXPUNGE")
    assert await heard(told) == [b"* VANISHED 2"]


# --- names, subscriptions, annotations ---------------------------------------------------------------------


async def test_names_that_come_go_and_change(post: Post) -> None:
    told, other = await two(post)
    await ok(told, b"NOTIFY SET (personal (MailboxName))")
    await ok(other, b"CREATE NewMailbox")
    assert await heard(told) == [b'* LIST (\\HasNoChildren) "/" NewMailbox']
    await ok(other, b"CREATE NewMailbox/below")
    # §5.4: the direct parent is affected too
    assert await heard(told, 2) == [
        b'* LIST (\\HasChildren) "/" NewMailbox',
        b'* LIST (\\HasNoChildren) "/" NewMailbox/below',
    ]
    await ok(other, b"RENAME NewMailbox OldMailbox")
    assert await heard(told) == [b'* LIST (\\HasChildren) "/" OldMailbox ("OLDNAME" (NewMailbox))']
    await ok(other, b"DELETE OldMailbox")
    assert await heard(told) == [b'* LIST (\\NonExistent \\Noselect \\HasChildren) "/" OldMailbox']
    await ok(other, b"RENAME OldMailbox/below Sent/sub")
    assert await heard(told) == [b'* LIST (\\HasNoChildren) "/" Sent/sub ("OLDNAME" (OldMailbox/below))']
    await ok(other, b"DELETE Sent/sub")
    assert await heard(told, 2) == [
        b'* LIST (\\NonExistent \\Noselect \\HasNoChildren) "/" Sent/sub',
        b'* LIST (\\HasNoChildren \\Sent \\Subscribed) "/" Sent',
    ]
    await silence(told)


async def test_only_names_that_were_asked_for(post: Post) -> None:
    told, other = await two(post, b"a", b"b", b"b/c")
    await ok(told, b"NOTIFY SET (subtree b (MailboxName)) (mailboxes (x/y wanted) (MailboxName))")
    await ok(other, b"CREATE a/b")
    await ok(other, b"CREATE wanted")
    assert await heard(told) == [b'* LIST (\\HasNoChildren) "/" wanted']
    await ok(other, b"CREATE x/y/z")  # x/y is made with it, and is its parent
    assert await heard(told) == [b'* LIST (\\HasChildren) "/" x/y']
    await ok(other, b"RENAME a/b b/d")  # into the subtree
    assert await heard(told) == [b'* LIST (\\HasNoChildren) "/" b/d ("OLDNAME" (a/b))']
    await ok(other, b"RENAME b/c e")  # and out of it
    assert await heard(told) == [b'* LIST (\\HasNoChildren) "/" e ("OLDNAME" (b/c))']
    await ok(other, b"RENAME e f")
    await silence(told)


async def test_names_in_utf8_and_modified_utf7(post: Post) -> None:
    told, other = await two(post, b"&ZeVnLIqe-")
    new = await post.login()
    await ok(new, b"ENABLE IMAP4rev2")
    for client in (told, new):
        await ok(client, b"NOTIFY SET (personal (MailboxName MessageNew MessageExpunge))")
    await ok(other, b"RENAME &ZeVnLIqe- &U,BTFw-")
    assert await heard(told) == [b'* LIST (\\HasNoChildren) "/" &U,BTFw- ("OLDNAME" (&ZeVnLIqe-))']
    assert await heard(new) == ['* LIST (\\HasNoChildren) "/" "台北" ("OLDNAME" ("日本語"))'.encode()]
    await append(other, b"&U,BTFw-")
    assert (await heard(told))[0].startswith(b"* STATUS &U,BTFw- (")
    assert (await heard(new))[0].startswith('* STATUS "台北" ('.encode())


async def test_a_mailbox_made_anew_has_another_uidvalidity(post: Post) -> None:
    told, other = await two(post, b"box")
    await append(other, b"box")
    await ok(told, b"NOTIFY SET (mailboxes box %b)" % ALL)
    other.send(b"a DELETE box\r\nb CREATE box\r\n")
    (line,) = await heard(told)
    assert line.startswith(
        b"* STATUS box (MESSAGES 0 UIDNEXT 1 UIDVALIDITY %b" % await validity(told, b"box")
    )


async def test_renaming_inbox(post: Post) -> None:
    await post.fill(NEWS)
    told, other = await two(post)
    await ok(told, b"NOTIFY SET (personal (MailboxName))")
    await ok(other, b"RENAME INBOX old")
    assert await heard(told) == [b'* LIST (\\HasNoChildren) "/" old'], "§5.4: nothing is told of INBOX"
    await silence(told)


async def test_subscriptions(post: Post) -> None:
    told, other = await two(post, b"box", b"box/a")
    await ok(told, b"NOTIFY SET (subtree (box none) (SubscriptionChange))")
    await ok(other, b"SUBSCRIBE box")
    assert await heard(told) == [b'* LIST (\\HasChildren \\Subscribed) "/" box']
    await ok(other, b"UNSUBSCRIBE box")
    assert await heard(told) == [b'* LIST (\\HasChildren) "/" box']
    await ok(other, b"SUBSCRIBE none/such")
    assert await heard(told) == [
        b'* LIST (\\NonExistent \\Noselect \\HasNoChildren \\Subscribed) "/" none/such'
    ]
    await ok(other, b"UNSUBSCRIBE Sent")
    await silence(told)


async def test_the_list_of_subscribed_mailboxes_is_looked_at_again(post: Post) -> None:
    told, other = await two(post, b"box")
    await ok(told, b"NOTIFY SET (subscribed (MessageNew MessageExpunge SubscriptionChange))")
    await append(other, b"box")
    await silence(told)
    await ok(other, b"SUBSCRIBE box")
    lines = await heard(told, 2)
    assert lines[0] == b'* LIST (\\HasNoChildren \\Subscribed) "/" box'
    assert lines[1].startswith(b"* STATUS box (MESSAGES 1 UIDNEXT 2 "), "it is watched from now on"
    await append(other, b"box")
    assert (await heard(told))[0].startswith(b"* STATUS box (MESSAGES 2 UIDNEXT 3 ")
    await ok(other, b"UNSUBSCRIBE box")
    assert await heard(told) == [b'* LIST (\\HasNoChildren) "/" box']
    await append(other, b"box")
    await silence(told)


async def test_annotations_of_mailboxes_and_of_the_server(post: Post) -> None:
    told, other = await two(post, b"box")
    await ok(told, b"NOTIFY SET (mailboxes box (MailboxMetadataChange))")
    await ok(other, b'SETMETADATA INBOX (/shared/comment "x")')
    await ok(other, b'SETMETADATA "" (/private/comment "x")')
    await ok(other, b'SETMETADATA box (/shared/comment "x")')
    assert await heard(told) == [b"* METADATA box /shared/comment"]
    await ok(told, b"NOTIFY SET (personal (ServerMetadataChange))")
    await ok(other, b'SETMETADATA "" (/private/comment NIL)')
    assert await heard(told) == [b'* METADATA "" /private/comment']
    await ok(other, b'SETMETADATA box (/shared/comment "y")')
    await silence(told)
    await ok(told, b"ENABLE METADATA")
    await ok(told, b"NOTIFY SET (mailboxes INBOX %b)" % MESSAGES)
    await ok(other, b'SETMETADATA box (/shared/comment "z")')
    assert await heard(told) == [b"* METADATA box /shared/comment"], "ENABLE still holds"


# --- the selected mailbox ----------------------------------------------------------------------------------


async def test_none_means_none_until_it_is_asked_for_again(post: Post) -> None:
    await post.fill(NEWS, NEWS, NEWS)
    told, other = await two(post)
    await ok(told, b"SELECT INBOX")
    await ok(told, b"NOTIFY NONE")
    await ok(other, b"SELECT INBOX")
    await ok(other, b"STORE 1:2 +FLAGS (\\Deleted)")
    await ok(other, b"UID EXPUNGE 1")
    await append(other, b"INBOX")
    await silence(told)
    assert await ok(told, b"FETCH 2 (UID FLAGS)") == [b"* 2 FETCH (UID 2 FLAGS (\\Deleted))"], "numbers stay"
    assert await ok(told, b"UID SEARCH UID 4") == [b"* SEARCH 4"], "what is new can be asked for"
    assert await ok(told, b"FETCH 4 UID") == [b"* 4 FETCH (UID 4)"]
    # What one does oneself is answered.
    assert await ok(told, b"STORE 3 +FLAGS (\\Deleted)") == [b"* 3 FETCH (FLAGS (\\Deleted))"]
    assert await ok(told, b"UID EXPUNGE 3") == [b"* 3 EXPUNGE"]
    assert await ok(told, b"FETCH 3 UID") == [b"* 3 FETCH (UID 4)"]
    lines = await ok(told, b"NOTIFY SET (selected (MessageNew (uid) MessageExpunge FlagChange))")
    assert lines[:3] == [b"* 1 EXPUNGE", b"* 2 EXISTS", b"* 1 FETCH (UID 2 FLAGS (\\Deleted))"]
    assert lines[3:] == [b"* 2 FETCH (UID 4)"]
    await silence(told)


async def test_moving_under_none_tells_what_was_moved(post: Post) -> None:
    await post.fill(NEWS, NEWS)
    told, other = await two(post)
    await ok(told, b"SELECT INBOX")
    await ok(told, b"NOTIFY SET (selected NONE)")
    await ok(other, b"SELECT INBOX")
    await ok(other, b"UID STORE 1 +FLAGS (\\Deleted)")
    await ok(other, b"EXPUNGE")
    lines = await ok(told, b"MOVE 2 Archive")
    assert lines[0].startswith(b"* OK [COPYUID ")
    assert lines[1:] == [b"* 2 EXPUNGE"]


async def test_without_flagchange_no_flags(post: Post) -> None:
    await post.fill(NEWS)
    told, other = await two(post)
    await ok(told, b"SELECT INBOX")
    await ok(told, b"NOTIFY SET (selected %b)" % MESSAGES)
    await ok(other, b"SELECT INBOX")
    await ok(other, b"STORE 1 +FLAGS (\\Flagged new-word)")
    await silence(told)
    assert await ok(told, b"STORE 1 +FLAGS (\\Seen)") == [
        b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft new-word)",
        b"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft new-word \\*)] Flags permitted",
        b"* 1 FETCH (FLAGS (\\Seen \\Flagged new-word))",
    ]


async def test_selected_delayed_keeps_numbers_between_commands(post: Post) -> None:
    await post.fill(NEWS, NEWS, NEWS)
    told, other = await two(post)
    await ok(told, b"SELECT INBOX")
    await ok(told, b"NOTIFY SET (selected-delayed (MessageNew (uid) MessageExpunge FlagChange))")
    await ok(other, b"SELECT INBOX")
    await ok(other, b"STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert await heard(told) == [b"* 1 FETCH (UID 1 FLAGS (\\Deleted))"], (
        "unsolicited ones have the UID (§5.1)"
    )
    await ok(other, b"EXPUNGE")
    await append(other, b"INBOX")
    assert await heard(told, 2) == [b"* 4 EXISTS", b"* 4 FETCH (UID 4)"]
    assert await ok(told, b"FETCH 2 UID") == [b"* 2 FETCH (UID 2)"], "no EXPUNGE came between"
    assert await ok(told, b"NOOP") == [b"* 1 EXPUNGE"]
    await ok(other, b"STORE 1 +FLAGS.SILENT (\\Deleted)")
    await heard(told)
    await ok(other, b"EXPUNGE")
    told.send(b"i IDLE\r\n")
    assert await heard(told, 2) == [b"+ idling", b"* 1 EXPUNGE"], "IDLE allows them (§6.1.2)"
    told.send(b"DONE\r\n")
    await told.until(b"i OK")


async def test_what_is_selected_is_not_told_as_another_mailbox(post: Post) -> None:
    told, other = await two(post, b"box")
    await ok(told, b"NOTIFY SET (selected NONE) (personal %b)" % MESSAGES)
    await ok(told, b"SELECT box")
    await append(other, b"box")
    await silence(told)
    lines = await ok(told, b"SELECT INBOX")
    assert lines[-1].startswith(b"* STATUS box (MESSAGES 1 UIDNEXT 2 "), (
        "once it is left, it is one of the others"
    )
    await ok(told, b"NOTIFY SET (selected %b) (personal %b)" % (MESSAGES, MESSAGES))
    await append(other, b"INBOX")
    assert await heard(told) == [b"* 1 EXISTS"]
    await ok(told, b"UNSELECT")
    await silence(told)
    await append(other, b"INBOX")
    assert (await heard(told))[0].startswith(b"* STATUS INBOX (MESSAGES 2 UIDNEXT 3 ")


async def test_new_messages_are_fetched_as_asked(post: Post) -> None:
    told, other = await two(post)
    await ok(told, b"SELECT INBOX")
    await ok(told, b"NOTIFY SET (selected (MessageNew (uid flags body[text]) MessageExpunge FlagChange))")
    for _ in range(2):
        await append(other, b"INBOX")
    heard_of = [*(await told.until(b"* 2 FETCH (")), *(await heard(told, 2))]
    assert b"* 1 FETCH (FLAGS (\\Seen) UID 1 BODY[TEXT] {3}\r\n" in [
        line.replace(b"(UID 1 FLAGS (\\Seen) ", b"(FLAGS (\\Seen) UID 1 ") for line in heard_of
    ], heard_of
    await silence(told)
    (line,) = await ok(other, b"STATUS INBOX (UNSEEN)")
    assert line == b"* STATUS INBOX (UNSEEN 0)", "such items set it, as in FETCH"


async def test_one_that_cannot_be_fetched_harms_nobody(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    strange = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-odd\r\n\r\n?\r\n"
    told, _ = await two(post)
    await ok(told, b"SELECT INBOX")
    await ok(told, b"NOTIFY SET (selected (MessageNew (uid binary.peek[1]) MessageExpunge))")
    await post.fill(strange, NEWS)
    assert await heard(told) == [b"* 2 EXISTS"]
    assert await heard(told, 3) == [b"* 2 FETCH (UID 2 BINARY[1] {3}", b"!", b")"]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


# --- what the client does itself ---------------------------------------------------------------------------


async def test_what_one_does_oneself_is_not_told(post: Post) -> None:
    await post.fill(NEWS, NEWS)
    told, other = await two(post, b"box")
    await ok(told, b"SELECT INBOX")
    every = b"(MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange)"
    await ok(told, b"NOTIFY SET (selected (MessageNew (uid) MessageExpunge)) (personal %b)" % every)
    for command in (
        *(
            b"CREATE own/deep",
            b"RENAME own mine",
            b"SUBSCRIBE mine",
            b"UNSUBSCRIBE mine",
            b"DELETE mine/deep",
        ),
        *(b'SETMETADATA box (/private/a "x")', b"APPEND box (\\Seen) {%d+}\r\n%b" % (len(NEWS), NEWS)),
    ):
        assert await ok(told, command) == [], command
    assert await ok(told, b"APPEND INBOX {%d+}\r\n%b" % (len(NEWS), NEWS)) == [b"* 3 EXISTS"], (
        "§5.2: no FETCH"
    )
    assert await ok(told, b"COPY 1 INBOX") == [b"* 4 EXISTS"]
    await silence(told)
    await append(other, b"INBOX")
    assert await heard(told, 2) == [b"* 5 EXISTS", b"* 5 FETCH (UID 5)"]


async def test_others_changes_are_not_lost_among_ones_own(post: Post) -> None:
    told, other = await two(post, b"box")
    await ok(told, b"NOTIFY SET (mailboxes box %b)" % MESSAGES)
    for number in range(1, 30, 2):
        # the other's message comes while the command is under way, before or after one's own
        other.send(b"t APPEND box {%d+}\r\n%b\r\n" % (len(NEWS), NEWS))
        told.send(b"t APPEND box {%d+}\r\n%b\r\n" % (len(NEWS), NEWS))
        lines = await told.until(b"t OK")
        await other.until(b"t OK")
        expected = b"* STATUS box (MESSAGES %d UIDNEXT %d " % (number + 1, number + 2)
        while not any(line.startswith(expected) for line in lines):
            lines.append(await told.line())
    await silence(told)


# --- filters, STATUS, refusals -----------------------------------------------------------------------------


async def test_groups_are_added_up_and_none_takes_away(post: Post) -> None:
    told, other = await two(post, b"a", b"a/b", b"c")
    await ok(
        told,
        b"NOTIFY SET (mailboxes c %b) (personal (MailboxName MessageNew MessageExpunge)) (subtree a NONE)"
        % ALL,
    )
    await append(other, b"a/b")
    await append(other, b"c", b"(\\Seen) ")
    assert (await heard(told))[0].startswith(b"* STATUS c (MESSAGES 1 ")
    await ok(other, b"CREATE a/x")
    await ok(other, b"DELETE c")
    assert await heard(told) == [b'* LIST (\\NonExistent \\Noselect \\HasNoChildren) "/" c']
    await silence(told)


async def test_status_is_told_of_what_is_watched_and_not_selected(post: Post) -> None:
    told, other = await two(post, b"a", b"b", b"c")
    await append(other, b"b")
    await ok(told, b"SELECT INBOX")
    said = await ok(
        told,
        b"NOTIFY SET STATUS (mailboxes (INBOX a none a) %b) (mailboxes b %b) (mailboxes c (MailboxName))"
        % (MESSAGES, ALL),
    )
    assert [line.partition(b" UIDVALIDITY")[0] for line in sorted(said)] == [
        b"* STATUS a (MESSAGES 0 UIDNEXT 1",
        b"* STATUS b (MESSAGES 1 UIDNEXT 2",
    ]
    assert b" UNSEEN 1 HIGHESTMODSEQ " in sorted(said)[1]


async def test_refusals_over_the_wire(post: Post) -> None:
    told, other = await two(post, b"box")
    stranger = await post.connect()
    assert (await stranger.command(b"NOTIFY NONE"))[0].startswith(b"t BAD ")
    await ok(told, b"NOTIFY SET (mailboxes box %b)" % MESSAGES)
    assert (await told.command(b"NOTIFY SET (personal (MessageNew))"))[0].startswith(b"t BAD ")
    refused = await told.command(b"NOTIFY SET (personal (Weather))")
    assert refused[0].startswith(b"t NO [BADEVENT (MessageNew MessageExpunge ")
    await append(other, b"box")
    assert (await heard(told))[0].startswith(b"* STATUS box "), "what was wished before still holds"
    assert b" NOTIFY " in (await told.command(b"CAPABILITY"))[0] + b" "


async def test_one_wish_takes_the_place_of_another_without_a_gap(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "NOTIFY_PAUSE", 60)
    told, other = await two(post, b"a", b"b")
    await ok(told, b"NOTIFY SET (mailboxes (a b) %b)" % MESSAGES)
    await append(other, b"a")
    await heard(told)
    await append(other, b"b")  # waits for the pause to end
    said = await ok(told, b"NOTIFY SET (mailboxes a %b)" % MESSAGES)
    assert [line.partition(b" (")[0] for line in said] == [b"* STATUS b"]


# --- limits ------------------------------------------------------------------------------------------------


async def test_too_many_mailboxes(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    told, other = await two(post)
    count = len(await post.store.mailboxes(post.account.account_id))
    monkeypatch.setattr(limits, "NOTIFY_MAILBOXES", count - 1)
    answer = await told.command(b"NOTIFY SET (personal (MailboxName))")
    assert answer[0].startswith(b"t NO [NOTIFICATIONOVERFLOW] ")
    monkeypatch.setattr(limits, "NOTIFY_MAILBOXES", count)
    await ok(told, b"SELECT INBOX")
    await ok(told, b"NOTIFY SET (selected %b) (personal (MailboxName))" % MESSAGES)
    await ok(other, b"CREATE another")
    assert (await heard(told))[0].startswith(b"* OK [NOTIFICATIONOVERFLOW] ")
    await ok(other, b"DELETE another")
    await append(other, b"INBOX")
    await silence(told)  # §5.8: as after NOTIFY NONE


async def test_too_much_to_tell_at_once(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "NOTIFY_WAITING", 3)
    told, _ = await two(post)
    account_id = post.account.account_id
    await ok(told, b"NOTIFY SET (personal (MailboxName))")
    await post.store.commit(*(CreateMailbox(account_id=account_id, name=f"x{n}") for n in range(3)))
    assert [line.rpartition(b" ")[2] for line in await heard(told, 3)] == [b"x0", b"x1", b"x2"]
    await post.store.commit(*(CreateMailbox(account_id=account_id, name=f"y{n}") for n in range(4)))
    assert (await heard(told))[0].startswith(b"* OK [NOTIFICATIONOVERFLOW] ")
    await silence(told)
    await ok(told, b"NOTIFY SET (personal (MailboxName))")
    await post.store.apply(CreateMailbox(account_id=account_id, name="z"))
    assert await heard(told) == [b'* LIST (\\HasNoChildren) "/" z'], "it may be asked for again"


async def test_a_pause_follows_each_push(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "NOTIFY_PAUSE", 0.3)
    told, other = await two(post, b"box")
    await ok(told, b"NOTIFY SET (mailboxes box %b)" % MESSAGES)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await append(other, b"box")
    assert b"MESSAGES 1 " in (await heard(told))[0]
    assert loop.time() - began < 0.25, "the first change is told at once"
    for _ in range(3):
        await append(other, b"box")
    assert b"MESSAGES 4 " in (await heard(told))[0], "a storm is one line"
    assert loop.time() - began > 0.29
    await append(other, b"box")
    (line,) = await ok(told, b"NOOP")
    assert b"MESSAGES 5 " in line, "a command does not wait for it"


async def test_a_compressed_client_is_told_at_once_too(post: Post) -> None:
    plain, other = await two(post, b"box")
    assert (await plain.command(b"COMPRESS DEFLATE"))[-1].startswith(b"t OK ")
    told = Deflated(plain)
    await ok(told, b"SELECT INBOX")
    await ok(told, b"NOTIFY SET (selected (MessageNew (uid) MessageExpunge)) (personal %b)" % MESSAGES)
    await append(other, b"box")
    assert (await heard(told))[0].startswith(b"* STATUS box (MESSAGES 1 ")
    await append(other, b"INBOX")
    assert await heard(told, 2) == [b"* 1 EXISTS", b"* 1 FETCH (UID 1)"]


async def test_replacing_a_message_oneself(post: Post) -> None:
    await post.fill(NEWS, NEWS)
    told, _ = await two(post)
    replace = b"REPLACE 1 INBOX {%d+}\r\n%b" % (len(NEWS), NEWS)
    await ok(told, b"SELECT INBOX")
    await ok(told, b"NOTIFY SET (selected (MessageNew (uid) MessageExpunge))")
    lines = [line for line in await ok(told, replace) if b"OK [" not in line]
    assert lines == [b"* 1 EXPUNGE", b"* 2 EXISTS"], "§5.2: no FETCH of one's own"
    await ok(told, b"NOTIFY NONE")
    lines = [line for line in await ok(told, replace) if b"OK [" not in line]
    assert lines == [b"* 1 EXPUNGE"], "what one removes oneself is answered"
