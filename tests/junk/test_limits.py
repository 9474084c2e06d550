"""What strangers, block lists and scanners can make the filter ask, keep and wait for is bounded."""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from posthouse.config import Sending as Settings
from posthouse.errors import Temporary
from posthouse.junk import block_lists, clamav, classifier, greylist, guard, markup, rspamd, sending, tokens
from posthouse.junk.block_lists import BlockList, BlockLists, ListKind
from posthouse.junk.clamav import ClamAv
from posthouse.junk.classifier import Model, _Kept
from posthouse.junk.greylist import Greylist
from posthouse.junk.guard import Counters, Guard
from posthouse.junk.history import STRANGER, History
from posthouse.junk.rspamd import Rspamd
from posthouse.junk.sending import Sending
from posthouse.junk.tokens import Tokens, read_tokens
from posthouse.message.headers import Headers
from posthouse.resolver import AddressAnswer
from posthouse.store.derive import derive
from posthouse.store.interface import AddAccount, Op, PutDomain
from posthouse.store.model import Content, Domain
from posthouse.store.sqlite.store import SqliteStore
from tests.fakes.clock import FakeClock
from tests.fakes.resolver import FakeResolver
from tests.waiting import until

ZONE = """
2.0.0.127.bl.test   A 127.0.0.2
7.2.0.192.bl.test   A 127.0.0.4
2.0.0.127.slow.test A 127.0.0.2
test.dbl.test       A 127.0.1.2
test.dbl2.test      A 127.0.1.2
test.dbl3.test      A 127.0.1.2
"""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(tmp_path / "mail.db", tmp_path / "blobs", derive=derive, now=clock)
    yield store
    await store.close()


# --- block lists ------------------------------------------------------------------------------------------


class Silent(FakeResolver):
    """Never answers what ends so."""

    silent = ".slow.test"

    async def a(self, name: str) -> AddressAnswer:
        if name.endswith(self.silent):
            self.asked.append(("A", name))
            await asyncio.Event().wait()
        return await super().a(name)


async def test_a_silent_list_neither_holds_mail_nor_hides_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_lists, "BLOCK_LIST_TIMEOUT", 0.05)
    resolver = Silent(ZONE)
    both = [BlockList("slow.test", ListKind.ADDRESS), BlockList("bl.test", ListKind.ADDRESS)]
    asking = BlockLists(both, resolver)
    async with asyncio.timeout(1):
        found, silent = await asking.look("192.0.2.7", [], [])
    assert [one.zone for one in found] == ["bl.test"]
    assert silent == ["slow.test: it did not answer in time"]
    asked = resolver.asked.count(("A", "2.0.0.127.slow.test"))
    _, silent = await asking.look("192.0.2.7", [], [])
    assert silent == ["slow.test: it does not answer"], "the next message does not wait for it"
    assert resolver.asked.count(("A", "2.0.0.127.slow.test")) == asked == 1


async def test_a_list_that_is_slow_once_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_lists, "BLOCK_LIST_TIMEOUT", 0.05)
    resolver = Silent(ZONE)
    asking = BlockLists([BlockList("bl.test", ListKind.ADDRESS)], resolver)
    resolver.silent = "9.2.0.192.bl.test"
    assert await asking.look("192.0.2.9", [], []) == ([], ["bl.test: it did not answer in time"])
    found, silent = await asking.look("192.0.2.7", [], [])
    assert [one.code for one in found] == ["127.0.0.4"], "it passed its test: it is believed"
    assert silent == []


async def test_a_message_full_of_domains_takes_no_list_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_lists, "BLOCK_LIST_QUESTIONS", 9)
    digest = hashlib.sha1(b"eve@bad.example").hexdigest()
    resolver = FakeResolver(ZONE + f"{digest}.ebl.test A 127.0.0.2\n")
    zones = [*((f"dbl{n}.test", ListKind.DOMAIN) for n in ("", 2, 3))]
    zones += [("ebl.test", ListKind.HASH), ("bl.test", ListKind.ADDRESS)]
    asking = BlockLists([BlockList(*one) for one in zones], resolver)
    domains = [f"d{number}.example" for number in range(30)]
    found, silent = await asking.look("192.0.2.7", domains, ["eve@bad.example"])
    assert {one.zone for one in found} == {"ebl.test", "bl.test"}
    assert silent == []
    tests = 4 * 2  # lists of hashes have none
    assert len(resolver.asked) == 9 + tests


