"""People sort their mail, by whatever client, and the filter learns from it."""

from __future__ import annotations

import imaplib
from collections.abc import Callable

import pytest

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.junk.classifier import Model
from posthouse.junk.facts import Sender
from posthouse.junk.judge import _acquaintance
from posthouse.junk.letter import Letter
from posthouse.junk.models import Models
from posthouse.junk.verdict import Decision, Fact, Verdict, author_was_proved
from posthouse.store.interface import AddEmail, PutItem
from posthouse.store.judgement import HOUSE, Memo, PruneMemos, PutMemo
from posthouse.store.model import Content
from tests.house import PASSWORDS
from tests.jmap.conftest import Client
from tests.junk.conftest import ALICE, JunkHouse, letter

pytestmark = pytest.mark.slow

OFFER = (
    "Dear friend, our cheap watches are finest replica quality, order today with free shipping worldwide now."
)
EVE = "Eve <eve@elsewhere.test>"
MAL = "Mallory <mallory@another.test>"


def move(source: str, target: str) -> object:
    def act(client: imaplib.IMAP4) -> object:
        client.select(source)
        client._simple_command("MOVE", "1:*", target) if "MOVE" in client.capabilities else None
        return client.close()

    return act


def copy_and_delete(client: imaplib.IMAP4) -> None:
    client.select("INBOX")
    client.copy("1:*", "Junk")
    client.store("1:*", "+FLAGS", "\\Deleted")
    client.expunge()


def mark(flag: str) -> object:
    def act(client: imaplib.IMAP4) -> None:
        client.select("INBOX")
        client.store("1:*", "+FLAGS", flag)

    return act


@pytest.mark.parametrize("how", ["move", "copy", "keyword", "Junk"])
async def test_junk_by_imap_changes_the_next_verdict_of_its_like(house: JunkHouse, how: str) -> None:
    acts = {
        "move": move("INBOX", "Junk"), "copy": copy_and_delete, "keyword": mark("$Junk"), "Junk": mark("Junk")
    }  # fmt: skip
    assert (await house.comes(letter(EVE, "Best offer", OFFER))).startswith("250")
    before = await house.verdict()
    assert before["decision"] == "accept"
    await house.by_imap(acts[how])  # type: ignore[arg-type]
    # The same letter from somebody else: only its likeness can tell.
    await house.comes(letter(MAL, "Best offer", OFFER))
    assert (await house.verdict("Junk"))["decision"] == "junk"
    assert (await house.checks("Junk"))["likeness"] > 5
    # Another letter of the same sender.
    await house.comes(
        letter(EVE, "Something else", "A wholly different text about gardens and rain in spring")
    )
    assert (await house.checks("Junk"))["moved-to-junk"] > 5


async def by_jmap(
    house: JunkHouse, source: str, patch: Callable[[dict[str, str]], dict[str, object]]
) -> None:
    """Change all emails of a mailbox; `patch` gets the mailboxes' ids by role."""
    client = Client(house.house, ALICE, PASSWORDS[ALICE])
    try:
        boxes = {role: await client.mailbox(role) for role in ("inbox", "junk")}
        found = await client.call("Email/query", filter={"inMailbox": boxes[source]})
        done = await client.call("Email/set", update=dict.fromkeys(found["ids"], patch(boxes)))
        assert set(done["updated"]) == set(found["ids"])
    finally:
        await client.http.aclose()
    await house.junk.trainer.settle()


JMAP_MOVES: dict[str, Callable[[dict[str, str]], dict[str, object]]] = {
    "whole": lambda boxes: {"mailboxIds": {boxes["junk"]: True}},
    "patch": lambda boxes: {f"mailboxIds/{boxes['inbox']}": None, f"mailboxIds/{boxes['junk']}": True},
    "keyword": lambda boxes: {"keywords/$junk": True},
    "keywords": lambda boxes: {"keywords": {"$junk": True, "$seen": True}},
}


@pytest.mark.parametrize("how", JMAP_MOVES)
async def test_junk_by_jmap_changes_the_next_verdict_of_its_like(house: JunkHouse, how: str) -> None:
    await house.comes(letter(EVE, "Best offer", OFFER))
    await by_jmap(house, "inbox", JMAP_MOVES[how])
    await house.comes(letter(MAL, "Best offer", OFFER))
    assert (await house.checks("Junk"))["likeness"] > 5


