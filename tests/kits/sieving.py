"""What becomes of the wishes of a Sieve script on every engine: from a message at the door to rows in the store.

The engine's words are put into its mouth (`wants`), so that each test says what it is about; that real scripts say
them is shown in tests/inbound/test_sieving.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from posthouse import limits
from posthouse.accounts.directory import Directory
from posthouse.accounts.sieve_scripts import SieveScripts
from posthouse.inbound import sieving
from posthouse.inbound.bounceable import Standing
from posthouse.inbound.deliver import Deliverer, DeliverResult
from posthouse.inbound.handling import Handling
from posthouse.inbound.mail import Mail, MailRecipient, Via
from posthouse.inbound.notices import Notice
from posthouse.inbound.rulings import Place, Ruling
from posthouse.sieve.actions import (
    Action,
    Discard,
    Fcc,
    FileInto,
    Keep,
    Notify,
    Outcome,
    Redirect,
    Reject,
    Vacation,
)
from posthouse.sieve.validate import compile_script
from posthouse.smtp.replies import Reply
from posthouse.store.interface import CreateMailbox, Op, PutAccount
from posthouse.store.judgement import Memo, PutMemo
from posthouse.store.model import Content, Role
from tests.kits.engine import NOW, Desk, EngineUnderTest, furnish
from tests.kits.masked import WORDS, given

RAW = (
    b"From: eve@far.test\r\nTo: ann@example.test\r\nSubject: hello\r\nMessage-ID: <1@far.test>\r\n"
    b"\r\nIs anybody there?\r\n"
)


@dataclass
class Post:
    """Delivery over the store under test: ann and bob at example.test."""

    ann: Desk
    bob: Desk
    directory: Directory
    scripts: SieveScripts[Any]
    deliverer: Deliverer
    notices: list[Notice]
    wishes: dict[str, Outcome] = field(default_factory=dict)
    """By account's address."""

    @classmethod
    async def open(cls, engine: EngineUnderTest) -> Post:
        ann, bob = await furnish(engine), await furnish(engine, "bob@example.test")
        directory = Directory(engine.store)
        told: list[Notice] = []

        async def notify(mail: Mail, notices: tuple[Notice, ...]) -> None:
            told.extend(notices)

        deliverer = Deliverer(engine.store, directory, notify)
        scripts = SieveScripts(engine.store, compile_script)
        sieving.let_scripts_act(deliverer, scripts, "mx.example.test", lambda: float(NOW))
        return cls(ann, bob, directory, scripts, deliverer, told)

    async def wants(self, *actions: Action, of: str = "ann", **more: Any) -> None:
        """An account's script wants this from now on."""
        desk = self.ann if of == "ann" else self.bob
        if await self.scripts.active(desk.id) is None:
            await self.scripts.put(desk.id, "main", b"keep;")
            await self.scripts.activate(desk.id, "main")
        self.wishes[desk.account.address] = Outcome(actions=actions, **more)

    def run(self, script: Any, facts: Any, *, briefly: bool = False) -> Iterator[Any]:
        """In the place of `sieve.run.run`."""
        yield from ()
        return self.wishes[facts.address]

    def mail(self, *to: str, **changes: Any) -> Mail:
        values: dict[str, Any] = {
            "trace_id": "t1",
            "reverse_path": "eve@far.test",
            "recipients": tuple(MailRecipient(each) for each in to or ("ann@example.test",)),
            "content": Content.of(RAW),
            "received_at": float(NOW),
            "helo": "far.test",
            "peer": "192.0.2.1",
            "via": Via.MX,
        }
        return Mail(**values | changes)

    async def deliver(self, *to: str, handling: Handling | None = None, **changes: Any) -> DeliverResult:
        mail = self.mail(*to, **changes)
        return await self.deliverer.deliver(mail, b"Received: here\r\n", handling or Handling())

    async def found(self, name: str = "INBOX", desk: Desk | None = None) -> list[bytes]:
        """The messages of a mailbox, whole."""
        desk = desk or self.ann
        box = await desk.store.mailbox(desk.id, name)
        if box is None:
            return []
        index = await desk.store.index(desk.id, box.mailbox_id)
        return [
            each for each in await desk.store.messages(desk.id, list(index.email_ids)) if each is not None
        ]

    async def ids(self, name: str) -> list[int]:
        index = await self.ann.store.index(self.ann.id, (await self.ann.box(name)).mailbox_id)
        return list(index.email_ids)

    async def flags(self, name: str = "INBOX") -> list[set[str]]:
        """The keywords and flags of each message of a mailbox."""
        from posthouse.store.model import KEYWORD_SHIFT, SYSTEM_FLAGS

        store = self.ann.store
        index = await store.index(self.ann.id, (await self.ann.box(name)).mailbox_id)
        words = [*SYSTEM_FLAGS, *await store.keywords(self.ann.id)]
        assert len(SYSTEM_FLAGS) == KEYWORD_SHIFT
        return [{word for bit, word in enumerate(words) if bits >> bit & 1} for bits in index.flags]

    async def story(self, kind: str = "filtered", trace_id: str = "t1") -> list[str]:
        return [each.detail for each in await self.ann.store.events(trace_id=trace_id) if each.kind == kind]

    async def queued(self) -> list[tuple[str, str]]:
        """(reverse-path, recipient) of all that waits for other hosts."""
        return [(q.reverse_path, r.address) for q in await self.ann.store.queue() for r in q.recipients]