async def test_answers_of_block_lists_in_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_lists, "BLOCK_LIST_CACHED", 3)
    resolver = FakeResolver(ZONE)
    asking = BlockLists([BlockList("bl.test", ListKind.ADDRESS)], resolver, lambda: 0.0)
    for number in range(10, 20):
        await asking.look(f"192.0.2.{number}", [], [])
    assert len(asking._answers) == 3
    before = len(resolver.asked)
    await asking.look("192.0.2.19", [], [])
    assert len(resolver.asked) == before, "the latest are kept"
    await asking.look("192.0.2.10", [], [])
    assert len(resolver.asked) == before + 1


# --- the greylist -----------------------------------------------------------------------------------------


async def test_a_stranger_may_come_again_neither_too_soon_nor_too_late(
    store: SqliteStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(greylist, "GREY_WAIT", 60.0)
    monkeypatch.setattr(greylist, "GREY_WINDOW", 1000.0)
    monkeypatch.setattr(greylist, "GREY_PASS", 5000.0)
    grey = Greylist(store, clock)

    async def passes(peer: str = "192.0.2.7") -> bool:
        asked = await grey.ask(peer, "", "eve@far.test", "a@us.test")
        await store.commit(*asked.ops)
        return asked.passes

    assert not await passes()
    clock.advance(59)
    assert not await passes()
    clock.advance(942)  # 1001 s after it came first: it is new again
    assert not await passes()
    clock.advance(61)
    assert await passes("192.0.2.8")
    clock.advance(4990)
    assert await passes("192.0.2.9"), "its network is free"
    clock.advance(20)
    assert not await passes()


# --- the door ---------------------------------------------------------------------------------------------


async def test_the_tarpit_holds_a_bounded_number_for_a_bounded_time(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "TARPIT_AFTER", 2)
    monkeypatch.setattr(guard, "TARPIT_STEP", 3.0)
    monkeypatch.setattr(guard, "TARPIT_MOST", 7.0)
    monkeypatch.setattr(guard, "TARPITTED", 4)
    go, waited = asyncio.Event(), list[float]()

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await go.wait()

    door = Guard(store, sleep=sleep)
    held = [asyncio.ensure_future(door.refused("192.0.2.7")) for _ in range(20)]
    await until(lambda: len(waited) == 4)
    assert waited == [3.0, 6.0, 7.0, 7.0]
    await until(lambda: sum(one.done() for one in held) == 16)
    held[2].cancel()  # a client that goes away while it waits makes room
    await until(held[2].done)
    again = asyncio.ensure_future(door.refused("192.0.2.7"))
    await until(lambda: len(waited) == 5)
    go.set()
    await asyncio.gather(*held, again, return_exceptions=True)
    assert door._held == 0


async def test_a_network_may_send_a_multiple_of_what_an_address_may(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "RATE_NETWORK_FACTOR", 3)
    door = Guard(store)
    door.furnish(rate=2, traps=())
    taken = sum(door.admits(f"192.0.2.{number}") for number in range(20))
    assert taken == 6
    assert door.admits("198.51.100.1")


def test_addresses_whose_rates_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "RATES_KEPT", 5)
    counters = Counters(lambda: 0.0)
    for number in range(50):
        counters.add("192.0.2.1")
        counters.add(f"198.51.100.{number}")
    assert len(counters._windows) == 5
    assert counters.add("192.0.2.1") == 51, "who comes often is not forgotten"