@pytest.mark.parametrize("keyword", ["$notjunk", "move"])
async def test_good_by_jmap_takes_it_back(house: JunkHouse, keyword: str) -> None:
    await house.comes(letter(EVE, "Best offer", OFFER))
    await by_jmap(house, "inbox", JMAP_MOVES["whole"])
    await by_jmap(
        house,
        "junk",
        lambda boxes: (
            {"mailboxIds": {boxes["inbox"]: True}} if keyword == "move" else {"keywords/$notjunk": True}
        ),
    )
    await house.comes(letter(MAL, "Best offer", OFFER))
    assert (await house.verdict("INBOX"))["decision"] == "accept"
    assert (await house.checks())["likeness"] < 0


async def test_taking_it_out_of_junk_by_jmap_takes_it_back_though_it_stays_elsewhere(
    house: JunkHouse,
) -> None:
    await house.comes(letter(EVE, "Best offer", OFFER))
    await by_jmap(house, "inbox", lambda boxes: {f"mailboxIds/{boxes['junk']}": True})
    model = await house.junk.models.of(house.alice.account_id)
    assert model is not None
    assert model is not None
    assert (model.junk, model.good) == (1, 0)
    await by_jmap(house, "junk", lambda boxes: {f"mailboxIds/{boxes['junk']}": None})
    model = await house.junk.models.of(house.alice.account_id)
    assert model is not None
    assert model is not None
    assert (model.junk, model.good) == (0, 1)
    assert (await house.junk.history.of(house.alice.account_id, "eve@elsewhere.test")).forged == 0


async def test_forged_mail_in_junk_says_nothing_of_whoever_has_the_address(house: JunkHouse) -> None:
    """Nothing proved it, so it was not theirs: only more of the kind is suspected."""
    account = house.alice.account_id
    await house.comes(letter(EVE, "Best offer", OFFER))
    await house.by_imap(move("INBOX", "Junk"))  # type: ignore[arg-type]
    history = await house.junk.history.of(account, "eve@elsewhere.test")
    assert (history.junk, history.forged) == (0, 1)

    def said(proved: bool) -> list[str]:
        author = Letter.of(letter(EVE, "x")).authors[0]
        sender = Sender(author=author, history=history, contact=False, proved=proved)
        return [one.check for one in _acquaintance(sender)]

    assert said(proved=False) == ["moved-to-junk"]
    assert said(proved=True) == []
    # The real owner's mail, as its verdict says, is theirs.
    inbox = await house.store.mailbox(account, "INBOX")
    assert inbox is not None
    verdict = Verdict(decision=Decision.ACCEPT, score=0.0, junk_at=5.0, refuse_at=0.0).to_json()
    raw = Content.of(letter(EVE, "Another offer", OFFER + " Really."))
    await house.store.apply(
        AddEmail(account_id=account, mailbox_id=inbox.mailbox_id, content=raw, received_at=1, verdict=verdict)
    )
    await house.by_imap(move("INBOX", "Junk"))  # type: ignore[arg-type]
    history = await house.junk.history.of(account, "eve@elsewhere.test")
    assert (history.junk, history.forged) == (1, 1)
    assert said(proved=True) == said(proved=False) == ["moved-to-junk"]
    await house.by_imap(move("Junk", "INBOX"))  # type: ignore[arg-type]
    history = await house.junk.history.of(account, "eve@elsewhere.test")
    assert (history.junk, history.forged) == (0, 0)


