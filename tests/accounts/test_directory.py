"""Where mail for an address goes, who may send as whom, and that answers are fast and never stale."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from posthouse import limits
from posthouse.accounts.directory import Directory
from posthouse.accounts.model import DestinationKind
from posthouse.errors import Permanent
from posthouse.store.interface import PutAccount, PutAlias, PutDomain
from posthouse.store.model import Account, Alias, Domain, DomainKind
from tests.machine import slowness

pytestmark = pytest.mark.usefixtures("alice", "bob")


async def add_alias(store: Any, address: str, *targets: str) -> None:
    await store.apply(PutAlias(alias=Alias(address=address, targets=targets), new=True))


@pytest.mark.parametrize(
    ("address", "kind", "tag"),
    [
        ("alice@north.test", DestinationKind.MAILBOX, ""),
        ("Alice@North.Test", DestinationKind.MAILBOX, ""),
        ('"alice"@north.test', DestinationKind.MAILBOX, ""),
        ("alice+shop@north.test", DestinationKind.MAILBOX, "shop"),
        ("alice+a+b@north.test", DestinationKind.MAILBOX, "a+b"),
        ("nobody@north.test", DestinationKind.UNKNOWN, ""),
        ("+alice@north.test", DestinationKind.UNKNOWN, ""),
        ("carol@south.test", DestinationKind.REMOTE, ""),
        ("carol@[192.0.2.1]", DestinationKind.REMOTE, ""),
        ("no address", DestinationKind.UNKNOWN, ""),
    ],
)
async def test_destination(directory: Directory, address: str, kind: DestinationKind, tag: str) -> None:
    found = await directory.destination(address)
    assert (found.kind, found.tag) == (kind, tag)
    if kind is DestinationKind.MAILBOX:
        assert found.account is not None
        assert found.account.address == "alice@north.test"


async def test_domain_in_unicode_is_the_same_domain(
    directory: Directory, store: Any, secret_hashes: Any
) -> None:
    found = await directory.destination("info@München.test")
    assert found.address == "info@xn--mnchen-3ya.test"
    assert found.kind is DestinationKind.UNKNOWN


async def test_backup_domain(directory: Directory, store: Any) -> None:
    await store.apply(PutDomain(domain=Domain(name="south.test", kind=DomainKind.BACKUP), new=True))
    found = await directory.destination("carol@south.test")
    assert found.kind is DestinationKind.BACKUP
    assert found.domain is not None


@pytest.mark.parametrize(
    ("collector", "kind"),
    [
        ("alice@north.test", DestinationKind.MAILBOX),
        ("all@north.test", DestinationKind.ALIAS),
        ("collector@south.test", DestinationKind.ALIAS),
        ("gone@north.test", DestinationKind.UNKNOWN),
    ],
)
async def test_catch_all(directory: Directory, store: Any, collector: str, kind: DestinationKind) -> None:
    await add_alias(store, "all@north.test", "alice@north.test", "bob@north.test")
    await store.apply(PutDomain(domain=Domain(name="north.test", catch_all=collector)))
    found = await directory.destination("anything@north.test")
    assert found.kind is kind
    assert found.address == "anything@north.test"


@pytest.mark.parametrize("address", ["postmaster", "Postmaster@north.test"])
async def test_postmaster_reaches_an_administrator(
    directory: Directory, store: Any, bob: Account, address: str
) -> None:
    await store.apply(PutAccount(account=msgspec.structs.replace(bob, admin=True)))
    found = await directory.destination(address)
    assert found.account is not None
    assert found.account.address == "bob@north.test"


async def test_a_change_is_seen_at_once(directory: Directory, store: Any) -> None:
    assert (await directory.destination("team@north.test")).kind is DestinationKind.UNKNOWN
    await add_alias(store, "team@north.test", "bob@north.test")
    assert (await directory.destination("team@north.test")).kind is DestinationKind.ALIAS


async def test_an_answer_that_was_on_its_way_during_a_change_is_not_kept(
    directory: Directory, store: Any
) -> None:
    ask = store.alias

    async def slow(address: str) -> Any:
        answer = await ask(address)
        store.alias = ask
        await add_alias(store, "team@north.test", "bob@north.test")
        return answer

    store.alias = slow
    assert (await directory.destination("team@north.test")).kind is DestinationKind.UNKNOWN
    assert (await directory.destination("team@north.test")).kind is DestinationKind.ALIAS


async def test_aliases_are_followed_and_loops_are_cut(directory: Directory, store: Any) -> None:
    await add_alias(store, "all@north.test", "team@north.test", "alice@north.test", "carol@south.test")
    await add_alias(store, "team@north.test", "all@north.test", "Bob@north.test", "alice@north.test")
    found = await directory.expand("all@north.test")
    assert sorted(d.address for d in found) == ["Bob@north.test", "alice@north.test", "carol@south.test"]


async def test_only_their_host_knows_which_local_parts_are_equal(directory: Directory, store: Any) -> None:
    """RFC 5321 §2.4: so of several spellings none is left out."""
    targets = ("stra\u00dfe@south.test", "strasse@south.test", "Strasse@south.test", "strasse@SOUTH.test")
    await add_alias(store, "all@north.test", *targets)
    assert [d.address for d in await directory.expand("all@north.test")] == list(targets[:3])


async def test_a_nest_of_aliases_ends_at_its_depth(directory: Directory, store: Any) -> None:
    for i in range(limits.ALIAS_DEPTH + 3):
        await add_alias(store, f"a{i}@north.test", f"a{i + 1}@north.test", f"u{i}@south.test")
    found = await directory.expand("a0@north.test")
    assert f"u{limits.ALIAS_DEPTH - 1}@south.test" in [d.address for d in found]
    assert f"u{limits.ALIAS_DEPTH + 1}@south.test" not in [d.address for d in found]


async def test_an_alias_for_too_many_is_refused(
    directory: Directory, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ALIAS_TARGETS", 10)
    await add_alias(store, "all@north.test", *(f"u{i}@south.test" for i in range(20)))
    with pytest.raises(Permanent):
        await directory.expand("all@north.test")


async def test_who_may_send_as_whom(directory: Directory, store: Any, alice: Account, bob: Account) -> None:
    await add_alias(store, "team@north.test", "list@north.test")
    await add_alias(store, "list@north.test", "bob@north.test")
    expected = {
        "alice@north.test": (True, False),
        "ALICE+x@north.test": (True, False),
        "bob@north.test": (False, True),
        "team@north.test": (False, True),
        "nobody@north.test": (False, False),
        "alice@south.test": (False, False),
        "": (False, False),
    }
    for address, (as_alice, as_bob) in expected.items():
        assert await directory.may_send_as(alice, address) is as_alice, address
        assert await directory.may_send_as(bob, address) is as_bob, address


async def test_known_answers_cost_microseconds_and_do_not_suspend(directory: Directory) -> None:
    await directory.destination("alice@north.test")
    question = directory.destination("alice@north.test")
    with pytest.raises(StopIteration):
        question.send(None)  # it returned without giving the loop back
    begun = time.perf_counter()
    for _ in range(10_000):
        await directory.destination("alice@north.test")
    assert (time.perf_counter() - begun) / 10_000 < 20e-6 * slowness()


async def test_the_caches_are_bounded(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DIRECTORY_CACHE", 50)
    for i in range(200):
        await directory.destination(f"nobody{i}@north.test")
    assert len(directory._destinations) == 50
    assert len(directory._accounts) == 50