def test_counts_are_told_together_but_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "RATES_TOLD", 2.0)
    monkeypatch.setattr(guard, "RATES_TOLD_AT_ONCE", 4)
    now, told = [100.0], list[tuple[str, ...]]()
    counters = Counters(lambda: now[0])
    counters.spread = told.append
    counters.add("a")
    assert told == [("a", "1")]
    for name in ("b", "c", "b"):
        counters.add(name)
    assert len(told) == 1, "within the time they wait"
    now[0] = 102.0
    counters.add("d")
    assert told[1:] == [("b", "2", "c", "1", "d", "1")]
    for name in ("e", "f", "g", "h", "i"):
        counters.add(name)
    assert [len(words) // 2 for words in told[2:]] == [4]


async def test_a_trap_is_remembered_for_its_time_and_traps_sprung_are_bounded(
    store: SqliteStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "TRAP_KEPT", 500.0)
    monkeypatch.setattr(guard, "RATES_KEPT", 3)
    door = Guard(store, wall=clock)
    door.furnish(rate=0, traps=("trap@us.test",))
    for number in range(8):
        assert await door.springs(f"192.0.{number}.1", "trap@us.test")
    assert len(door._trapped) == 3
    clock.advance(499)
    assert await door.suspicion("192.0.0.9"), "it is in the store"
    clock.advance(62)
    assert await door.suspicion("192.0.0.9") == ""
    assert await door.suspicion("192.0.7.1") == ""


# --- what accounts send -----------------------------------------------------------------------------------


async def _nobody_is_told(*_: object) -> Sequence[Op[Any]]:
    return ()


async def test_what_is_remembered_of_accounts_that_send_is_bounded_and_not_lost(
    store: SqliteStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SENDING_CACHED", 3)
    monkeypatch.setattr(sending, "SENDING_NETWORKS", 4)
    brake = Sending(store, History(store), Settings(per_account=10), _nobody_is_told, now=clock)
    accounts = []
    for number in range(6):
        address = f"a@d{number}.test"
        await store.apply(PutDomain(domain=Domain(name=f"d{number}.test"), new=True))
        await store.apply(AddAccount(address=address, password="", created_at=0))
        account = await store.account(address)
        assert account is not None
        accounts.append(account)
    for account in accounts:
        people = [f"p{number}@far.test" for number in range(8)]
        left = await brake.leave(account, "10.1.0.1", people, people)
        assert left.reply is None
        await store.commit(*left.ops)
    assert len(brake._states) == len(brake._domains) == 3
    assert len(brake._saved) <= 3
    assert len(brake._looked) <= 3
    left = await brake.leave(accounts[0], "10.1.0.1", ["x@far.test"] * 3, ["x@far.test"] * 3)
    assert left.reply is not None, "what it sent was written down before it was forgotten"
    for number in range(9):
        left = await brake.leave(accounts[5], f"10.{number}.0.1", ["x@far.test"], ["x@far.test"])
        await store.commit(*left.ops)
        clock.advance(86400)
    state = await brake._state(accounts[5])
    assert state.networks == [f"10.{number}.0.0/16" for number in (5, 6, 7, 8)]


# --- what is read of a message ------------------------------------------------------------------------------


def tokens_in(raw: bytes) -> Tokens:
    return read_tokens(raw, Headers.scan(raw), ())


def parts(count: int) -> bytes:
    inner = b"".join(b"--x\r\nContent-Type: text/plain\r\n\r\nword%03d\r\n" % n for n in range(count))
    return b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + inner + b"--x--\r\n"


def html(source: str) -> bytes:
    return b"Content-Type: text/html\r\n\r\n" + source.encode()


def test_so_many_parts_of_a_message_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "TOKEN_PARTS", 3)
    words = tokens_in(parts(9)).names
    assert ("word002" in words, "word003" in words) == (True, False)


def test_so_much_of_its_text_becomes_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "TOKEN_TEXT", 60)
    text = " ".join(f"word{number}" for number in range(50))
    for raw in (b"\r\n" + text.encode(), html(f"<p>{text}</p>")):
        words = tokens_in(raw).names
        assert ("word5" in words, "word20" in words) == (True, False)


def test_so_much_of_its_html_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "TOKEN_HTML", 200)
    found = tokens_in(html("<a href=https://near.test>x</a>" + " " * 300 + "<a href=https://far.test>x</a>"))
    assert list(found.links) == ["near.test"]


def test_so_many_words_count_with_their_neighbour_and_so_many_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "TOKEN_PAIRS", 3)
    raw = b"\r\n" + " ".join(f"word{number}" for number in range(50)).encode()
    assert [name for name in tokens_in(raw).names if " " in name] == ["word0 word1", "word1 word2"]
    monkeypatch.setattr(tokens, "TOKENS", 7)
    assert len(tokens_in(raw).names) == 7


def test_so_many_links_and_elements_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markup, "MARKUP_LINKS", 2)
    monkeypatch.setattr(markup, "MARKUP_TAGS", 3)
    source = "".join(f"<a href=https://r{n}.test>https://s{n}.test</a><x{n}>" for n in range(5))
    assert list(markup.hosts_linked(source)) == ["r0.test", "s0.test"]
    assert list(markup.misleading_links(source)) == ["s0.test > r0.test", "s1.test > r1.test"]
    assert len(list(markup.tag_tokens(source + "y" * 3000))) == 3