async def test_the_words_of_forged_mail_are_not_the_owners(house: JunkHouse) -> None:
    """Its address counts for more of the kind alone, and of mail that came by another way not at all."""
    await house.comes(letter(EVE, "Best offer", OFFER))
    inbox = await house.store.mailbox(house.alice.account_id, "INBOX")
    assert inbox is not None
    raw = Content.of(letter("Zoe <zoe@elsewhere.test>", "Another offer", OFFER + " Really."))
    await house.store.apply(
        AddEmail(account_id=house.alice.account_id, mailbox_id=inbox.mailbox_id, content=raw, received_at=1)
    )
    await house.by_imap(move("INBOX", "Junk"))  # type: ignore[arg-type]
    model = await house.junk.models.of(house.alice.account_id)
    assert model is not None
    assert model.junk == 2

    def known(*names: str) -> list[str]:
        return [name for name in names if name in model._tokens]

    addresses = ("eve@elsewhere.test", "@elsewhere.test", "zoe@elsewhere.test")
    assert known(*("f:" + address for address in addresses)) == []
    assert known(*("f:unproved:" + address for address in addresses)) == [
        "f:unproved:eve@elsewhere.test",
        "f:unproved:@elsewhere.test",
    ]
    await house.by_imap(move("Junk", "INBOX"))  # type: ignore[arg-type]
    model = await house.junk.models.of(house.alice.account_id)
    assert model is not None
    assert model.junk == 0 and model._tokens["f:unproved:eve@elsewhere.test"] % 2**16 == 1


@pytest.mark.parametrize(
    ("record", "proved"),
    [
        (b'{"facts":[],"checks":[{"check":"form","weight":0.5}]}', True),
        (b'{"facts":[{"fact":"not-aligned","value":"unproved"}]}', False),
        (b'{"checks":[{"check":"fault"}]}', False),
        (b"{", False),
        (None, False),
    ],
)
def test_the_verdict_tells_whether_the_author_was_proved(record: bytes | None, proved: bool) -> None:
    assert author_was_proved(record) is proved


def test_octets_that_are_no_text_hide_no_forgery() -> None:
    facts = (Fact(fact="not-aligned", value="failed"), Fact(fact="address-in-name", value="\udce1@bank.test"))
    verdict = Verdict(decision=Decision.ACCEPT, score=0.0, junk_at=5.0, refuse_at=0.0, facts=facts)
    assert not author_was_proved(verdict.to_json())


async def test_moving_back_takes_it_back(house: JunkHouse) -> None:
    await house.comes(letter(EVE, "Best offer", OFFER))
    await house.by_imap(move("INBOX", "Junk"))  # type: ignore[arg-type]
    await house.by_imap(move("Junk", "INBOX"))  # type: ignore[arg-type]
    assert await house.store.lessons(10) == []
    await house.comes(letter(EVE, "Best offer", OFFER))
    assert (await house.verdict())["decision"] == "accept"
    assert await house.total("Junk") == 0
    model = await house.junk.models.of(house.alice.account_id)
    assert model is not None
    assert model is not None
    assert (model.junk, model.good) == (0, 1)


async def test_a_keyword_by_imap_takes_it_back(house: JunkHouse) -> None:
    await house.comes(letter(EVE, "Best offer", OFFER))
    await house.by_imap(mark("$Junk"))  # type: ignore[arg-type]
    await house.by_imap(mark("$NotJunk"))  # type: ignore[arg-type]
    await house.comes(letter(EVE, "Best offer", OFFER))
    assert (await house.verdict())["decision"] == "accept"
    assert (await house.checks())["likeness"] < 0


async def test_what_one_moves_changes_nothing_for_another_until_the_house_has_learnt_enough(
    house: JunkHouse,
) -> None:
    await house.comes(letter(EVE, "Best offer", OFFER))
    await house.by_imap(move("INBOX", "Junk"))  # type: ignore[arg-type]
    await house.comes(letter(EVE, "Best offer", OFFER), to=("bob@example.test",))
    assert await house.total("INBOX", "bob@example.test") == 1


async def test_lessons_of_a_crash_are_learnt_at_the_next_start(house: JunkHouse) -> None:
    await house.junk.trainer.stop()
    await house.comes(letter(EVE, "Best offer", OFFER))
    await house.store.lessons(1)

    def act(client: imaplib.IMAP4) -> None:
        client.select("INBOX")
        client._simple_command("MOVE", "1:*", "Junk")

    house.junk.trainer._idle.set()
    await house.by_imap(act)
    assert len(await house.store.lessons(10)) == 1
    house.junk.trainer._idle.clear()
    house.junk.trainer.start()
    await house.junk.trainer.settle()
    assert await house.store.lessons(10) == []
    await house.comes(letter(MAL, "Best offer", OFFER))
    assert (await house.verdict("Junk"))["decision"] == "junk"


