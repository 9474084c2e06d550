"""Whatever people do at once by JMAP, IMAP and delivery, a client that goes by /changes knows exactly what is there.

The client is naive (RFC 8620 §5.2, §5.6): what is created or updated it fetches, of mailboxes only the properties that
are named; what is destroyed it drops; lists follow queryChanges. It never looks again at what it was not told about.
"""

from __future__ import annotations

import asyncio
import imaplib
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.house import PASSWORDS, TestHouse
from tests.jmap.conftest import NOW, Client, letter

ALICE: Final = "alice@example.test"
TYPES: Final = ("Mailbox", "Email", "Thread")
EMAIL_PROPERTIES: Final = ["mailboxIds", "keywords", "threadId", "receivedAt", "size", "subject"]
KEYWORDS: Final = ("$seen", "$flagged", "$draft", "work")
NEWEST: Final = [{"property": "receivedAt", "isAscending": False}]
Act = Callable[[], Awaitable[object]]


class Believer:
    """A client that holds everything, and keeps it by what it is told."""

    def __init__(self, client: Client, dice: random.Random) -> None:
        self.client = client
        self.dice = dice
        self.held: dict[str, dict[str, Any]] = {}
        self.missed: dict[str, set[str]] = {kind: set() for kind in TYPES}
        """Told to be there, and out of sight when it was fetched: should it be back, it is as updated as any other."""
        self.states: dict[str, str] = {}
        self.lists: list[dict[str, Any]] = []

    async def begin(self, queries: list[dict[str, Any]]) -> None:
        """Fetch everything, and the lists of these queries."""
        for kind in TYPES:
            await self._fetch_all(kind)
        self.lists = [await self.listed(query) for query in queries]

    async def _fetch_all(self, kind: str) -> None:
        self.held[kind], self.states[kind] = await self.everything(kind)

    async def everything(self, kind: str) -> tuple[dict[str, Any], str]:
        """What is there, asked for from the ground."""
        ids = None
        if kind != "Mailbox":
            found = await self.client.call("Email/query", limit=1000)
            ids = found["ids"]
        if kind == "Thread":
            heads = await self.client.call("Email/get", ids=ids, properties=["threadId"])
            ids = sorted({one["threadId"] for one in heads["list"]})
        answer = await self.client.call(f"{kind}/get", ids=ids, **_properties(kind))
        return {one["id"]: one for one in answer["list"]}, answer["state"]

    async def listed(self, query: dict[str, Any]) -> dict[str, Any]:
        """A query with its whole result, asked from the ground."""
        answer = await self.client.call("Email/query", **query, limit=1000)
        return {"query": query, "ids": answer["ids"], "state": answer["queryState"]}

    async def sync(self) -> None:
        """Take in what is told."""
        for kind in TYPES:
            await self._changes(kind)
        for held in self.lists:
            await self._query_changes(held)

    async def _changes(self, kind: str) -> None:
        most = self.dice.choice([None, 1, 2, 5])
        while True:
            ((name, answer, _),) = await self.client.calls(
                (f"{kind}/changes", {"sinceState": self.states[kind], "maxChanges": most})
            )
            assert name != "error", answer
            assert most is None or sum(len(answer[k]) for k in ("created", "updated", "destroyed")) <= most
            named = answer.get("updatedProperties")
            await self._fetch(kind, answer["created"], None)
            back = self.missed[kind] & set(answer["updated"])
            updated = set(answer["updated"]) - back
            assert updated <= self.held[kind].keys(), "updated, but never created"
            await self._fetch(kind, sorted(back), None)
            await self._fetch(kind, sorted(updated), named)
            for gone in answer["destroyed"]:
                self.held[kind].pop(gone, None)
                self.missed[kind].discard(gone)
            self.states[kind] = answer["newState"]
            if not answer["hasMoreChanges"]:
                return

    async def _fetch(self, kind: str, names: list[str], properties: list[str] | None) -> None:
        if not names:
            return
        wanted = {"properties": properties} if properties is not None else _properties(kind)
        answer = await self.client.call(f"{kind}/get", ids=names, **wanted)
        for one in answer["list"]:
            self.held[kind][one["id"]] = self.held[kind].get(one["id"], {}) | one
            self.missed[kind].discard(one["id"])
        for gone in answer["notFound"]:
            self.held[kind].pop(gone, None)
            self.missed[kind].add(gone)

    async def _query_changes(self, held: dict[str, Any]) -> None:
        ((name, answer, _),) = await self.client.calls(
            ("Email/queryChanges", held["query"] | {"sinceQueryState": held["state"]})
        )
        assert name != "error", answer
        assert answer["oldQueryState"] == held["state"]
        gone = set(answer["removed"])
        ids = [each for each in held["ids"] if each not in gone]
        for one in answer["added"]:
            assert one["id"] not in ids, "added, but neither removed nor absent"
            assert one["index"] <= len(ids)
            ids.insert(one["index"], one["id"])
        held["ids"], held["state"] = ids, answer["newQueryState"]


