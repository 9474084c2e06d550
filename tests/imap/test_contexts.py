"""Results that are kept up to date (RFC 5267 §4), over sockets and the real store."""

from __future__ import annotations

import pytest

from posthouse import limits
from tests.imap.conftest import Client, Post
from tests.imap.shared import THERE, Neighbours, shared_club


def raw(subject: str, text: str = "x") -> bytes:
    return f"From: a@a.test\r\nSubject: {subject}\r\n\r\n{text}\r\n".encode()


async def said(client: Client, text: bytes, tag: bytes = b"t") -> list[bytes]:
    """A command's answer, in lines without their ends, the tagged one without its words."""
    client.send(tag + b" " + text + b"\r\n")
    lines = [line.removesuffix(b"\r\n") for line in await client.until(tag + b" ")]
    return [*lines[:-1], b" ".join(lines[-1].split(b" ")[:2])]


@pytest.fixture
async def pair(post: Post) -> tuple[Client, Client]:
    """Two sessions on five messages."""
    await post.fill(*(raw(subject) for subject in ("cherries", "apples", "elder", "bananas", "dates")))
    first, second = await post.login(), await post.login()
    for client in (first, second):
        await client.command(b"SELECT INBOX")
    return first, second


# --- the examples of the RFC, in its order -----------------------------------------------------------------


async def test_the_hint_changes_nothing(pair: tuple[Client, Client]) -> None:
    first, second = pair
    answer = await said(first, b"SEARCH RETURN (CONTEXT COUNT) UNDELETED UNKEYWORD $Junk", b"A01")
    assert answer == [b'* ESEARCH (TAG "A01") COUNT 5', b"A01 OK"]
    await said(second, b"STORE 1 +FLAGS (\\Deleted)")
    assert await said(first, b"NOOP") == [b"* 1 FETCH (FLAGS (\\Deleted))", b"t OK"], "nothing is kept"


async def test_what_is_flagged_joins_and_the_tag_is_taken(pair: tuple[Client, Client]) -> None:
    first, second = pair
    await said(second, b"STORE 1 +FLAGS ($Junk)")
    answer = await said(first, b"UID SEARCH RETURN (UPDATE COUNT) DELETED KEYWORD $Junk", b"B01")
    assert answer[0] == b'* ESEARCH (TAG "B01") UID COUNT 0'
    assert (await said(first, b"SEARCH RETURN (UPDATE) FLAGGED", b"B01"))[-1] == b"B01 BAD"
    await said(second, b"STORE 1:2 +FLAGS ($Junk \\Deleted)")
    told = await said(first, b"NOOP")
    assert [line.split()[:3] for line in told[:2]] == [[b"*", b"1", b"FETCH"], [b"*", b"2", b"FETCH"]]
    assert told[2:] == [b'* ESEARCH (TAG "B01") UID ADDTO (0 1:2)', b"t OK"], (
        "FETCH comes first (RFC 5465 §5.1)"
    )
    await said(second, b"STORE 2 -FLAGS (\\Deleted)")
    assert (await said(first, b"NOOP"))[1] == b'* ESEARCH (TAG "B01") UID REMOVEFROM (0 2)'