async def test_one_who_is_written_to_is_no_junk(house: JunkHouse) -> None:
    """A message put into Sent by a client counts as much as one sent through us."""
    mine = letter(ALICE, "Hello Eve").replace(f"To: {ALICE}".encode(), b"To: Eve <eve@elsewhere.test>")
    await house.by_imap(lambda client: client.append("Sent", "", "", mine))
    await house.comes(letter(EVE, "Best offer", OFFER))
    assert "first-contact" not in await house.facts()
    assert (await house.junk.history.of(house.alice.account_id, "eve@elsewhere.test")).written == 1


async def test_an_answer_makes_a_correspondent(house: JunkHouse) -> None:
    await house.comes(letter(EVE, "A question"))
    assert "first-contact" in await house.facts()
    await house.by_imap(mark("\\Answered"))  # type: ignore[arg-type]
    await house.comes(letter(EVE, "Thank you"))
    assert "first-contact" not in await house.facts()


async def test_the_house_learns_from_all(house: JunkHouse) -> None:
    """Read mail in the inbox is taken as an example of wanted mail as soon as junk is learnt."""
    for number in range(12):
        await house.comes(
            letter(EVE, f"meeting {number}", f"minutes of the committee number {number} in the hall")
        )
    await house.by_imap(mark("\\Seen"))  # type: ignore[arg-type]
    for number in range(10):
        await house.comes(
            letter(f"m{number}@s{number}.test", "casino bonus", f"casino bonus jackpot win {number}")
        )

    def act(client: imaplib.IMAP4) -> None:
        client.select("INBOX")
        client._simple_command("MOVE", "13:*", "Junk")

    await house.by_imap(act)
    own, whole = await house.junk.models.of(house.alice.account_id), await house.junk.models.house()
    assert own is not None
    assert (own.junk, own.good) == (whole.junk, whole.good) == (10, 12)
    await house.comes(
        letter("new@new.test", "casino jackpot", "bonus jackpot casino win today"), to=("bob@example.test",)
    )
    assert await house.total("Junk", "bob@example.test") == 1


async def test_examples_are_kept_also_when_the_junk_itself_was_known(house: JunkHouse) -> None:
    await house.comes(letter(EVE, "Best offer", OFFER))
    await house.by_imap(move("INBOX", "Junk"))  # type: ignore[arg-type]
    await house.comes(letter("new@new.test", "meeting", "minutes of the committee in the hall"))
    await house.by_imap(mark("\\Seen"))  # type: ignore[arg-type]

    def mark_again(client: imaplib.IMAP4) -> None:
        client.select("Junk")
        client.store("1", "+FLAGS", "$Junk")

    await house.by_imap(mark_again)
    house.junk.models.forget(house.alice.account_id)
    model = await house.junk.models.of(house.alice.account_id)
    assert model is not None
    assert model is not None
    assert (model.junk, model.good) == (1, 1)


