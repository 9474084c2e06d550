r"""Whatever several sessions do at once, a client that believes every untagged line knows exactly what the store holds.

The model client is naive: EXISTS lengthens its list, EXPUNGE removes a place, VANISHED removes UIDs, FETCH sets what it
says; what it changes itself with .SILENT it assumes. It never looks behind the protocol. Kinds of clients: IMAP4rev1
without extensions, with CONDSTORE, with QRESYNC; the last also loses its connection and resynchronises. Other sessions'
commands also run in the middle of a command, wherever it reads the store. The index's log is kept so short that
views fall behind it.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from posthouse.imap.view import View
from posthouse.ranges import Ranges
from posthouse.store.derive import derive
from posthouse.store.interface import AddAccount, AddEmail, Expunge, PutDomain, SetFlags, Store
from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.model import KEYWORD_SHIFT, SYSTEM_FLAGS, Content, Domain
from posthouse.store.sqlite.store import SqliteStore
from tests.fakes.memory_store import ACCOUNT, MemoryStore
from tests.imap.talk import Talk, settle

RAW = b"From: a@north.test\r\nSubject: news\r\n\r\nText\r\n"
FETCH = re.compile(r"\* (\d+) FETCH \((.*)\)")
FLAGS = ("\\Seen", "\\Deleted", "\\Flagged", "$Work")


class Between:
    """A store whose reads are interrupted: before one is answered, another session does something."""

    READS = frozenset({"keywords", "emails", "messages", "search_text", "stored", "vanished_since"})

    def __init__(self, store: Store) -> None:
        self._store = store
        self.waiting: list[Callable[[], Awaitable[object]]] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in self.READS:
            return method

        async def interrupted(*args: Any) -> Any:
            if self.waiting:
                await self.waiting.pop()()
            return await method(*args)

        return interrupted


class Known:
    """One message as the client knows it."""

    def __init__(self) -> None:
        self.uid: int | None = None
        self.flags: frozenset[str] | None = None


class Client:
    """A naive client on INBOX."""

    def __init__(self, store: Between, account_id: int, kind: str) -> None:
        self.store = store
        self.account_id = account_id
        self.kind = kind
        self.idling: asyncio.Task[None] | None = None
        self.messages: list[Known] = []
        self.modseq = 0
        self.codes: list[int] = []
        self.seen_modseqs: list[int] = []
        self.no_expunge = False
        self.connect()

    def connect(self) -> None:
        self.talk = Talk(self.store, account_id=self.account_id)
        self.talk.session.condstore = self.kind != "plain"
        self.talk.session.qresync = self.kind == "qresync"

    async def select(self, parameters: str = "") -> None:
        if not parameters:
            self.messages = []
        lines = await self.talk("SELECT INBOX" + parameters)
        assert lines[-1].startswith("OK"), lines
        count, told = None, False  # what EXISTS said, until the list is made that long
        self.no_expunge = False
        for line in lines[:-1]:
            if line.endswith(" EXISTS") and not told:
                count, told = int(line.split()[1]), True
                if not parameters:
                    self._lengthen(count)
            elif line.startswith("* OK [UIDVALIDITY "):
                self.uid_validity = line.split()[3].rstrip("]")
            elif line.startswith("* VANISHED (EARLIER) "):
                self._vanished(line.split()[-1], earlier=True)
            elif parameters and (match := FETCH.match(line)) is not None:
                self._fetch_by_uid(match.group(2))
            elif (code := re.match(r"\* OK \[HIGHESTMODSEQ (\d+)\]", line)) is not None:
                self.modseq = int(code.group(1))
            else:
                if re.search(r" EXISTS$| EXPUNGE$|^\* VANISHED ", line) and count is not None:
                    self._lengthen(count)  # what follows is news about the mailbox as EXISTS showed it
                    count = None
                self.untagged(line)
        if count is not None:
            self._lengthen(count)

    def _lengthen(self, count: int) -> None:
        assert len(self.messages) <= count, "more is known than is there"
        self.messages.extend(Known() for _ in range(count - len(self.messages)))

    async def resynchronize(self) -> None:
        """The connection is lost and made again: only what was known counts (RFC 7162 §3.2.5)."""
        known = [message for message in self.messages if message.uid is not None]
        self.messages = known
        self.talk.session.close_view()
        self.connect()
        uids = ",".join(str(message.uid) for message in known)
        await self.select(
            f" (QRESYNC ({self.uid_validity} {max(self.modseq, 1)}{' ' + uids if uids else ''}))"
        )

    async def command(self, text: str, *, expunges: bool = True) -> str:
        self.no_expunge = not expunges
        answer = (await self.talk.raw(text)).decode()
        answer = re.sub(r"\{\d+\}\r\n(From: .*?news\r\n\r\n)?(Text\r\n)?", "X", answer, flags=re.DOTALL)
        *lines, done, end = answer.split("\r\n")
        assert end == ""
        for line in lines:
            self.untagged(line)
        assert " BAD " not in done, (text, done)
        if (code := re.search(r"\[HIGHESTMODSEQ (\d+)\]", done)) is not None:
            self.codes.append(int(code.group(1)))
        # RFC 7162 §6: a HIGHESTMODSEQ code wins, else the highest MODSEQ that was seen.
        self.modseq = self.codes[-1] if self.codes else max(self.modseq, *self.seen_modseqs, 0)
        self.codes.clear()
        self.seen_modseqs.clear()
        return done

    def untagged(self, line: str) -> None:
        if (match := re.fullmatch(r"\* (\d+) EXISTS", line)) is not None:
            count = int(match.group(1))
            assert count > len(self.messages), f"{line} is no news"
            self.messages.extend(Known() for _ in range(count - len(self.messages)))
        elif (match := re.fullmatch(r"\* (\d+) EXPUNGE", line)) is not None:
            assert not self.no_expunge, "EXPUNGE during FETCH, STORE or SEARCH"
            assert self.kind != "qresync"
            del self.messages[int(match.group(1)) - 1]
        elif line.startswith("* VANISHED "):
            assert not self.no_expunge
            assert self.kind == "qresync"
            self._vanished(line.rsplit(maxsplit=1)[-1], earlier=False)
        elif (match := FETCH.match(line)) is not None:
            number, items = int(match.group(1)), match.group(2)
            assert 1 <= number <= len(self.messages), line
            self._set(self.messages[number - 1], items)
        elif (match := re.match(r"\* OK \[HIGHESTMODSEQ (\d+)\]", line)) is not None:
            self.codes.append(int(match.group(1)))

    def _vanished(self, text: str, *, earlier: bool) -> None:
        gone: set[int] = set()
        for item in text.split(","):
            first, _, last = item.partition(":")
            gone.update(range(int(first), int(last or first) + 1))
        for uid in gone:
            place = self._place_of(uid)
            if place is not None:
                del self.messages[place]
            elif not earlier:
                raise AssertionError(f"VANISHED names {uid}, which this client never had")

    def _place_of(self, uid: int) -> int | None:
        """By its UID, or, when that was never fetched, by what stands around it: numbers and UIDs ascend together."""
        for place, message in enumerate(self.messages):
            if message.uid == uid:
                return place
        for place, message in enumerate(self.messages):
            before = [one.uid for one in self.messages[:place] if one.uid is not None]
            after = [one.uid for one in self.messages[place:] if one.uid is not None]
            if message.uid is None and all(one < uid for one in before) and all(one > uid for one in after):
                return place
        return None

    def _fetch_by_uid(self, items: str) -> None:
        uid = int(re.search(r"UID (\d+)", items).group(1))  # type: ignore[union-attr]
        for message in self.messages:
            if message.uid == uid:
                self._set(message, items)

    def _set(self, message: Known, items: str) -> None:
        if (uid := re.search(r"UID (\d+)", items)) is not None:
            assert message.uid in (None, int(uid.group(1))), "the number means another message"
            message.uid = int(uid.group(1))
        if (flags := re.search(r"FLAGS \(([^)]*)\)", items)) is not None:
            message.flags = frozenset(flags.group(1).split())
        if (modseq := re.search(r"MODSEQ \((\d+)\)", items)) is not None:
            self.seen_modseqs.append(int(modseq.group(1)))
        if self.talk.session.condstore and "MODSEQ" not in items and not self.fetching:
            raise AssertionError(f"no MODSEQ in {items}")

    fetching = False

    async def complete(self) -> None:
        """Fetch what is not known yet, as a client does after EXISTS."""
        first = next(
            (i for i, one in enumerate(self.messages, 1) if one.uid is None or one.flags is None), None
        )
        if first is not None:
            self.fetching = True
            await self.command(f"FETCH {first}:* (UID FLAGS)", expunges=False)
            self.fetching = False

    async def up_to_date(self) -> None:
        await self.command("NOOP")
        await self.complete()


def names(bits: int, keywords: tuple[str, ...]) -> frozenset[str]:
    every = (*SYSTEM_FLAGS, *keywords)
    assert len(SYSTEM_FLAGS) == KEYWORD_SHIFT
    return frozenset(name for bit, name in enumerate(every) if bits >> bit & 1)


CLIENTS = st.integers(0, 2)
SPAN = st.tuples(st.integers(1, 12), st.integers(1, 12))
FLAG_SETS = st.sets(st.sampled_from(FLAGS), max_size=2)
SIGNS = st.sampled_from(["", "+", "-"])


class Sessions(RuleBasedStateMachine):
    """Three clients on one mailbox."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clients: list[Client] = []

    def run(self, awaitable: Awaitable[Any]) -> Any:
        return self.loop.run_until_complete(awaitable)

    def teardown(self) -> None:
        async def end() -> None:
            for client in self.clients:
                if client.idling is not None:
                    client.idling.cancel()
                    await asyncio.wait((client.idling,))
            if self.clients:
                await self.close_store()

        self.run(end())
        self.loop.close()

    async def open_store(self, log_length: int) -> None:
        """The store, alice's account and her INBOX."""
        store = MemoryStore(log_length)
        self.index = store.index_of("INBOX")
        self.account_id = ACCOUNT
        self.store = Between(store)  # type: ignore[arg-type]  # MemoryStore has the part that is needed

    async def close_store(self) -> None:
        """Let go of it."""

    def store_of(self, number: int) -> Between:
        """Through which a client is served."""
        return self.store

    def index_of(self, number: int) -> MailboxIndex:
        """What that store knows of INBOX."""
        return self.index

    async def deliver_one(self, flags: frozenset[str] = frozenset()) -> None:
        """A new message in INBOX."""
        await self.store.apply(
            AddEmail(
                account_id=self.account_id, mailbox_id=self.index.mailbox_id, content=Content.of(RAW),
                flags=flags, received_at=1,
            )
        )  # fmt: skip

    @initialize(
        kinds=st.lists(st.sampled_from(["plain", "condstore", "qresync"]), min_size=3, max_size=3),
        count=st.integers(0, 10),
        log_length=st.sampled_from([1, 2, 256]),
    )
    def start(self, kinds: list[str], count: int, log_length: int) -> None:
        self.run(self.open_store(log_length))
        for _ in range(count):
            self.run(self.deliver_one())
        self.clients = [self.client(self.store_of(i), kind) for i, kind in enumerate(kinds)]
        for client in self.clients:
            self.run(self.opened(client))

    def client(self, store: Between, kind: str) -> Client:
        """One of that kind."""
        return Client(store, self.account_id, kind)

    async def opened(self, client: Client) -> None:
        await client.select()
        await client.complete()

    def awake(self, number: int) -> Client:
        """The client, called out of its idling."""
        client = self.clients[number]
        if client.idling is not None:
            self.run(self._done(client))
        return client

    async def _done(self, client: Client) -> None:
        assert client.idling is not None
        task, client.idling = client.idling, None
        client.no_expunge = False
        pushed = client.talk.wire.take() + await client.talk.done(task)
        for line in pushed.decode().split("\r\n")[:-2]:
            client.untagged(line)
        await client.complete()

    @staticmethod
    def span(client: Client, span: tuple[int, int]) -> str | None:
        """A set of message numbers that the client may use."""
        count = len(client.messages)
        if not count:
            return None
        first, last = min(span[0], count), min(span[1], count)
        return f"{first}:{last}"

    # --- what clients do ------------------------------------------------------------------------------

    @rule(number=CLIENTS)
    def noop(self, number: int) -> None:
        self.run(self.awake(number).up_to_date())

    @rule(number=CLIENTS, span=SPAN, sign=SIGNS, flags=FLAG_SETS, silent=st.booleans(), uid=st.booleans())
    def change_flags(
        self, number: int, span: tuple[int, int], sign: str, flags: set[str], silent: bool, uid: bool
    ) -> None:
        client = self.awake(number)
        chosen = self.span(client, span)
        if chosen is not None:
            self.run(self._change(client, chosen, sign, flags, silent, uid))

    async def _change(
        self, client: Client, chosen: str, sign: str, flags: set[str], silent: bool, uid: bool
    ) -> None:
        low, high = sorted(map(int, chosen.split(":")))
        touched = client.messages[low - 1 : high]
        if any(one.uid is None or one.flags is None for one in touched):
            uid = silent = False  # gone before it could be fetched: only its number is known
        if silent:
            for message in touched:
                assert message.flags is not None
                message.flags = {
                    "": frozenset(flags), "+": message.flags | flags, "-": message.flags - flags,
                }[sign]  # fmt: skip
        words = f"{sign}FLAGS{'.SILENT' if silent else ''} ({' '.join(sorted(flags))})"
        if uid:
            chosen = f"{touched[0].uid}:{touched[-1].uid}"
        await client.command(f"{'UID ' if uid else ''}STORE {chosen} {words}", expunges=uid)
        await client.complete()

    @rule(number=CLIENTS)
    def expunge(self, number: int) -> None:
        client = self.awake(number)
        self.run(client.command("EXPUNGE"))
        self.run(client.complete())

    @rule(number=CLIENTS, span=SPAN, mailbox=st.sampled_from(["Archive", "INBOX"]), move=st.booleans())
    def transfer(self, number: int, span: tuple[int, int], mailbox: str, move: bool) -> None:
        client = self.awake(number)
        chosen = self.span(client, span)
        if chosen is not None and len(self.index) < 30:
            self.run(client.command(f"{'MOVE' if move else 'COPY'} {chosen} {mailbox}"))
            self.run(client.complete())

    @rule(
        number=CLIENTS,
        span=SPAN,
        items=st.sampled_from(["FLAGS", "(UID BODY[])", "(BODY.PEEK[HEADER])", "ENVELOPE"]),
    )
    def fetch(self, number: int, span: tuple[int, int], items: str) -> None:
        client = self.awake(number)
        chosen = self.span(client, span)
        if chosen is not None:
            self.run(self._fetch(client, chosen, items))

    async def _fetch(self, client: Client, chosen: str, items: str) -> None:
        client.fetching = True
        await client.command(f"FETCH {chosen} {items}", expunges=False)
        client.fetching = False
        await client.complete()

    @rule(number=CLIENTS)
    def lose_connection(self, number: int) -> None:
        client = self.clients[number]
        if client.kind != "qresync":
            return
        if client.idling is not None:
            self.run(self._done(client))
        self.run(client.resynchronize())
        self.run(client.complete())

    @rule(number=CLIENTS)
    def idle(self, number: int) -> None:
        client = self.awake(number)
        client.idling = self.run(client.talk.idle())

    # --- what happens meanwhile -----------------------------------------------------------------------

    @rule(flags=FLAG_SETS)
    def deliver(self, flags: set[str]) -> None:
        if len(self.index) < 30:
            self.run(self.deliver_one(frozenset(flags)))

    @rule(
        kind=st.sampled_from(["flag", "unflag", "expunge", "deliver"]),
        uid=st.integers(1, 20),
        times=st.integers(1, 2),
    )
    def in_the_middle(self, kind: str, uid: int, times: int) -> None:
        """Something that another session does while the next command reads the store."""
        self.store.waiting = [self._meanwhile(kind, uid + i) for i in range(times)]

    def _meanwhile(self, kind: str, uid: int) -> Callable[[], Awaitable[object]]:
        place = {
            "account_id": self.account_id,
            "mailbox_id": self.index.mailbox_id,
            "uids": Ranges(((uid, uid),)),
        }

        async def happen() -> None:
            if kind == "deliver":
                await self.deliver_one()
            elif kind == "expunge":
                await self.store.apply(Expunge(**place, force=True))
            else:
                action = "add" if kind == "flag" else "remove"
                await self.store.apply(SetFlags(**place, action=action, flags=frozenset({"\\Answered"})))

        return happen

    # --- what must hold -------------------------------------------------------------------------------

    @invariant()
    def whoever_was_told_everything_knows_everything(self) -> None:
        if not self.clients:
            return
        self.run(settle())
        keywords = self.run(self.store.keywords(self.account_id))
        for number, client in enumerate(self.clients):
            view, index = client.talk.session.view, self.index_of(number)
            assert view is not None
            if client.idling is not None:
                self.run(self.pushed(view))  # an idle client is told at once
                continue
            assert len(client.messages) == view.count
            if not view.behind(True) and all(one.flags is not None for one in client.messages):
                assert [one.uid for one in client.messages] == list(index.uids)
                assert [one.flags for one in client.messages] == [
                    names(bits, keywords) for bits in index.flags
                ]

    async def pushed(self, view: View) -> None:
        async with asyncio.timeout(10):
            while view.behind(True):
                await asyncio.sleep(0.0005)


TestSessions = Sessions.TestCase
TestSessions.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestSessions = pytest.mark.slow(TestSessions)


class DurableSessions(Sessions):
    """The same over the embedded engine: each example has an account of its own."""

    async def open_store(self, log_length: int) -> None:
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        store = await SqliteStore.open(folder / "mail.db", folder / "blobs", derive=derive)
        await store.apply(PutDomain(domain=Domain(name="north.test")))
        account = await store.apply(AddAccount(address="alice@north.test", password="", created_at=0))
        inbox = await store.mailbox(account.account_id, "INBOX")
        assert inbox is not None
        self.account_id = account.account_id
        self.index = await store.index(account.account_id, inbox.mailbox_id)
        self.index.log = deque(maxlen=log_length)
        self._end_watch = self.index.watch(
            lambda: None
        )  # the engine keeps it in memory, and with it our short log
        self.store = Between(store)

    async def close_store(self) -> None:
        self._end_watch()
        await self.store.close()
        self._folder.cleanup()


TestDurableSessions = DurableSessions.TestCase
TestDurableSessions.settings = settings(
    max_examples=8, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestDurableSessions = pytest.mark.slow(TestDurableSessions)
