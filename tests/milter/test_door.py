"""Filters at the doors: what they are shown, what they may change, and what their word does to the reply."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from posthouse.config import Inbound, Junk, Milter
from posthouse.store.interface import PutAlias
from posthouse.store.model import Alias
from tests.milter.conftest import ALICE, BOB, EVE, RAW, house_with
from tests.milter.scripted import GO_ON, Scripted, header, say

pytestmark = pytest.mark.slow


async def test_a_filter_is_shown_all_of_it(tmp_path: Path) -> None:
    script = Scripted()
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        ((code, _),) = await house.comes(RAW, ALICE, BOB)
        assert code == 250
        assert (await house.arrived()).endswith(RAW)
    assert script.letters == "OCHMRRT" + "L" * 6 + "NBEQ"
    assert script.told("C") == [b"localhost\0" + b"4" + bytes(2) + b"127.0.0.1\0"]
    assert script.told("H") == [b"mail.elsewhere.test\0"]
    assert script.told("M") == [b"<eve@elsewhere.test>\0SIZE=%d\0" % len(RAW)]
    assert script.told("R") == [b"<alice@example.test>\0", b"<bob@example.test>\0"]
    assert script.fields["Subject"] == "hello"
    assert script.fields["X-Folded"] == "one\n\ttwo"
    assert script.body == b"The text.\r\n"
    assert script.macros("C")["j"] == "mx.example.test"
    assert script.macros("C")["{client_addr}"] == "127.0.0.1"
    assert len(script.macros("E")["i"]) > 10
    assert script.macros("R")["{rcpt_addr}"] == BOB


async def test_over_a_unix_socket_and_in_order(tmp_path: Path) -> None:
    first = Scripted({"E": header("i", "X-First", "1", 1) + header("m", "Subject", "changed", 1) + GO_ON})
    second = Scripted({"E": header("h", "X-Second", "2") + GO_ON})
    async with first.serving(tmp_path / "one") as one, second.serving() as two:
        async with house_with(tmp_path, Milter(socket=one), Milter(socket=two)) as house:
            assert (await house.comes())[0][0] == 250
            text = (await house.arrived()).decode()
    assert second.fields["Subject"] == "changed" and second.fields["X-First"] == "1"
    assert "X-First: 1\r\nFrom: Eve" in text
    assert text.endswith("X-Folded: one\r\n\ttwo\r\nX-Second: 2\r\n\r\nThe text.\r\n")


REFUSALS = (
    (say("r"), "550 5.7.1 A mail filter here refuses"),
    (say("t"), "451 4.7.1 A mail filter here asks"),
    (say("y", b"554 5.7.9 100%% of this is odd\0"), "554 5.7.9 100% of this is odd"),
    (say("y", b"421 4.3.0 gone\0"), "451 4.3.0 gone"),
    (say("y", b"550-5.7.1 one\r\n550 5.7.1 two\0"), "550 5.7.1 one\n5.7.1 two"),
    (say("f"), "451 4.7.1 "),
    (say("4"), "451 4.7.1 "),
)


async def test_who_refuses_at_any_stage_is_heard_at_the_dot(tmp_path: Path) -> None:
    script = Scripted()
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place, name="picky")) as house:
        for stage in "CHMRTLNBE":
            for answer, reply in REFUSALS:
                script.heard.clear()
                script.answers = {stage: answer}
                ((code, text),) = await house.comes()
                assert f"{code} {text}".startswith(reply), stage
                assert script.letters.endswith("EQ" if stage == "E" else "AQ"), stage
        assert await house.messages() == []
        told = [detail for kind, detail in await house.story() if kind == "refused"]
        assert told and all(detail.endswith("(milter picky)") for detail in told)


async def test_accept_ends_the_questions_and_nothing_else(tmp_path: Path) -> None:
    content, strict = Scripted({"M": say("a")}), Scripted({"E": say("r")})
    async with content.serving() as one, strict.serving() as two:
        async with house_with(tmp_path, Milter(socket=one), Milter(socket=two)) as house:
            assert (await house.comes())[0][0] == 550
    assert content.letters == "OCHMAQ"


async def test_discarded_mail_is_taken_and_nobody_gets_it(tmp_path: Path) -> None:
    script = Scripted({"L": say("d")})
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place, name="bin")) as house:
        assert (await house.comes())[0][0] == 250
        assert await house.messages() == []
        assert ("discarded", "by milter bin") in await house.story()


async def test_steps_that_it_does_not_want_are_left_out(tmp_path: Path) -> None:
    # no HELO, no body, header fields unanswered
    script = Scripted(steps=0x2 | 0x10 | 0x80, silent="L")
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        assert (await house.comes())[0][0] == 250
    assert script.letters == "OCMRT" + "L" * 6 + "NEQ"


async def test_macros_that_it_chooses(tmp_path: Path) -> None:
    script = Scripted(macros=struct.pack(">I", 0) + b"j {client_addr}\0" + struct.pack(">I", 5) + b"\0")
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        assert (await house.comes())[0][0] == 250
    assert set(script.macros("C")) - {""} == {"j", "{client_addr}"}
    assert script.macros("E") == {}
    assert "i" in script.macros("M"), "of other stages it gets all"


async def test_who_has_heard_enough_of_a_body_gets_no_more(tmp_path: Path) -> None:
    raw = RAW + b"a line of text\r\n" * 20_000
    script = Scripted({"B": [GO_ON, say("s")]})
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        assert (await house.comes(raw))[0][0] == 250
        assert (await house.arrived()).endswith(raw)
    assert len(script.told("B")) == 2 and max(map(len, script.told("B"))) == 65_535


async def test_every_header_change(tmp_path: Path) -> None:
    raw = b"A: 1\r\nB: 2\r\nA: 3\r\nFrom: eve@elsewhere.test\r\n\r\ntext\r\n"
    changes = (
        header("m", "a", "second", 2)
        + header("m", "B", "", 1)
        + header("m", "C", "new", 1)
        + header("m", "D", "", 1)
        + header("i", "First", "x", 0)
        + header("i", "Third", "y", 3)
        + header("i", "Last", "z", 99)
        + header("h", "Folded", "one\n two\nX-Sneaked: in\n\n\nbody?")
    )
    script = Scripted({"E": changes + GO_ON})
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        assert (await house.comes(raw))[0][0] == 250
        text = (await house.arrived()).decode()
    assert text.endswith(
        "First: x\r\nA: 1\r\nThird: y\r\na: second\r\nFrom: eve@elsewhere.test\r\nC: new\r\nLast: z\r\n"
        "Folded: one\r\n two\r\n\tX-Sneaked: in\r\n\tbody?\r\n\r\ntext\r\n"
    )


async def test_leading_space_as_it_was_agreed(tmp_path: Path) -> None:
    raw = b"From: eve@elsewhere.test\r\nSubject:tight\r\nX:  two\r\n\r\ntext\r\n"
    script = Scripted({"E": header("h", "Y", " y") + GO_ON}, steps=0x100000)
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        assert (await house.comes(raw))[0][0] == 250
        assert b"\r\nX:  two\r\nY: y\r\n\r\n" in await house.arrived()
    assert (script.fields["Subject"], script.fields["X"]) == ("tight", "  two")


async def test_a_new_body_in_pieces_with_line_ends_of_ours(tmp_path: Path) -> None:
    script = Scripted({"E": say("b", b"one\nt") + say("b", b"wo\r") + say("b", b"\nthree\r\n") + say("a")})
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        assert (await house.comes())[0][0] == 250
        assert (await house.arrived()).endswith(b"\ttwo\r\n\r\none\r\ntwo\r\nthree\r\n")


async def test_a_staged_message_is_shown_and_changed(tmp_path: Path) -> None:
    raw = RAW + b"a line of text\r\n" * 400_000
    script = Scripted({"E": header("i", "X-Seen", "yes", 1) + GO_ON})
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        assert (await house.comes(raw))[0][0] == 250
        assert (await house.arrived()).endswith(b"X-Seen: yes\r\n" + raw)
    assert script.body == raw.partition(b"\r\n\r\n")[2]


async def test_recipients_and_sender_are_changed(tmp_path: Path) -> None:
    changes = (
        say("+", b"<bob@example.test>\0")
        + say("2", b"<admin@example.test>\0NOTIFY=NEVER\0")
        + say("-", b"<ALICE@example.test>\0")
        + say("e", b"<other@elsewhere.test>\0")
    )
    script = Scripted({"E": changes + GO_ON})
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        assert (await house.comes())[0][0] == 250
        assert await house.messages() == []
        assert b"Return-Path: <other@elsewhere.test>\r\nDelivered-To: bob@" in await house.arrived(of=BOB)
        assert await house.messages(of="admin@example.test")


async def test_who_takes_all_recipients_away_throws_it_away(tmp_path: Path) -> None:
    script = Scripted({"E": say("-", b"<alice@example.test>\0") + GO_ON})
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        assert (await house.comes())[0][0] == 250
        assert await house.messages() == []
        assert "discarded" in dict(await house.story())


async def test_quarantine_is_junk(tmp_path: Path) -> None:
    script = Scripted({"E": say("q", b"odd\0") + GO_ON})
    async with script.serving() as place:
        milter = Milter(socket=place, name="guard")
        async with house_with(tmp_path, milter, junk=Junk()) as house:
            assert (await house.comes())[0][0] == 250
            assert await house.messages() == []
            raw = await house.arrived("Junk")
            assert b"X-Posthouse-Verdict: junk" in raw
            told = [detail for kind, detail in await house.story() if kind == "milter"]
            assert told == ["guard: quarantines it: odd"]


async def test_quarantined_mail_of_ours_waits_in_the_queue(tmp_path: Path) -> None:
    script = Scripted({"E": say("q", b"odd\0") + GO_ON})
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        raw = RAW.replace(b"eve@elsewhere.test", b"alice@example.test")
        ((code, _),) = await house.comes(raw, "friend@far.test", sender=ALICE, door="submission")
        assert code == 250
        (entry,) = await house.store.queue()
        assert entry.recipients[0].state.value == "held"


async def test_submission_shows_what_we_add(tmp_path: Path) -> None:
    script = Scripted({"E": header("i", "X-Signed", "1", 1) + GO_ON})
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        raw = b"From: alice@example.test\r\nBcc: bob@example.test\r\n\r\nhi\r\n"
        ((code, _),) = await house.comes(raw, BOB, sender=ALICE, door="submission")
        assert code == 250
        text = (await house.arrived(of=BOB)).decode()
    assert "Bcc" not in script.fields
    assert script.fields["Message-ID"].endswith("@mx.example.test>")
    assert text.count("Message-ID:") == text.count("Date:") == 1
    assert script.macros("M")["{auth_authen}"] == ALICE


async def test_without_a_change_what_we_add_is_there_once(tmp_path: Path) -> None:
    script = Scripted()
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        raw = b"From: alice@example.test\r\n\r\nhi\r\n"
        await house.comes(raw, BOB, sender=ALICE, door="submission")
        text = (await house.arrived(of=BOB)).decode()
    assert text.count("Message-ID:") == text.count("Date:") == 1


async def test_doors_that_it_does_not_stand_at(tmp_path: Path) -> None:
    script = Scripted({"E": say("r")})
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place, roles=("mx",))) as house:
        raw = RAW.replace(b"eve@elsewhere.test", b"alice@example.test")
        assert (await house.comes(raw, BOB, sender=ALICE, door="submission"))[0][0] == 250
        assert (await house.comes(RAW, ALICE, door="lmtp"))[0][0] == 250
        assert (await house.comes())[0][0] == 550
    assert script.connections == 1


async def test_one_recipient_refused_over_lmtp(tmp_path: Path) -> None:
    script = Scripted({"R": [GO_ON, say("y", b"550 5.1.1 not for bob\0")]})
    async with (
        script.serving() as place,
        house_with(tmp_path, Milter(socket=place, roles=("lmtp",))) as house,
    ):
        replies = await house.comes(RAW, ALICE, BOB, door="lmtp")
        assert [code for code, _ in replies] == [250, 550]
        assert await house.messages() and not await house.messages(of=BOB)


async def test_one_recipient_refused_for_good_beside_others(tmp_path: Path) -> None:
    script = Scripted({"R": [GO_ON, say("r")]})
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        assert (await house.comes(RAW, ALICE, BOB))[0][0] == 250
        assert await house.messages() and not await house.messages(of=BOB)
        (notice,) = await house.store.queue()
        assert [one.address for one in notice.recipients] == [EVE], "who hears that bob did not get it"


async def test_later_for_one_recipient_is_later_for_all(tmp_path: Path) -> None:
    script = Scripted({"R": [GO_ON, say("t"), GO_ON, GO_ON]})
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        assert (await house.comes(RAW, ALICE, BOB))[0][0] == 451
        assert await house.messages() == [] and await house.messages(of=BOB) == []
        assert (await house.comes(RAW, ALICE, BOB))[0][0] == 250
        assert len(await house.messages()) == len(await house.messages(of=BOB)) == 1


async def test_all_recipients_refused(tmp_path: Path) -> None:
    script = Scripted({"R": say("r")})
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        assert (await house.comes(RAW, ALICE, BOB))[0][0] == 550
    assert script.letters == "OCHMRRAQ"


async def test_what_our_backup_hands_on_is_not_refused(tmp_path: Path) -> None:
    script = Scripted({"E": say("r")})
    inbound = Inbound(trusted=("127.0.0.1/32",))
    async with (
        script.serving() as place,
        house_with(tmp_path, Milter(socket=place), inbound=inbound) as house,
    ):
        assert (await house.comes())[0][0] == 250
        assert await house.messages("Junk")


async def test_what_an_alias_hands_on_is_shown_too(tmp_path: Path) -> None:
    script = Scripted({"E": header("h", "X-Seen", "yes") + GO_ON})
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        alias = Alias(address="away@example.test", targets=("friend@far.test",))
        await house.store.apply(PutAlias(alias=alias, new=True))
        assert (await house.comes(RAW, alias.address))[0][0] == 250
        (entry,) = await house.store.queue()
        assert [one.address for one in entry.recipients] == ["friend@far.test"]
    assert script.told("R") == [b"<away@example.test>\0"]


async def test_a_forged_field_in_our_name_is_not_shown(tmp_path: Path) -> None:
    script = Scripted()
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        raw = b"Authentication-Results: mx.example.test; dmarc=pass header.from=bank.test\r\n" + RAW
        assert (await house.comes(raw))[0][0] == 250
    assert "Authentication-Results" not in script.fields


async def test_the_story_and_the_verdict_tell_what_it_did(tmp_path: Path) -> None:
    script = Scripted({"E": header("h", "X-Spam", "no") + say("b", b"new\r\n") + GO_ON})
    async with (
        script.serving() as place,
        house_with(tmp_path, Milter(socket=place, name="f"), junk=Junk()) as house,
    ):
        assert (await house.comes())[0][0] == 250
        assert ("milter", "f: added X-Spam, replaced the body") in await house.story()
        account = house.house.accounts[ALICE].account_id
        mailbox = await house.store.mailbox(account, "INBOX")
        assert mailbox is not None
        index = await house.store.index(account, mailbox.mailbox_id)
        (verdict,) = await house.store.verdict(account, list(index.email_ids))
        assert verdict is not None and b'"milter","evidence":"f: added X-Spam' in verdict