async def test_taking_one_out_of_junk_overrules_what_was_said_of_others(house: JunkHouse) -> None:
    """Its sender is judged by what was moved before; the next one must not go to Junk for the same reason again."""
    await house.comes(letter(EVE, "Best offer", OFFER))
    await house.by_imap(move("INBOX", "Junk"))  # type: ignore[arg-type]
    await house.comes(letter(EVE, "The minutes", "A wholly different text about gardens and rain in spring"))
    assert (await house.checks("Junk"))["moved-to-junk"] > 5

    def rescue(client: imaplib.IMAP4) -> None:
        client.select("Junk")
        client._simple_command("MOVE", "2", "INBOX")

    await house.by_imap(rescue)
    await house.comes(
        letter(EVE, "The agenda", "Yet another text, of chairs and tables for the hall in summer")
    )
    assert "moved-to-junk" not in await house.checks()
    assert (await house.verdict())["decision"] == "accept"


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "among others"])
async def test_a_keyword_that_is_only_kept_says_nothing_again(house: JunkHouse, alone: bool) -> None:
    """A client that writes all flags anew does not call the message junk that was rescued since."""
    await house.comes(letter(EVE, "Best offer", OFFER))
    if not alone:
        await house.comes(letter(MAL, "Best offer", OFFER))
    await house.by_imap(mark("$Junk"))  # type: ignore[arg-type]
    await house.by_imap(move("INBOX", "Junk"))  # type: ignore[arg-type]
    await house.by_imap(move("Junk", "INBOX"))  # type: ignore[arg-type]

    def read(client: imaplib.IMAP4) -> None:
        client.select("INBOX")
        assert b"$Junk" in client.fetch("1", "(FLAGS)")[1][0]  # type: ignore[operator]
        client.store("1:*", "FLAGS", "(\\Seen $Junk)")

    await house.by_imap(read)
    model = await house.junk.models.of(house.alice.account_id)
    assert model is not None
    assert model is not None
    assert (model.junk, model.good) == (0, 1 if alone else 2)
    assert (await house.junk.history.of(house.alice.account_id, "eve@elsewhere.test")).junk == 0


async def test_a_lesson_that_could_not_be_kept_counts_once(
    house: JunkHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.junk.trainer.stop()
    await house.comes(letter(EVE, "Best offer", OFFER))

    def act(client: imaplib.IMAP4) -> None:
        client.select("INBOX")
        client._simple_command("MOVE", "1:*", "Junk")

    house.junk.trainer._idle.set()
    await house.by_imap(act)

    async def full(*_: object) -> None:
        raise StoreUnavailable("The disk is full.")

    with monkeypatch.context() as broken:
        broken.setattr(type(house.store), "commit", full)
        with pytest.raises(StoreUnavailable):
            await house.junk.trainer.round()
    assert await house.junk.trainer.round() == 1
    assert (await house.junk.history.of(house.alice.account_id, "eve@elsewhere.test")).forged == 1


async def test_what_cannot_be_learnt_keeps_nobody_waiting(
    house: JunkHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.comes(letter(EVE, "Best offer", OFFER), to=(ALICE, "bob@example.test"))

    async def faulty(self: Models, account_id: int, model: Model) -> PutMemo:
        if account_id == house.alice.account_id:
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
        return await packed(self, account_id, model)

    packed = Models.packed
    monkeypatch.setattr(Models, "packed", faulty)
    await house.by_imap(move("INBOX", "Junk"))  # type: ignore[arg-type]
    await house.by_imap(move("INBOX", "Junk"), "bob@example.test")  # type: ignore[arg-type]
    assert await house.store.lessons(10) == []
    bob = await house.junk.models.of(house.house.accounts["bob@example.test"].account_id)
    assert bob is not None
    assert bob.junk == 1


async def test_all_memos_that_have_ended_are_forgotten(
    house: JunkHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood of strangers that are greylisted leaves more of them in an hour than one piece takes."""
    monkeypatch.setattr(limits, "PIECE_ROWS", 5)
    now = house.house.app.house.clock()
    memos = [Memo(account_id=HOUSE, kind="grey", key=str(n), data=b"", until=now - 1) for n in range(23)]
    await house.store.commit(*(PutMemo(memo=memo) for memo in memos))
    await house.junk.tidy()
    assert await house.store.apply(PruneMemos(now=now)) == 0


async def test_an_umlaut_domain_is_known_in_either_form(house: JunkHouse) -> None:
    """People write bücher.test in their contacts, and mail comes from xn--bcher-kva.test."""
    history, account_id = house.junk.history, house.alice.account_id
    card = '{"emails":{"e":{"address":"Post@Bücher.test"}}}'.encode()
    await house.store.apply(PutItem(account_id=account_id, kind="ContactCard", data=card))
    assert await history.in_contacts(account_id, "post@xn--bcher-kva.test")
    assert await history.in_contacts(account_id, "post@bücher.test")
    await house.store.commit(*await history.written(account_id, ["jörg@bücher.test"]))
    history.forget(account_id)
    assert (await history.of(account_id, "jörg@xn--bcher-kva.test")).written == 1
    assert await history.domains_written_to(account_id) == {"xn--bcher-kva.test"}