def _properties(kind: str) -> dict[str, Any]:
    return {"properties": EMAIL_PROPERTIES} if kind == "Email" else {}


class World:
    """What people do to alice's mail."""

    def __init__(self, house: TestHouse, client: Client, dice: random.Random) -> None:
        self.house, self.client, self.dice = house, client, dice
        self.made = 0

    def act(self) -> Act:
        """Something that somebody does."""
        return self.dice.choices(
            [self.deliver, self.by_imap, self.set_email, self.create_email, self.set_mailbox], [4, 8, 8, 2, 2]
        )[0]

    def _letter(self) -> str:
        self.made += 1
        about = self.dice.choice(["alpha", "beta", "gamma"])
        answer = self.dice.random() < 0.6
        return letter(
            f"{'Re: ' if answer else ''}{about}",
            message_id=f"{about}.{self.made}" if answer or self.made > 6 else about,
            reply_to=self.dice.choice([about, f"{about}.{max(self.made - 3, 0)}"]) if answer else "",
        )

    async def deliver(self) -> None:
        """Mail comes."""
        flags = tuple(self.dice.sample(["\\Seen", "\\Flagged"], self.dice.randint(0, 2)))
        await self.client.add(self._letter(), received_at=NOW + self.dice.randint(0, 50), flags=flags)

    async def by_imap(self) -> None:
        """Somebody at another device."""
        await asyncio.to_thread(self._imap, random.Random(self.dice.random()))

    def _imap(self, dice: random.Random) -> None:
        with imaplib.IMAP4("127.0.0.1", self.house.port("imap")) as imap:
            imap.login(ALICE, PASSWORDS[ALICE])
            _, lines = imap.list()
            names = [line.decode().rpartition(' "/" ')[2].strip('"') for line in lines]  # type: ignore[union-attr]
            name, other = dice.choice([*names, "INBOX", "INBOX"]), dice.choice(names)
            what = dice.choice(["append", "copy", "move", "expunge", "flag", "flag", "unflag", "rename"])
            if what == "append":
                text = self._letter().replace("\n", "\r\n").encode()
                imap.append(name, dice.choice([r"(\Seen)", r"(\Draft)", "(work)", ""]), "", text)
                return
            if what == "rename":
                if name.startswith("Box"):
                    imap.rename(name, f"Box{dice.randint(100, 10_000)}")
                return
            _, (count,) = imap.select(f'"{name}"')
            total = int(count or 0) if (count or b"").isdigit() else 0
            if not total:
                return
            first = dice.randint(1, total)
            chosen = f"{first}:{min(total, first + dice.randint(0, 3))}"
            if what == "copy":
                imap.copy(chosen, f'"{other}"')
            elif what == "move":
                imap._simple_command("MOVE", chosen, f'"{other}"')
            elif what == "expunge":
                imap.store(chosen, "+FLAGS.SILENT", r"(\Deleted)")
                imap.expunge()
            else:
                flags = [r"(\Seen)", r"(\Flagged)", "(work)", r"(\Draft)", r"(\Deleted)"]
                imap.store(chosen, "+FLAGS" if what == "flag" else "-FLAGS", dice.choice(flags))

    async def _some(self) -> list[str]:
        found: list[str] = (await self.client.call("Email/query", limit=1000))["ids"]
        return self.dice.sample(found, min(len(found), self.dice.randint(1, 3)))

    async def _boxes(self) -> list[str]:
        return [box["id"] for box in (await self.client.call("Mailbox/get", ids=None))["list"]]

    async def set_email(self) -> None:
        """Email/set of some: keywords, mailboxes, the end."""
        names, boxes = await self._some(), await self._boxes()
        if self.dice.random() < 0.15:
            await self.client.call("Email/set", destroy=names)
            return
        patches: list[dict[str, Any]] = [
            {f"keywords/{self.dice.choice(KEYWORDS)}": self.dice.choice([True, None])},
            {"keywords": dict.fromkeys(self.dice.sample(KEYWORDS, self.dice.randint(0, 3)), True)},
            {"mailboxIds": dict.fromkeys(self.dice.sample(boxes, self.dice.randint(1, 3)), True)},
            {f"mailboxIds/{self.dice.choice(boxes)}": True},
            {f"mailboxIds/{self.dice.choice(boxes)}": None},
        ]
        await self.client.call("Email/set", update={name: self.dice.choice(patches) for name in names})

    async def create_email(self) -> None:
        """A draft."""
        boxes = self.dice.sample(await self._boxes(), self.dice.randint(1, 2))
        draft = {
            "mailboxIds": dict.fromkeys(boxes, True),
            "keywords": {"$draft": True},
            "subject": self.dice.choice(["alpha", "a draft"]),
            "textBody": [{"partId": "1", "type": "text/plain"}],
            "bodyValues": {"1": {"value": "text"}},
        }
        await self.client.call("Email/set", create={"a": draft})

    async def set_mailbox(self) -> None:
        """Mailbox/set."""
        boxes = (await self.client.call("Mailbox/get", ids=None))["list"]
        own = [box for box in boxes if box["role"] is None]
        if len(own) < 3 or self.dice.random() < 0.4:
            parent = self.dice.choice([None, *(box["id"] for box in own)])
            name = f"Box{self.dice.randint(1, 10_000)}"
            await self.client.call("Mailbox/set", create={"a": {"name": name, "parentId": parent}})
        elif self.dice.random() < 0.5:
            box = self.dice.choice(own)
            await self.client.call(
                "Mailbox/set", update={box["id"]: {"name": f"Box{self.dice.randint(1, 10_000)}"}}
            )
        else:
            box = self.dice.choice(own)
            await self.client.call("Mailbox/set", destroy=[box["id"]], onDestroyRemoveEmails=True)


