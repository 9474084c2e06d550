"""Email/query and Email/queryChanges (RFC 8621 §4.4, §4.5)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from posthouse import limits
from posthouse.jmap import email_query
from posthouse.store.interface import AddEmail
from posthouse.store.model import Content
from tests.house import TestHouse
from tests.jmap.conftest import NOW, Client, letter

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def furnish(alice: Client) -> dict[str, str]:
    """Six messages in three threads; name → id."""
    attached = "Content-Type: multipart/mixed; boundary=x\n"
    body = "--x\n\nsee the file\n--x\nContent-Type: image/png\nContent-Disposition: attachment\n\nx\n--x--"
    made = {}
    made["first"] = await alice.add(letter("Plan"), received_at=NOW)
    made["answer"] = await alice.add(
        letter("Re: Plan", "About ähnliche things.", reply_to="Plan"), received_at=NOW + 10, flags=("\\Seen",)
    )
    made["file"] = await alice.add(
        letter("File", body, more=attached), received_at=NOW + 20, flags=("\\Flagged",)
    )
    made["sent"] = await alice.add(
        letter("Re: Plan", "My word.", reply_to="Plan", message_id="mine"),
        mailbox="Sent",
        received_at=NOW + 30,
        flags=("\\Seen",),
    )
    made["large"] = await alice.add(
        letter("Zebra", "你好世界 " + "long " * 400), received_at=NOW + 40, flags=("$label1",)
    )
    made["old"] = await alice.add(
        letter("aardvark", "needle in a haystack"), mailbox="Archive", received_at=NOW - 1000
    )
    return made


async def ask(alice: Client, made: dict[str, str], **arguments: Any) -> list[str]:
    """The names of what a query finds."""
    names = {number: name for name, number in made.items()}
    return [names[number] for number in (await alice.call("Email/query", **arguments))["ids"]]


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["large", "sent", "file", "answer", "first", "old"]),
    ({"before": "2026-11-02T06:13:20Z"}, ["old"]),
    ({"after": "2026-11-02T06:13:50Z"}, ["large", "sent"]),
    ({"before": "2026-11-02T06:13:20.001Z"}, ["first", "old"]),
    ({"after": "2026-11-02T06:13:50.001Z"}, ["large"]),
    ({"minSize": 1500}, ["large"]),
    ({"maxSize": 1500}, ["sent", "file", "answer", "first", "old"]),
    ({"hasKeyword": "$seen"}, ["sent", "answer"]),
    ({"hasKeyword": "$LABEL1"}, ["large"]),
    ({"notKeyword": "$seen"}, ["large", "file", "first", "old"]),
    ({"hasKeyword": "$nobody"}, []),
    ({"allInThreadHaveKeyword": "$seen"}, []),
    ({"allInThreadHaveKeyword": "$flagged"}, ["file"]),
    ({"someInThreadHaveKeyword": "$seen"}, ["sent", "answer", "first"]),
    ({"noneInThreadHaveKeyword": "$seen"}, ["large", "file", "old"]),
    ({"hasAttachment": True}, ["file"]),
    ({"hasAttachment": False}, ["large", "sent", "answer", "first", "old"]),
    ({"subject": "plan"}, ["sent", "answer", "first"]),
    ({"from": "bob"}, ["large", "sent", "file", "answer", "first", "old"]),
    ({"to": "nobody"}, []),
    ({"text": "ÄHNLICHE"}, ["answer"]),
    ({"body": "世界"}, ["large"]),
    ({"body": "haystack needle"}, ["old"]),
    ({"body": '"haystack needle"'}, []),
    ({"body": '"needle in a"'}, ["old"]),
    ({"header": ["In-Reply-To"]}, ["sent", "answer"]),
    ({"header": ["In-Reply-To", ""]}, ["sent", "answer"]),
    ({"header": ["Message-ID", "mine"]}, ["sent"]),
    ({"hasKeyword": "$seen", "text": "word"}, ["sent"]),
    ({"operator": "OR", "conditions": [{"subject": "zebra"}, {"subject": "aardvark"}]}, ["large", "old"]),
    ({"operator": "AND", "conditions": [{"subject": "plan"}, {"notKeyword": "$seen"}]}, ["first"]),
    ({"operator": "NOT", "conditions": [{"subject": "plan"}, {"subject": "file"}]}, ["large", "old"]),
    ({"operator": "AND", "conditions": []}, ["large", "sent", "file", "answer", "first", "old"]),
    ({"operator": "OR", "conditions": []}, []),
]  # fmt: skip


async def test_every_filter(alice: Client) -> None:
    made = await furnish(alice)
    for tree, wanted in FILTERS:
        assert await ask(alice, made, filter=tree) == wanted, tree


async def test_mailbox_filters(alice: Client) -> None:
    made = await furnish(alice)
    inbox, sent = await alice.mailbox("inbox"), await alice.mailbox("sent")
    assert await ask(alice, made, filter={"inMailbox": sent}) == ["sent"]
    assert await ask(alice, made, filter={"inMailbox": "F99999"}) == []
    assert await ask(alice, made, filter={"inMailboxOtherThan": [inbox]}) == ["sent", "old"]
    both = {"operator": "AND", "conditions": [{"inMailbox": inbox}, {"hasKeyword": "$seen"}]}
    assert await ask(alice, made, filter=both) == ["answer"]
    either = {"operator": "OR", "conditions": [{"inMailbox": sent}, {"subject": "File"}]}
    assert await ask(alice, made, filter=either) == ["sent", "file"]


async def test_what_a_filter_says_of_another_mailbox_holds_within_one(alice: Client) -> None:
    made = await furnish(alice)
    inbox, sent = await alice.mailbox("inbox"), await alice.mailbox("sent")
    await alice.call("Email/set", update={made["file"]: {f"mailboxIds/{sent}": True}})
    here = {"inMailbox": inbox}
    for other, wanted in (
        ({"inMailbox": sent}, ["file"]),
        ({"inMailboxOtherThan": [inbox]}, ["file"]),
        ({"inMailboxOtherThan": [sent]}, ["large", "file", "answer", "first"]),
        ({"operator": "NOT", "conditions": [{"inMailbox": sent}]}, ["large", "answer", "first"]),
        ({"operator": "OR", "conditions": [{"inMailbox": sent}, {"subject": "Zebra"}]}, ["large", "file"]),
    ):
        tree = {"operator": "AND", "conditions": [here, other]}
        assert await ask(alice, made, filter=tree) == wanted, other


SORTS: list[tuple[list[dict[str, Any]], list[str]]] = [
    ([{"property": "receivedAt"}], ["old", "first", "answer", "file", "sent", "large"]),
    ([{"property": "subject"}, {"property": "receivedAt"}], ["old", "file", "first", "answer", "sent", "large"]),
    ([{"property": "hasKeyword", "keyword": "$flagged", "isAscending": False}, {"property": "receivedAt"}],
     ["file", "old", "first", "answer", "sent", "large"]),
    ([{"property": "someInThreadHaveKeyword", "keyword": "$seen"}, {"property": "receivedAt"}],
     ["old", "file", "large", "first", "answer", "sent"]),
    ([{"property": "allInThreadHaveKeyword", "keyword": "$flagged", "isAscending": False}, {"property": "receivedAt"}],
     ["file", "old", "first", "answer", "sent", "large"]),
    ([{"property": "from"}, {"property": "to"}, {"property": "sentAt"},
      {"property": "receivedAt", "isAscending": False}], ["large", "sent", "file", "answer", "first", "old"]),
]  # fmt: skip


async def test_every_sort(alice: Client) -> None:
    made = await furnish(alice)
    for sort, wanted in SORTS:
        assert await ask(alice, made, sort=sort) == wanted, sort
    assert (await ask(alice, made, sort=[{"property": "size", "isAscending": False}]))[0] == "large"


async def test_collapsed_threads_show_their_first_match(alice: Client) -> None:
    made = await furnish(alice)
    assert await ask(alice, made, collapseThreads=True) == ["large", "sent", "file", "old"]
    inbox = await alice.mailbox("inbox")
    answer = await alice.call(
        "Email/query", filter={"inMailbox": inbox}, collapseThreads=True, calculateTotal=True
    )
    assert answer["ids"] == [made["large"], made["file"], made["answer"]]
    assert answer["total"] == 3


WINDOWS: list[tuple[dict[str, Any], list[int], int]] = [
    ({"position": 2, "limit": 2}, [2, 3], 2),
    ({"position": -2}, [4, 5], 4),
    ({"position": -9, "limit": 1}, [0], 0),
    ({"position": 9}, [], 9),
    ({"limit": 0}, [], 0),
]


async def test_windows_and_anchors(alice: Client) -> None:
    await furnish(alice)
    whole = (await alice.call("Email/query"))["ids"]
    for arguments, places, position in WINDOWS:
        answer = await alice.call("Email/query", **arguments)
        assert [whole.index(each) for each in answer["ids"]] == places, arguments
        assert answer["position"] == position, arguments
        assert "total" not in answer
    answer = await alice.call("Email/query", anchor=whole[3], anchorOffset=-1, limit=2, calculateTotal=True)
    assert (answer["ids"], answer["position"], answer["total"]) == (whole[2:4], 2, 6)
    assert (await alice.call("Email/query", anchor=whole[1], anchorOffset=-5))["ids"] == whole
    assert await alice.error("Email/query", anchor="M999999") == "anchorNotFound"


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"filter": {"colour": "red"}}, "unsupportedFilter"),
        ({"filter": {"hasAttachment": "yes"}}, "invalidArguments"),
        ({"filter": {"before": "yesterday"}}, "invalidArguments"),
        ({"filter": {"operator": "XOR", "conditions": []}}, "invalidArguments"),
        ({"filter": {"operator": "NOT"}}, "invalidArguments"),
        ({"filter": {"header": []}}, "invalidArguments"),
        ({"filter": "text"}, "invalidArguments"),
        ({"sort": [{"property": "colour"}]}, "unsupportedSort"),
        ({"sort": [{"property": "subject", "collation": "i;nobody"}]}, "unsupportedSort"),
        ({"sort": [{"property": "hasKeyword"}]}, "invalidArguments"),
        ({"limit": -1}, "invalidArguments"),
        ({"position": 1.5}, "invalidArguments"),
        ({"nonsense": 1}, "invalidArguments"),
    ],
)
async def test_what_cannot_be_asked(alice: Client, arguments: dict[str, Any], kind: str) -> None:
    assert await alice.error("Email/query", **arguments) == kind


async def test_a_filter_too_deep_is_refused(alice: Client) -> None:
    tree: dict[str, Any] = {}
    for _ in range(40):
        tree = {"operator": "NOT", "conditions": [tree]}
    assert await alice.error("Email/query", filter=tree) == "unsupportedFilter"


# --- queryChanges -----------------------------------------------------------------------------------------


def spliced(before: list[str], answer: dict[str, Any]) -> list[str]:
    """What a client has after applying the changes (RFC 8620 §5.6)."""
    after = [name for name in before if name not in set(answer["removed"])]
    for item in answer["added"]:
        after.insert(item["index"], item["id"])
    return after


@pytest.mark.parametrize("collapse", [False, True])
async def test_a_client_that_applies_changes_has_the_result(alice: Client, collapse: bool) -> None:
    made = await furnish(alice)
    inbox, archive = await alice.mailbox("inbox"), await alice.mailbox("archive")
    arguments: dict[str, Any] = {"filter": {"inMailbox": inbox}, "collapseThreads": collapse}
    answer = await alice.call("Email/query", **arguments)
    have, state = answer["ids"], answer["queryState"]
    assert answer["canCalculateChanges"] is True
    steps: list[dict[str, Any]] = [
        {"update": {made["answer"]: {"mailboxIds": {archive: True}}}},
        {"update": {made["old"]: {"mailboxIds": {inbox: True}}}},
        {"destroy": [made["large"]]},
        {"update": {made["file"]: {"keywords/$seen": True}}},
        {"update": {made["answer"]: {f"mailboxIds/{inbox}": True}}},
        {"destroy": [made["first"], made["sent"]]},
    ]
    for step in steps:
        await alice.call("Email/set", **step)
        await alice.add(
            letter("Re: Plan", reply_to="Plan", message_id=str(steps.index(step))), received_at=NOW + 99
        )
        changed = await alice.call(
            "Email/queryChanges", sinceQueryState=state, calculateTotal=True, **arguments
        )
        answer = await alice.call("Email/query", **arguments)
        have, state = spliced(have, changed), changed["newQueryState"]
        assert have == answer["ids"], step
        assert changed["total"] == len(have)
    nothing = await alice.call("Email/queryChanges", sinceQueryState=state, **arguments)
    assert (nothing["removed"], nothing["added"], nothing["newQueryState"]) == ([], [], state)


async def test_a_mailbox_with_another_name_moves_no_message(alice: Client) -> None:
    """What is equal stays in its order: nobody is told that it moved (RFC 8620 §5.5)."""
    archive, junk = await alice.mailbox("archive"), await alice.mailbox("junk")
    await alice.add(letter("In the archive"), mailbox="Archive")
    await alice.add(letter("In junk"), mailbox="Junk")
    before = (await alice.call("Email/query"))["ids"]
    try:
        for box, name in ((archive, "Zoo"), (junk, "Aardvark")):
            await alice.call("Mailbox/set", update={box: {"name": name}})
        assert (await alice.call("Email/query"))["ids"] == before
    finally:
        for box, name in ((archive, "Archive"), (junk, "Junk")):
            await alice.call("Mailbox/set", update={box: {"name": name}})


async def test_what_changes_while_changes_are_looked_up_is_told(
    alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await alice.add(letter("Goes elsewhere"))
    inbox, archive = await alice.mailbox("inbox"), await alice.mailbox("archive")
    arguments: dict[str, Any] = {"filter": {"inMailbox": inbox}}
    state = (await alice.call("Email/query", **arguments))["queryState"]
    asked = ("result_of", "visible_changes")
    real = {each: getattr(email_query, each) for each in asked}

    async def between(each: str, *given: Any) -> Any:
        """After the first of the two looks the message goes."""
        found = await real[each](*given)
        if not looked:
            looked.append(each)
            await alice.call("Email/set", update={name: {"mailboxIds": {archive: True}}})
        return found

    looked: list[str] = []
    with monkeypatch.context() as patch:
        for each in asked:
            patch.setattr(email_query, each, partial(between, each))
        first = await alice.call("Email/queryChanges", sinceQueryState=state, **arguments)
    second = await alice.call("Email/queryChanges", sinceQueryState=first["newQueryState"], **arguments)
    assert name in second["removed"]
    assert second["added"] == []


async def test_too_many_changes_and_unknown_states(alice: Client) -> None:
    state = (await alice.call("Email/query"))["queryState"]
    await furnish(alice)
    assert await alice.error("Email/queryChanges", sinceQueryState=state, maxChanges=2) == "tooManyChanges"
    for wrong in ("nonsense", "", "99999999999", "-1"):
        assert await alice.error("Email/queryChanges", sinceQueryState=wrong) == "cannotCalculateChanges"


# --- snippets -----------------------------------------------------------------------------------------------


async def test_snippets_mark_what_was_found(alice: Client) -> None:
    name = await alice.add(letter("Tea <b> & tea", "x " * 200 + "the TEA is <ready> & hot " + "y " * 300))
    other = await alice.add(letter("Nothing"))
    answer = await alice.call("SearchSnippet/get", filter={"text": "tea"}, emailIds=[name, other, "M999999"])
    first, second = answer["list"]
    assert first["subject"] == "<mark>Tea</mark> &lt;b&gt; &amp; <mark>tea</mark>"
    assert "the <mark>TEA</mark> is &lt;ready&gt; &amp; hot" in first["preview"]
    assert len(first["preview"].encode()) <= 255
    assert second == {"emailId": other, "subject": None, "preview": None}
    assert answer["notFound"] == ["M999999"]
    assert (await alice.call("SearchSnippet/get", emailIds=[name]))["list"][0]["subject"] is None
    many = [f"M{i}" for i in range(201)]
    assert await alice.error("SearchSnippet/get", emailIds=many) == "requestTooLarge"


@pytest.mark.parametrize(
    ("text", "word", "shown"),
    [
        ("Die STRASSE ist größer", "straße", "Die <mark>STRASSE</mark> ist größer"),
        ("in der Straße", "strasse", "in der <mark>Straße</mark>"),
        ("ＦＡＸ　番号 & more", "fax", "<mark>ＦＡＸ</mark>　番号 &amp; more"),
        ("Donau\u00addampf fährt", "donaudampf", "<mark>Donau\u00addampf</mark> fährt"),
        ("İSTANBUL'da", "istanbul", "<mark>İSTANBUL</mark>'da"),
        ("我们在邮 局门口", "邮局", "我们在<mark>邮 局</mark>门口"),
    ],
)
async def test_snippets_mark_what_search_takes_for_the_same(
    alice: Client, text: str, word: str, shown: str
) -> None:
    name = await alice.add(letter(text, "ä " + text))
    answer = await alice.call("SearchSnippet/get", filter={"text": word}, emailIds=[name])
    assert answer["list"][0]["subject"] == shown
    assert answer["list"][0]["preview"] == "ä " + " ".join(shown.split())


async def test_the_first_page_reads_the_threads_of_few_emails(
    house: TestHouse, bob: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a client shows first must not wait until the threads of a whole mailbox are read."""
    store = house.app.store
    inbox = await store.mailbox(bob.number, "INBOX")
    assert inbox is not None
    raws = [
        letter(f"{n // 3}", message_id=f"{n}", reply_to=f"{n // 3 * 3}" if n % 3 else "").encode()
        for n in range(2000)
    ]
    await store.commit(
        *(
            AddEmail(
                account_id=bob.number,
                mailbox_id=inbox.mailbox_id,
                content=Content.of(raw.replace(b"\n", b"\r\n")),
                received_at=NOW + at,
            )
            for at, raw in enumerate(raws)
        )
    )
    read: list[int] = []
    threads = store.threads

    async def counted(account_id: int, email_ids: Sequence[int]) -> list[int | None]:
        read.append(len(email_ids))
        return await threads(account_id, email_ids)

    monkeypatch.setattr(store, "threads", counted)
    ask = {"filter": {"inMailbox": await bob.mailbox("inbox")}, "collapseThreads": True, "limit": 50}
    first = await bob.call("Email/query", **ask)
    await bob.get(*first["ids"])
    assert len(first["ids"]) == 50
    assert sum(read) <= limits.JMAP_BEGINNING
    whole = await bob.call("Email/query", **ask, calculateTotal=True)
    assert whole["ids"] == first["ids"]
    assert whole["total"] == 667  # 2,000 messages, three of each thread


async def test_the_beginning_of_a_result_is_the_result_s(
    alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await furnish(alice)
    monkeypatch.setattr(limits, "JMAP_BEGINNING", 3)
    ask = {"collapseThreads": True, "sort": [{"property": "receivedAt"}]}
    parts = [
        (await alice.call("Email/query", **ask, position=position, limit=limit))["ids"]
        for position, limit in ((0, 1), (0, 2), (1, 2), (2, 1), (0, 0), (0, 3), (2, 9))
    ]
    ids = (await alice.call("Email/query", **ask))["ids"]
    assert len(ids) == 4
    assert parts == [ids[:1], ids[:2], ids[1:3], ids[2:3], [], ids[:3], ids[2:]]