async def test_too_many_are_refused_and_all_else_is_answered(
    pair: tuple[Client, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "IMAP_CONTEXTS", 1)
    first, second = pair
    await said(first, b"SEARCH RETURN (UPDATE COUNT) FLAGGED", b"B01")
    answer = await said(first, b"UID SORT RETURN (UPDATE COUNT) (SUBJECT) UTF-8 FLAGGED", b"B02")
    assert b'* ESEARCH (TAG "B02") UID COUNT 0' in answer
    assert answer[-1] == b"B02 OK"
    assert any(line.startswith(b'* NO [NOUPDATE "B02"] ') for line in answer)
    await said(second, b"STORE 3 +FLAGS (\\Flagged)")
    told = await said(first, b'CANCELUPDATE "B01"')
    assert told[-1] == b"t OK"
    assert b"ESEARCH" not in b"".join(told), "nothing is told of a result that was just given up"
    assert (await said(first, b"SEARCH RETURN (UPDATE COUNT) FLAGGED", b"B03"))[0].endswith(b"COUNT 1")
    assert (await said(first, b"SEARCH RETURN (UPDATE ALL) FLAGGED", b"B01"))[0].startswith(b"* NO [NOUPDATE")


async def test_expunged_messages_leave_before_their_expunge(pair: tuple[Client, Client]) -> None:
    first, second = pair
    await said(first, b"SEARCH RETURN (UPDATE COUNT) ALL", b"B01")
    await said(first, b"UID SEARCH RETURN (UPDATE COUNT) ALL", b"B02")
    await said(second, b"STORE 2,4 +FLAGS.SILENT (\\Deleted)")
    await said(first, b"NOOP")
    await said(second, b"EXPUNGE")
    assert await said(first, b"SEARCH RETURN (COUNT) SEEN") == [
        b'* ESEARCH (TAG "t") COUNT 0',
        b'* ESEARCH (TAG "B01") REMOVEFROM (0 2,4)',
        b'* ESEARCH (TAG "B02") UID REMOVEFROM (0 2,4)',
        b"t OK",
    ], "EXPUNGE may not be told with SEARCH; the numbers hold until it is"
    assert await said(first, b"NOOP") == [b"* 4 EXPUNGE", b"* 2 EXPUNGE", b"t OK"]
    await said(second, b"UID STORE 5 +FLAGS.SILENT (\\Deleted)")
    await said(second, b"EXPUNGE")
    assert await said(first, b"NOOP") == [
        b'* ESEARCH (TAG "B01") REMOVEFROM (0 3)',
        b'* ESEARCH (TAG "B02") UID REMOVEFROM (0 5)',
        b"* 3 EXPUNGE",
        b"t OK",
    ]


async def test_with_qresync_they_leave_before_vanished(pair: tuple[Client, Client]) -> None:
    first, second = pair
    await said(first, b"ENABLE QRESYNC")
    await said(first, b"SEARCH RETURN (UPDATE COUNT) ALL", b"B01")
    await said(second, b"STORE 2 +FLAGS.SILENT (\\Deleted)")
    await said(second, b"EXPUNGE")
    told = await said(first, b"NOOP")
    assert [line for line in told if b"FETCH" not in line] == [
        b'* ESEARCH (TAG "B01") REMOVEFROM (0 2)',
        b"* VANISHED 2",
        b"t OK",
    ]


async def test_new_mail_joins_behind_exists(post: Post, pair: tuple[Client, Client]) -> None:
    first, _ = pair
    await said(first, b"SEARCH RETURN (UPDATE ALL) SUBJECT fig", b"B01")
    await post.fill(raw("figs"), raw("grapes"), raw("more figs"))
    assert await said(first, b"NOOP") == [
        b"* 8 EXISTS",
        b'* ESEARCH (TAG "B01") ADDTO (0 6,8)',
        b"t OK",
    ]


async def test_positions_in_a_sorted_result(post: Post, pair: tuple[Client, Client]) -> None:
    first, second = pair
    answer = await said(first, b"UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 UNSEEN", b"C01")
    assert answer[0] == b'* ESEARCH (TAG "C01") UID ALL 2,4,1,5,3'
    await post.fill(raw("blueberries"), raw("aronia"), raw("figs"))
    # apples, aronia, bananas, blueberries, cherries, dates, elder, figs
    assert (await said(first, b"NOOP"))[1] == b'* ESEARCH (TAG "C01") UID ADDTO (2 7 4 6 8 8)'
    await said(second, b"NOOP")
    await said(second, b"UID STORE 7,6,1,8 +FLAGS.SILENT (\\Seen)")
    assert (await said(first, b"NOOP"))[4] == b'* ESEARCH (TAG "C01") UID REMOVEFROM (8 8 4 6,1 2 7)'
    await said(second, b"UID STORE 1 -FLAGS.SILENT (\\Seen)")
    assert (await said(first, b"NOOP"))[1] == b'* ESEARCH (TAG "C01") UID ADDTO (3 1)'
    found = await said(first, b"UID SORT RETURN (ALL) (SUBJECT) UTF-8 UNSEEN")
    assert found[0] == b'* ESEARCH (TAG "t") UID ALL 2,4,1,5,3'


async def test_a_large_sorted_result_is_not_kept(
    pair: tuple[Client, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "IMAP_CONTEXT_SORTED", 4)
    first, _ = pair
    answer = await said(first, b"SORT RETURN (UPDATE COUNT) (SUBJECT) UTF-8 ALL", b"C01")
    assert answer[0].startswith(b'* NO [NOUPDATE "C01"] ')
    assert len(await said(first, b"SORT RETURN (UPDATE COUNT) (SUBJECT) UTF-8 NOT 1", b"C02")) == 2
    assert len(await said(first, b"SEARCH RETURN (UPDATE COUNT) ALL", b"C03")) == 2


async def test_a_fuzzy_result_is_not_kept(pair: tuple[Client, Client]) -> None:
    first, _ = pair
    answer = await said(first, b"SEARCH RETURN (UPDATE COUNT) FUZZY SUBJECT apples", b"C01")
    assert answer[0].startswith(b'* NO [NOUPDATE "C01"] ')


async def test_what_idle_is_told(post: Post, pair: tuple[Client, Client]) -> None:
    first, second = pair
    await said(first, b"SEARCH RETURN (UPDATE COUNT) UNSEEN", b"B01")
    first.send(b"i IDLE\r\n")
    await first.until(b"+ ")
    await said(second, b"STORE 2 +FLAGS (\\Seen)")
    assert (await first.until(b"* ESEARCH"))[-1] == b'* ESEARCH (TAG "B01") REMOVEFROM (0 2)\r\n'
    await post.fill(raw("figs"))
    assert await first.until(b"* ESEARCH") == [
        b"* 6 EXISTS\r\n",
        b'* ESEARCH (TAG "B01") ADDTO (0 6)\r\n',
    ]


async def test_numbers_and_the_variable_mean_what_they_meant(post: Post, pair: tuple[Client, Client]) -> None:
    first, second = pair
    await said(first, b"SEARCH RETURN (SAVE) SUBJECT apples")
    answer = await said(first, b"SEARCH RETURN (UPDATE SAVE COUNT) OR $ 4:5 UNSEEN", b"B01")
    assert answer[0] == b'* ESEARCH (TAG "B01") COUNT 3'
    await said(second, b"STORE 1 +FLAGS.SILENT (\\Deleted)")
    await said(second, b"EXPUNGE")
    assert [line for line in await said(first, b"NOOP") if b"ESEARCH" in line] == [], "§4.3: no notifications"
    await said(second, b"STORE 3 +FLAGS.SILENT (\\Seen)")  # it was 4
    assert (await said(first, b"NOOP"))[1] == b'* ESEARCH (TAG "B01") REMOVEFROM (0 3)'
    await post.fill(raw("figs"))
    assert len(await said(first, b"NOOP")) == 2


async def test_a_star_among_uids_follows_the_last_message(post: Post, pair: tuple[Client, Client]) -> None:
    first, _ = pair
    await said(first, b"UID SEARCH RETURN (UPDATE ALL) UID *", b"B01")
    await said(first, b"UID SEARCH RETURN (UPDATE ALL) UID 5:*", b"B02")
    await post.fill(raw("figs"))
    assert (await said(first, b"NOOP"))[1:3] == [
        b'* ESEARCH (TAG "B01") UID REMOVEFROM (0 5) ADDTO (0 6)',
        b'* ESEARCH (TAG "B02") UID ADDTO (0 6)',
    ]


async def test_updates_end_with_the_mailbox(pair: tuple[Client, Client]) -> None:
    first, second = pair
    await said(first, b"SEARCH RETURN (UPDATE COUNT) FLAGGED", b"B01")
    await said(first, b"SELECT INBOX")
    await said(second, b"STORE 1 +FLAGS (\\Flagged)")
    assert len(await said(first, b"NOOP")) == 2
    assert (await said(first, b"SEARCH RETURN (UPDATE COUNT) FLAGGED", b"B01"))[-1] == b"B01 OK", (
        "the tag is free"
    )
    assert (await said(first, b'CANCELUPDATE "B01" "B07"'))[-1] == b"t NO"
    await said(second, b"STORE 1 -FLAGS (\\Flagged)")
    assert len(await said(first, b"NOOP")) == 2, "the one that was there is given up all the same"
    assert (await said(first, b"CANCELUPDATE B01"))[-1] == b"t BAD"


async def test_fetch_of_new_messages_stands_before_what_they_join(
    post: Post, pair: tuple[Client, Client]
) -> None:
    first, second = pair
    asked = b"SEARCH RETURN (COUNT UPDATE (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])) UNSEEN"
    assert (await said(first, asked, b"a00"))[-1] == b"a00 OK"
    await post.fill(raw("figs"))
    assert await said(first, b"NOOP") == [
        b"* 6 EXISTS",
        b"* 6 FETCH (UID 6 BODY[HEADER.FIELDS (SUBJECT)] {17}",
        b"Subject: figs",
        b"",
        b")",
        b'* ESEARCH (TAG "a00") ADDTO (0 6)',
        b"t OK",
    ]
    await said(second, b"STORE 1 +FLAGS.SILENT (\\Seen)")
    await said(first, b"NOOP")
    await said(second, b"STORE 1 -FLAGS.SILENT (\\Seen)")
    assert len(await said(first, b"NOOP")) == 3, "RFC 5465 §7: not of one that joins by its flags"


async def test_esearch_keeps_the_result_of_the_selected_mailbox_only(
    post: Post, pair: tuple[Client, Client]
) -> None:
    first, _ = pair
    assert (await said(first, b"ESEARCH IN (personal) RETURN (UPDATE ALL) UNSEEN", b"M1"))[-1] == b"M1 BAD"
    assert (await said(first, b"ESEARCH IN (personal) RETURN (CONTEXT COUNT) UNSEEN", b"M2"))[-1] == b"M2 OK"
    await said(first, b"ESEARCH IN (selected) RETURN (UPDATE COUNT) UNSEEN", b"M3")
    await post.fill(raw("figs"))
    told = (await said(first, b"NOOP"))[1]
    assert told.startswith(b'* ESEARCH (TAG "M3" MAILBOX INBOX UIDVALIDITY ')
    assert told.endswith(b") UID ADDTO (0 6)")
    await said(first, b"UNSELECT")
    assert (await said(first, b"ESEARCH RETURN (UPDATE ALL) UNSEEN", b"M4"))[-1] == b"M4 BAD"


async def test_with_notify_nothing_waits_for_a_command(post: Post, pair: tuple[Client, Client]) -> None:
    first, _ = pair
    await said(first, b"SEARCH RETURN (UPDATE COUNT) UNSEEN", b"B01")
    await said(first, b"NOTIFY SET (SELECTED (MessageNew MessageExpunge FlagChange))")
    await post.fill(raw("figs"))
    assert (await first.until(b"* ESEARCH"))[-1] == b'* ESEARCH (TAG "B01") ADDTO (0 6)\r\n'
    await said(first, b"NOTIFY NONE")
    await post.fill(raw("grapes"))
    assert await said(first, b"NOOP") == [b"t OK"], "of messages that are not told of no result can speak"
    told = await said(first, b"NOTIFY SET (SELECTED (MessageNew MessageExpunge))")
    told += await said(first, b"NOOP")
    assert [line for line in told if line.startswith(b"* ")] == [
        b"* 7 EXISTS",
        b'* ESEARCH (TAG "B01") ADDTO (0 7)',
    ]


async def test_of_a_mailbox_that_is_shared_no_more_all_leave(people: Neighbours) -> None:
    alice, bob = await shared_club(people)
    await bob.ok(f'SELECT "{THERE}/Club"')
    await bob.ok("SEARCH RETURN (UPDATE COUNT) ALL")
    await alice.ok("DELETEACL Club bob@example.test")
    told = await bob.ok("NOOP")
    assert next(line for line in told if "FETCH" not in line) == '* ESEARCH (TAG "t") REMOVEFROM (0 1:3)'
    assert told[-3:] == ["* 3 EXPUNGE", "* 2 EXPUNGE", "* 1 EXPUNGE"]


async def test_it_is_offered(post: Post) -> None:
    alice = await post.login()
    offered = (await alice.command(b"CAPABILITY"))[0].split()
    assert {b"CONTEXT=SEARCH", b"CONTEXT=SORT"} <= set(offered)