async def lists_of(client: Client) -> list[dict[str, Any]]:
    """Queries of every kind that a client may follow."""
    inbox, archive = await client.mailbox("inbox"), await client.mailbox("archive")
    return [
        {"filter": None, "sort": None},
        {"filter": {"inMailbox": inbox}, "sort": NEWEST, "collapseThreads": True},
        {"filter": {"inMailbox": inbox}, "sort": NEWEST},
        {"filter": {"inMailbox": archive}, "collapseThreads": True},
        {"filter": {"notKeyword": "$seen"}, "sort": NEWEST, "collapseThreads": True},
        {"filter": {"hasKeyword": "$flagged"}, "sort": [{"property": "size"}]},
        {"filter": {"someInThreadHaveKeyword": "$flagged"}, "sort": NEWEST},
        {"filter": {"allInThreadHaveKeyword": "$seen"}, "collapseThreads": True},
        {"filter": {"inMailboxOtherThan": [inbox]}, "sort": [{"property": "hasKeyword", "keyword": "work"}]},
        {"filter": {"operator": "NOT", "conditions": [{"subject": "alpha"}]}, "sort": NEWEST},
    ]


async def true_to(believer: Believer) -> None:
    """What the client holds is what is there."""
    for kind in TYPES:
        there, state = await believer.everything(kind)
        assert believer.held[kind] == there, kind
        assert believer.states[kind] == state, kind
    for held in believer.lists:
        fresh = await believer.listed(held["query"])
        assert held["ids"] == fresh["ids"], held["query"]


async def at_once(acts: list[Act], believer: Believer) -> None:
    """People do all of it while the client looks."""
    await asyncio.gather(*(act() for act in acts), believer.sync())


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
async def test_who_goes_by_changes_knows_everything(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    house = await TestHouse.open(tmp_path)
    client = Client(house, ALICE, PASSWORDS[ALICE])
    try:
        world = World(house, client, dice)
        for _ in range(6):
            await world.deliver()
        believer = Believer(client, dice)
        await believer.begin(await lists_of(client))
        for _ in range(40):
            acts = [world.act() for _ in range(dice.randint(1, 3))]
            if dice.random() < 0.3:
                await at_once(acts, believer)
            else:
                for act in acts:
                    await act()
            await believer.sync()
            await true_to(believer)
    finally:
        await client.http.aclose()
        await house.close()


@pytest.mark.slow
async def test_so_does_who_sees_a_part(tmp_path: Path) -> None:
    """bob, to whom alice shows two mailboxes: mail comes into his sight and leaves it."""
    dice = random.Random(0)
    house = await TestHouse.open(tmp_path)
    alice, bob = [Client(house, name, PASSWORDS[name]) for name in (ALICE, "bob@example.test")]
    try:
        rights = {f"W{bob.number}": {"mayReadItems": True}}
        shown = [await alice.mailbox(role) for role in ("inbox", "archive")]
        await alice.call("Mailbox/set", update={name: {"shareWith": rights} for name in shown})
        bob.account_id = alice.account_id
        world = World(house, alice, dice)
        believer = Believer(bob, dice)
        await believer.begin(await lists_of(alice))
        for _ in range(40):
            await at_once([world.act() for _ in range(dice.randint(1, 3))], believer)
            await believer.sync()
            await true_to(believer)
    finally:
        for client in (alice, bob):
            await client.http.aclose()
        await house.close()
