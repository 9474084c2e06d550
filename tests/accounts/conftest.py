"""A store with a few people, and a clock that moves when told to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from posthouse.accounts.directory import Directory
from posthouse.accounts.logins import Clock
from posthouse.accounts.passwords import hash_password, make_scram
from posthouse.store.derive import derive
from posthouse.store.interface import AddAccount, PutDomain
from posthouse.store.model import Account, Domain
from posthouse.store.sqlite.store import SqliteStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(tmp_path / "mail.db", tmp_path / "blobs", derive=derive)
    for name in ("north.test", "xn--mnchen-3ya.test"):
        await store.apply(PutDomain(domain=Domain(name=name), new=True))
    yield store
    await store.close()


class MovableClock:
    """Time stands still; whoever sleeps moves it on and is written down."""

    def __init__(self) -> None:
        self.time = 1_000_000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def directory(store: Any, clock: MovableClock) -> AsyncIterator[Directory]:
    directory = Directory(
        store,
        default_domain="north.test",
        secret=b"s" * 32,
        clock=Clock(now=clock.now, sleep=clock.sleep),
        wall=clock.now,
    )
    yield directory
    directory.close()


@pytest.fixture(scope="session")
def secret_hashes() -> tuple[str, str]:
    """The kept forms of the password "secret", made once."""
    return hash_password("secret"), make_scram("secret")


@pytest.fixture
async def alice(store: Any, secret_hashes: tuple[str, str]) -> Account:
    password, scram = secret_hashes
    return await store.apply(
        AddAccount(address="alice@north.test", password=password, scram=scram, created_at=0)
    )


@pytest.fixture
async def bob(store: Any, secret_hashes: tuple[str, str]) -> Account:
    password, scram = secret_hashes
    return await store.apply(
        AddAccount(address="bob@north.test", password=password, scram=scram, created_at=0)
    )
