"""A store with a few people, and a clock that moves when told to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from posthouse.accounts.directory import Directory
from posthouse.accounts.logins import Clock
from posthouse.accounts.passwords import hash_password, make_scram
from posthouse.store.interface import (
    AddAccount,
    AddAppPassword,
    PutAccount,
    PutAlias,
    PutDomain,
    RemoveAppPassword,
    TouchAppPassword,
)
from posthouse.store.model import Account, Alias, AppPassword, Domain, Usage


class MemoryStore:
    def __init__(self) -> None:
        self.d: dict[str, Domain] = {}
        self.a: dict[str, Account] = {}
        self.al: dict[str, Alias] = {}
        self.ap: dict[int, AppPassword] = {}
        self.w: list[Callable[[], None]] = []
        self.used = 0

    async def apply(self, op: Any) -> Any:
        result = None
        match op:
            case PutDomain():
                self.d[op.domain.name] = op.domain
            case AddAccount():
                result = Account(
                    account_id=len(self.a) + 1,
                    address=op.address,
                    display_name="",
                    password=op.password,
                    scram=op.scram,
                    quota=op.quota,
                    disabled=False,
                    admin=op.admin,
                    created_at=0,
                )
                self.a[op.address] = result
            case PutAccount():
                self.a[op.account.address] = op.account
            case PutAlias():
                self.al[op.alias.address] = op.alias
            case AddAppPassword():
                result = AppPassword(
                    app_password_id=len(self.ap) + 1,
                    account_id=op.account_id,
                    name=op.name,
                    password=op.password,
                    created_at=0,
                    last_used_at=0,
                )
                self.ap[result.app_password_id] = result
            case RemoveAppPassword():
                del self.ap[op.app_password_id]
            case TouchAppPassword():
                import msgspec

                self.ap[op.app_password_id] = msgspec.structs.replace(
                    self.ap[op.app_password_id], last_used_at=op.at
                )
        for heard in self.w:
            heard()
        return result

    def watch_people(self, heard: Callable[[], None]) -> Callable[[], None]:
        self.w.append(heard)
        return lambda: self.w.remove(heard)

    async def domains(self) -> tuple[Domain, ...]:
        return tuple(self.d.values())

    async def accounts(self, domain: str = "") -> tuple[Account, ...]:
        return tuple(self.a.values())

    async def account(self, address: str) -> Account | None:
        return self.a.get(address)

    async def alias(self, address: str) -> Alias | None:
        return self.al.get(address)

    async def app_passwords(self, account_id: int) -> tuple[AppPassword, ...]:
        return tuple(a for a in self.ap.values() if a.account_id == account_id)

    async def usage(self, account_id: int) -> Usage:
        return Usage(octets=self.used, messages=1)

    async def close(self) -> None:
        pass


@pytest.fixture
async def store() -> AsyncIterator[Any]:
    store = MemoryStore()
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