# --- scanners ---------------------------------------------------------------------------------------------

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def scanner(say: Serve) -> AsyncIterator[int]:
    tasks = set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await say(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


LETTER = Content.of(b"Subject: x\r\n\r\ntext\r\n")


async def _silent(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def test_a_virus_scanner_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clamav, "CLAMAV_TIMEOUT", 0.05)
    async with scanner(_silent) as port, asyncio.timeout(2):
        with pytest.raises(Temporary):
            await ClamAv(f"127.0.0.1:{port}").scan(LETTER)


async def test_of_an_endless_answer_of_the_virus_scanner_only_the_beginning_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clamav, "CLAMAV_ANSWER", 100)

    async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * 150)
        await asyncio.Event().wait()

    async with scanner(endless) as port, asyncio.timeout(2):
        with pytest.raises(Temporary):
            await ClamAv(f"127.0.0.1:{port}").scan(LETTER)


async def test_the_virus_scanner_gets_pieces_of_a_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clamav, "CLAMAV_CHUNK", 1000)
    sizes: list[int] = []

    async def clamd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(10) == b"zINSTREAM\0"
        while size := int.from_bytes(await reader.readexactly(4), "big"):
            sizes.append(size)
            await reader.readexactly(size)
        writer.write(b"stream: OK\0")
        await writer.drain()

    async with scanner(clamd) as port:
        assert (await ClamAv(f"127.0.0.1:{port}").scan(Content.of(b"x" * 3500))).virus == ""
    assert sizes == [1000, 1000, 1000, 500]


@pytest.mark.parametrize("begins", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"])
async def test_rspamd_that_says_nothing_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, begins: bytes
) -> None:
    monkeypatch.setattr(rspamd, "RSPAMD_TIMEOUT", 0.05)

    async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(begins)
        await asyncio.Event().wait()

    async with scanner(say) as port, asyncio.timeout(2):
        client = Rspamd(f"http://127.0.0.1:{port}")
        with pytest.raises(Temporary):
            await client.ask(LETTER, {}, ())
        await client.close()


async def test_rspamd_that_drips_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rspamd, "RSPAMD_TOTAL", 0.15)

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with scanner(drip) as port, asyncio.timeout(2):
        client = Rspamd(f"http://127.0.0.1:{port}")
        with pytest.raises(Temporary):
            await client.ask(LETTER, {}, ())
        await client.close()


async def test_an_endless_answer_of_rspamd_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rspamd, "RSPAMD_ANSWER", 1000)

    async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b" " * 1500)
        await asyncio.Event().wait()

    async with scanner(endless) as port, asyncio.timeout(2):
        client = Rspamd(f"http://127.0.0.1:{port}")
        with pytest.raises(Temporary, match="too long"):
            await client.ask(LETTER, {}, ())
        await client.close()


# --- what is remembered of people ---------------------------------------------------------------------------


@pytest.mark.slow
async def test_histories_in_memory_and_domains_written_to_are_bounded(
    store: SqliteStore, clock: FakeClock
) -> None:
    """Strangers choose the addresses that they write from; whose filter looks, keeps what it found."""
    await store.apply(PutDomain(domain=Domain(name="us.test"), new=True))
    account = await store.apply(AddAccount(address="a@us.test", password="", created_at=0))
    history = History(store, clock)
    for start in range(0, 3_000, 100):
        people = [f"p@d{number}.test" for number in range(start, start + 100)]
        await store.commit(*await history.written(account.account_id, people))
    assert len(await history.domains_written_to(account.account_id)) == 2_000
    for number in range(60_000):
        history._remember((account.account_id, f"{number}@far.test"), STRANGER)
    assert len(history._known) == 50_000


def test_a_model_that_somebody_has_blown_up_is_an_empty_one() -> None:
    """A kept filter is unpacked so far: ten kilobytes of zeros can be ten megabytes."""
    large = _Kept(1, 3, 3, {"x" * 9_000_000: 1}, [])
    packed = zlib.compress(msgspec.msgpack.encode(large))
    assert len(packed) < 20_000
    assert Model.unpack(packed).empty
    assert not Model.unpack(zlib.compress(msgspec.msgpack.encode(_Kept(1, 3, 3, {"x": 1}, [])))).empty


@pytest.mark.parametrize(("known", "weighed"), [(149, 149), (150, 150), (400, 150)])
def test_the_hundred_and_fifty_most_telling_words_decide(
    monkeypatch: pytest.MonkeyPatch, known: int, weighed: int
) -> None:
    """However many words stand beside them."""
    names = tuple(f"word{number}" for number in range(known))
    model = Model()
    model.learn(names, junk=True)
    model.learn(("nothing",), junk=False)
    counted: list[int] = []
    monkeypatch.setattr(classifier, "_chi_square", lambda _value, count: counted.append(count) or 0.5)
    model.score(names)
    assert counted == [weighed] * 2