@pytest.fixture
async def post(engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """A post office whose scripts say what tests want."""
    made = await Post.open(engine)
    monkeypatch.setattr(sieving, "run", made.run)
    yield made
    made.directory.close()


def judged(place: Place, **more: Any) -> Handling:
    """Handling by a judge who rules the same for everybody."""

    async def rule(accounts: Any) -> dict[int, Ruling]:
        return {each.account_id: Ruling(place=place, **more) for each in accounts}

    return Handling(rule=rule)


class FilingKit:
    """Keep, fileinto, discard."""

    async def test_a_message_is_kept_with_flags(self, post: Post) -> None:
        await post.wants(Keep(flags=frozenset({"\\seen", "$Work", "\\Recent", "no good"})))
        result = await post.deliver()
        assert [reply.code for reply in result.replies] == [250]
        assert await post.flags() == [{"\\Seen", "$Work"}]
        assert await post.story() == ["flags left out: \\Recent no good", "kept in INBOX with $Work \\Seen"]
        assert (await post.found())[0].startswith(
            b"Return-Path: <eve@far.test>\r\nDelivered-To: ann@example.test\r\nRec"
        )

    async def test_one_email_stands_in_several_mailboxes_where_flags_agree(self, post: Post) -> None:
        await post.wants(
            Keep(),
            FileInto(mailbox="archive"),
            FileInto(mailbox="Archive"),
            FileInto(mailbox="Sent", flags=frozenset({"a"})),
        )
        await post.deliver()
        assert await post.found("archive") == []
        inbox, archive, sent = [await post.ids(name) for name in ("INBOX", "Archive", "Sent")]
        assert inbox == archive and len(inbox) == 1
        assert len(sent) == 1 and sent != inbox
        assert 'there is no mailbox "archive": kept in INBOX' in (await post.story())[1]

    async def test_a_mailbox_is_made_with_the_levels_above_it(self, post: Post) -> None:
        await post.wants(FileInto(mailbox="Lists/Sieve/2026", create=True, line=3))
        await post.deliver()
        await post.deliver(trace_id="t2")
        assert len(await post.found("Lists/Sieve/2026")) == 2
        names = {box.name for box in await post.ann.store.mailboxes(post.ann.id) if box.subscribed}
        assert {"Lists", "Lists/Sieve", "Lists/Sieve/2026"} <= names
        assert await post.story() == ["filed in Lists/Sieve/2026 (line 3)"]

    @pytest.mark.parametrize(
        "name", ["a//b", "x*", "Other Users/bob@example.test/INBOX", "Other Users", "\x07", "n" * 3000]
    )
    async def test_a_name_that_no_mailbox_may_have_is_the_inbox(self, post: Post, name: str) -> None:
        await post.wants(FileInto(mailbox=name, create=True))
        await post.deliver()
        assert len(await post.found()) == 1
        assert "cannot be made" in (await post.story())[0]
        assert not [
            box for box in await post.ann.store.mailboxes(post.ann.id) if box.name.startswith("Other")
        ]

    async def test_special_use_and_id_come_before_the_name(self, post: Post) -> None:
        archive = await post.ann.box("Archive")
        await post.wants(
            FileInto(mailbox="none", special_use="\\JUNK"),
            FileInto(mailbox="none", mailbox_id=f"F{archive.mailbox_id}"),
            FileInto(mailbox="Sent", special_use="\\All"),
            FileInto(mailbox="Later", special_use="\\Snoozed", create=True),
        )
        await post.deliver()
        for name in ("Junk", "Archive", "Sent", "Later"):
            assert len(await post.found(name)) == 1, name
        assert (await post.ann.box("Later")).role is Role.SNOOZED

    async def test_a_message_is_thrown_away_without_a_word(self, post: Post) -> None:
        heard: list[Any] = []
        post.deliverer.told_of = lambda mail, accounts: heard.append(accounts)
        await post.wants(Discard(line=2))
        result = await post.deliver("ann@example.test", "bob@example.test")
        assert [reply.code for reply in result.replies] == [250, 250]
        assert (await post.found(), len(await post.found(desk=post.bob))) == ([], 1)
        assert await post.story() == ["discarded (line 2)"]
        assert heard == [[post.bob.id]], "nobody answers for a message that its reader throws away"

    async def test_a_quota_without_room_for_two_copies_takes_one(self, post: Post) -> None:
        await post.ann.store.apply(PutAccount(account=msgspec.structs.replace(post.ann.account, quota=300)))
        await post.wants(FileInto(mailbox="Archive"), FileInto(mailbox="Sent"))
        await post.deliver()
        assert (len(await post.found("Archive")), len(await post.found("Sent"))) == (1, 0)
        assert "no room for copies in Sent" in await post.story()

    async def test_keywords_that_are_used_up_lose_the_flag_and_not_the_message(self, post: Post) -> None:
        flags = frozenset(f"k{number:02}" for number in range(limits.KEYWORDS + 5))
        await post.wants(Keep(flags=flags))
        await post.deliver()
        assert len((await post.flags())[0]) == limits.KEYWORDS

    async def test_a_mailbox_that_goes_at_that_moment_is_looked_for_again(
        self, post: Post, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = await post.ann.store.apply(CreateMailbox(account_id=post.ann.id, name="Gone"))
        await post.wants(FileInto(mailbox="Gone"))
        commit = post.deliverer.store.commit

        async def late(*ops: Op[Any]) -> list[Any]:
            from posthouse.store.interface import DeleteMailbox

            monkeypatch.undo()
            monkeypatch.setattr(sieving, "run", post.run)
            await commit(DeleteMailbox(account_id=post.ann.id, mailbox_id=made.mailbox_id))
            return await commit(*ops)

        monkeypatch.setattr(post.deliverer.store, "commit", late)
        await post.deliver()
        assert len(await post.found()) == 1

    async def test_the_changed_message_is_one_accounts_alone(self, post: Post) -> None:
        head = RAW[: RAW.index(b"\r\n\r\n") + 4]  # all that a script is given which does not read the text
        await post.wants(Keep(), content=b"X-Mine: yes\r\n" + head)
        await post.deliver("ann@example.test", "bob@example.test")
        assert await post.found() == [b"X-Mine: yes\r\n" + RAW]
        assert (await post.found(desk=post.bob))[0].endswith(b"Received: here\r\n" + RAW)

    async def test_junk_is_not_shown_to_a_script_that_does_not_test_for_it(self, post: Post) -> None:
        await post.wants(Discard())
        await post.deliver(handling=judged(Place.JUNK))
        await post.deliver(handling=Handling(junk=True), trace_id="t2")
        assert len(await post.found("Junk")) == 2
        assert await post.story() == []

    async def test_a_failing_script_keeps_the_message_and_tells_its_owner_once_a_day(
        self, post: Post
    ) -> None:
        await post.wants(Keep(), fault="line 7: it went wrong")
        await post.deliver()
        await post.deliver(trace_id="t2")
        messages = await post.found()
        assert len(messages) == 3
        notices = [each for each in messages if b"Your mail filter does not work" in each]
        assert len(notices) == 1 and b"line 7: it went wrong" in notices[0]
        assert await post.story() == ["the script failed: line 7: it went wrong", "kept in INBOX"]

    async def test_ids_are_remembered_with_the_message(self, post: Post) -> None:
        await post.wants(Keep(), remember=((b"id", 100), (b"other", 10**12)))
        await post.deliver()
        memos = await post.ann.store.memos(post.ann.id, "SieveSeen")
        assert sorted(each.until or 0 for each in memos) == [NOW + 100, NOW + limits.SIEVE_REMEMBERED]


class SendingKit:
    """Redirect, reject, vacation, notify."""

    async def test_a_redirect_leaves_as_from_an_alias(self, post: Post) -> None:
        await post.wants(Redirect(address="friend@else.test", line=4))
        await post.deliver()
        assert await post.found() == []
        assert await post.queued() == [("eve@far.test", "friend@else.test")]
        (queued,) = await post.ann.store.queue()
        whole = await post.ann.store.whole(queued.stored)
        assert whole == b"Delivered-To: ann@example.test\r\nReceived: here\r\n" + RAW
        assert await post.story() == ["redirected to friend@else.test (line 4)"]
        assert len(await post.story("received")) == 1

    async def test_a_redirect_keeps_what_the_sender_asked_for_or_asks_otherwise(self, post: Post) -> None:
        to = (MailRecipient("ann@example.test", "SUCCESS", "rfc822;ann@example.test"),)
        await post.wants(
            Redirect(address="a@else.test"), Redirect(address="b@else.test", notify="NEVER", ret="HDRS")
        )
        await post.deliver(recipients=to, reverse_path="", ret="FULL", envid="e")
        found = {
            r.address: (r.notify, r.orcpt, q.ret, q.envid, q.reverse_path)
            for q in await post.ann.store.queue()
            for r in q.recipients
        }
        assert found["a@else.test"] == ("SUCCESS", "rfc822;ann@example.test", "FULL", "e", "")
        assert found["b@else.test"] == ("NEVER", "rfc822;ann@example.test", "HDRS", "e", "")

    async def test_nobody_doubtful_hears_what_becomes_of_a_redirected_message(self, post: Post) -> None:
        await post.wants(Redirect(address="friend@else.test"))
        await post.deliver(handling=Handling(reverse_path=Standing.DOUBTFUL))
        (queued,) = await post.ann.store.queue()
        assert [each.notify for each in queued.recipients] == ["NEVER"]

    async def test_a_redirect_to_an_address_here_is_delivered_here(self, post: Post) -> None:
        await post.wants(Redirect(address="bob+sieve@example.test"))
        await post.wants(FileInto(mailbox="Archive"), of="bob")
        await post.deliver()
        (copy,) = await post.found("Archive", post.bob)
        assert copy.startswith(
            b"Return-Path: <eve@far.test>\r\nDelivered-To: bob+sieve@example.test\r\nDelivered-To: ann@example.test\r\n"
        )
        assert await post.queued() == []

    async def test_two_that_redirect_to_each_other_end_in_a_mailbox(self, post: Post) -> None:
        await post.wants(Redirect(address="bob@example.test"))
        await post.wants(Redirect(address="ann@example.test"), of="bob")
        await post.deliver()
        kept = [*await post.found(), *await post.found(desk=post.bob)]
        assert len(kept) == 1
        assert any("that would be a loop" in each for each in await post.story())

    async def test_what_was_here_before_is_not_redirected_again(self, post: Post) -> None:
        """RFC 9228 §4: it comes back from another host."""
        await post.wants(Redirect(address="friend@else.test"))
        await post.deliver(content=Content.of(b"Received: far\r\nDelivered-To: Ann@example.test\r\n" + RAW))
        assert (len(await post.found()), await post.queued()) == (1, [])

    @pytest.mark.parametrize(
        "address", ["ann@example.test", "ann+x@example.test", "nobody@example.test", "no address", ""]
    )
    async def test_a_redirect_that_cannot_be_is_a_keep(self, post: Post, address: str) -> None:
        await post.wants(Redirect(address=address))
        await post.deliver()
        assert (len(await post.found()), await post.queued()) == (1, [])
        assert (await post.story())[0].startswith(f"not redirected to {address}")

    async def test_a_script_sends_so_many_messages_an_hour(self, post: Post) -> None:
        await post.wants(Redirect(address="friend@else.test"))
        hour = str(NOW // 3600)
        almost = str(limits.SIEVE_SENT - 1).encode()
        await post.ann.store.apply(
            PutMemo(memo=Memo(account_id=post.ann.id, kind="SieveSent", key=hour, data=almost))
        )
        await post.deliver()
        await post.deliver(trace_id="t2")
        assert len(await post.queued()) == 1
        assert len(await post.found()) == 1, "beyond it is kept"

    async def test_smtp_refuses_while_the_peer_is_there(self, post: Post) -> None:
        await post.wants(Reject(reason="Not you.\nReally not."))
        result = await post.deliver()
        assert result.replies == (Reply(550, "5.7.1", "Not you.\nReally not."),)
        assert (await post.found(), post.notices) == ([], [])
        assert await post.story() == ["refused: Not you. Really not."]

    async def test_smtp_with_another_recipient_tells_the_sender(self, post: Post) -> None:
        """RFC 5429 §2.1.2 for ereject, §2.2.1 for reject."""
        await post.wants(Reject(reason="Not you: ü", extended=True))
        result = await post.deliver("ann@example.test", "bob@example.test")
        assert [reply.code for reply in result.replies] == [550, 250]
        assert [(each.address, each.reply.text) for each in post.notices] == [
            ("ann@example.test", "Not you: ü")
        ]
        assert (await post.found(), len(await post.found(desk=post.bob))) == ([], 1)
        await post.wants(Reject(reason="Not you."))
        result = await post.deliver("ann@example.test", "bob@example.test", trace_id="t2")
        assert [reply.code for reply in result.replies] == [250, 250]
        assert len(post.notices) == 1
        (told,) = await post.ann.store.queue()
        whole = await post.ann.store.whole(told.stored)
        assert (told.reverse_path, told.recipients[0].address) == ("", "eve@far.test")
        assert b"Disposition: automatic-action/MDN-sent-automatically; deleted\r\n" in whole
        assert b"\r\nNot you.\r\n" in whole and b"Is anybody there?" not in whole

    async def test_who_wrote_to_a_masked_address_is_not_told_whose_it_is(self, post: Post) -> None:
        await given(post.ann)
        await post.wants(Reject(reason="Not you."))
        result = await post.deliver(WORDS, "bob@example.test")
        assert [reply.code for reply in result.replies] == [250, 250]
        (told,) = await post.ann.store.queue()
        whole = await post.ann.store.whole(told.stored)
        assert f"From: {WORDS}\r\n".encode() in whole
        assert f"Final-Recipient: rfc822; {WORDS}\r\n".encode() in whole
        assert b"ann@example.test" not in whole.partition(b"\r\n\r\n")[0]

    async def test_a_header_in_utf8_is_returned_as_such(self, post: Post) -> None:
        """RFC 6533 §4.3: text/rfc822-headers is ASCII."""
        await post.wants(Reject(reason="Not you."))
        content = Content.of("X-Greeting: grüße\r\n".encode() + RAW)
        await post.deliver("ann@example.test", "bob@example.test", content=content, smtputf8=True)
        (told,) = await post.ann.store.queue()
        whole = await post.ann.store.whole(told.stored)
        returned = whole[whole.index(b"Content-Type: message/global-headers\r\n") :]
        assert "\r\n\r\nX-Greeting: grüße\r\n".encode() in returned
        assert b"Content-Type: message/disposition-notification\r\n" in whole

    async def test_so_much_of_a_reason_is_said(self, post: Post) -> None:
        await post.wants(Reject(reason="a" * limits.SIEVE_REASON + "b", extended=True))
        result = await post.deliver()
        assert [reply.text for reply in result.replies] == ["a" * limits.SIEVE_REASON]

    async def test_lmtp_refuses_for_one_recipient(self, post: Post) -> None:
        await post.wants(Reject(reason="Not you."))
        result = await post.deliver("ann@example.test", "bob@example.test", via=Via.LMTP)
        assert [reply.code for reply in result.replies] == [550, 250]
        assert post.notices == []

    async def test_reject_rather_says_all_its_words_and_ereject_rather_says_no(self, post: Post) -> None:
        """RFC 5429 §2.1.1, §2.2."""
        await post.wants(Reject(reason="不要"))
        assert [r.code for r in (await post.deliver()).replies] == [250]
        assert await post.queued() == [("", "eve@far.test")]
        await post.wants(Reject(reason="不要", extended=True))
        (reply,) = (await post.deliver(trace_id="t2")).replies
        assert (reply.code, reply.text.isascii()) == (550, True)
        (reply,) = (await post.deliver(trace_id="t3", smtputf8=True)).replies
        assert reply.encode() == "550 5.7.1 不要\r\n".encode()

    @pytest.mark.parametrize(
        ("path", "standing"), [("", Standing.PROVED), ("eve@far.test", Standing.DOUBTFUL)]
    )
    async def test_what_nobody_can_be_told_of_is_kept(
        self, post: Post, path: str, standing: Standing
    ) -> None:
        await post.wants(Reject(reason="Not you."))
        handling = Handling(reverse_path=standing)
        to = ("ann@example.test", "bob@example.test")
        result = await post.deliver(*to, reverse_path=path, handling=handling)
        assert [reply.code for reply in result.replies] == [250, 250]
        assert (len(await post.found()), post.notices, await post.queued()) == (1, [], [])
        assert "kept: it cannot be refused any more" in (await post.story())[-1]

    async def test_a_notice_from_inside_is_refused_by_a_message(self, post: Post) -> None:
        """Nobody waits for a reply: mail that comes home from the queue, for example."""
        await post.wants(Reject(reason="Not you.", extended=True))
        ops = await post.deliverer.operations(post.mail(via=Via.LOCAL), b"")
        assert [each.reply.code for each in post.notices] == [550]
        assert ops
        await post.ann.store.commit(*ops)
        assert await post.found() == []

    async def test_vacation_answers_once(self, post: Post) -> None:
        answer = Vacation(
            reason="Away.", seconds=3600, subject="Gone ü", from_address="Ann <ann+x@example.test>"
        )
        await post.wants(Keep(), answer)
        for number in range(3):
            await post.deliver(trace_id=f"t{number}")
        (told,) = await post.ann.store.queue()
        assert (told.reverse_path, told.recipients[0].address) == ("", "eve@far.test")
        whole = await post.ann.store.whole(told.stored)
        for text in (
            b"From: Ann <ann+x@example.test>\r\n",
            b"Subject: Gone =?utf-8?B?w7w=?=\r\n",
            b"Auto-Submitted: auto-replied (vacation)\r\n",
            b"In-Reply-To: <1@far.test>\r\n",
            b"\r\n\r\nAway.",
        ):
            assert text in whole
        assert len(await post.found()) == 3
        assert await post.story() == ["no vacation answer: eve@far.test was answered lately", "kept in INBOX"]

    async def test_another_handle_is_another_answer(self, post: Post) -> None:
        for handle in ("a", "b", "a"):
            await post.wants(Keep(), Vacation(reason=f"Away {handle}", seconds=60, handle=handle))
            await post.deliver()
        assert len(await post.queued()) == 2

    async def test_with_zero_seconds_everything_is_answered(self, post: Post) -> None:
        await post.wants(Keep(), Vacation(reason="Away.", seconds=0))
        await post.deliver()
        await post.deliver()
        assert len(await post.queued()) == 2

    @pytest.mark.parametrize(
        ("head", "changes"),
        [
            (b"List-Id: <x>\r\n", {}),
            (b"Auto-Submitted: auto-replied\r\n", {}),
            (b"Precedence: bulk\r\n", {}),
            (b"", {"reverse_path": ""}),
            (b"", {"reverse_path": "ann@example.test"}),
            (b"", {"reverse_path": "mailer-daemon@far.test"}),
            (b"", {"handling": Handling(reverse_path=Standing.DOUBTFUL)}),
        ],
    )
    async def test_vacation_answers_no_program_and_nobody_doubtful(
        self, post: Post, head: bytes, changes: dict[str, Any]
    ) -> None:
        await post.wants(Keep(), Vacation(reason="Away.", seconds=60))
        await post.deliver(**{"content": Content.of(head + RAW)} | changes)
        assert (len(await post.found()), await post.queued()) == (1, [])

    async def test_vacation_answers_what_names_the_account(self, post: Post) -> None:
        """RFC 5230 §4.5."""
        other = Content.of(RAW.replace(b"To: ann@example.test", b"To: ann@old.test"))
        await post.wants(Keep(), Vacation(reason="Away.", seconds=0))
        await post.deliver(content=other)
        assert await post.queued() == []
        await post.wants(Keep(), Vacation(reason="Away.", seconds=0, addresses=("Ann@old.test",)))
        await post.deliver(content=other)
        assert len(await post.queued()) == 1

    async def test_vacation_writes_as_nobody_else_and_may_be_a_mime_entity(self, post: Post) -> None:
        entity = "Content-Type: text/html\r\nBcc: x@y.test\r\n\r\n<p>Away</p>\r\n"
        await post.wants(
            Keep(),
            Vacation(
                reason=entity,
                mime=True,
                seconds=60,
                from_address="bob@example.test",
                fcc=Fcc(mailbox="Out", create=True, flags=frozenset({"\\Seen"})),
            ),
        )
        await post.deliver()
        (copy,) = await post.found("Out")
        assert b"From: ann@example.test\r\n" in copy
        assert b"Content-Type: text/html\r\n" in copy and b"Bcc" not in copy
        assert copy.endswith(b"\r\n\r\n<p>Away</p>\r\n")
        assert await post.flags("Out") == [{"\\Seen"}]

    async def test_the_vacation_responder_is_silent_where_a_script_answers(self, post: Post) -> None:
        heard: list[Any] = []
        post.deliverer.told_of = lambda mail, accounts: heard.append(accounts)
        await post.wants(Keep(), Vacation(reason="Away.", seconds=60))
        await post.deliver()
        await post.wants(Keep())
        await post.deliver()
        assert heard == [[post.ann.id]]

    async def test_a_notice_is_sent(self, post: Post) -> None:
        uri = "mailto:0123@sms.test,bob@example.test?subject=Mail%20came&body=look"
        await post.wants(Keep(), Notify(method=uri, importance=1, line=9))
        await post.deliver()
        assert await post.queued() == [("", "0123@sms.test")]
        (copy,) = await post.found(desk=post.bob)
        for text in (
            b"From: ann@example.test\r\n",
            b"Subject: Mail came\r\n",
            b'Auto-Submitted: auto-notified; owner-email="ann@example.test"\r\n',
            b"Importance: High\r\n",
            b"\r\n\r\nlook",
        ):
            assert text in copy
        assert (await post.story())[0] == "notice to 0123@sms.test, bob@example.test (line 9)"

    @pytest.mark.parametrize(
        ("method", "head"),
        [
            ("mailto:bob@example.test", b"Auto-Submitted: auto-notified\r\n"),
            ("xmpp:bob@example.test", b""),
            ("mailto:", b""),
            ("mailto:" + ",".join(f"a{n}@b.test" for n in range(limits.SIEVE_MAILTO_RECIPIENTS + 1)), b""),
            ("mailto:bob@example.test%0D%0ABcc:x@y.test", b""),
        ],
    )
    async def test_a_notice_that_may_not_be_is_left_out(self, post: Post, method: str, head: bytes) -> None:
        await post.wants(Keep(), Notify(method=method))
        await post.deliver(content=Content.of(head + RAW))
        assert (len(await post.found()), await post.queued()) == (1, [])
        assert await post.found(desk=post.bob) == []
        assert (await post.story())[0].startswith("no notice")
