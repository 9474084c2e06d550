"""Logging in: what is remembered, what is delayed, and that a guesser learns nothing."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from typing import Any

import msgspec
import pytest

from posthouse import limits
from posthouse.accounts import logins
from posthouse.accounts.addresses import normalize_address
from posthouse.accounts.directory import Directory
from posthouse.accounts.model import LoginDelayed, LoginFailed
from posthouse.accounts.passwords import (
    SCRAM,
    generate_app_password,
    hash_app_password,
    hash_password,
    is_kept_form,
)
from posthouse.errors import StoreUnavailable
from posthouse.sasl.model import Facts, Failed
from posthouse.sasl.plain import LoginExchange, PlainExchange
from posthouse.sasl.scram import derive_keys, format_keys
from posthouse.store.credentials import TouchCredential
from posthouse.store.interface import AddAppPassword, PutAccount, RemoveAppPassword, TouchAppPassword
from posthouse.store.model import Account

STRANGER = "192.0.2.1"
HOME = "198.51.100.7"


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each slow check that is made, by the password tried; the real one is done."""
    made: list[str] = []
    real = logins.verify_password

    def noted(kept: str, password: str) -> bool:
        made.append(password)
        return real(kept, password)

    monkeypatch.setattr(logins, "verify_password", noted)
    return made


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong passwords by the thousand, without the hashing."""
    monkeypatch.setattr(logins, "verify_password", lambda kept, password: password == "secret")


@pytest.mark.parametrize("login", ["alice@north.test", "ALICE@North.Test", "alice", " alice "])
async def test_right_password(directory: Directory, alice: Account, login: str) -> None:
    proved = await directory.authenticate(login, "secret", HOME)
    assert proved.account == alice
    assert proved.mechanism == "PLAIN"


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("alice", "Secret"),
        ("alice", ""),
        ("alice", "x" * 5000),
        ("alice", "se\x00cret"),
        ("nobody", "secret"),
        ("", ""),
        ("@", "secret"),
        ("alice@@north.test", "secret"),
        ("alice@nowhere.test", "secret"),
        ("a" * 100_000, "secret"),
        ("\udcff", "\udcff"),
    ],
)
@pytest.mark.usefixtures("alice")
async def test_wrong_name_or_password(directory: Directory, login: str, password: str) -> None:
    with pytest.raises(LoginFailed) as failed:
        await directory.authenticate(login, password, HOME)
    assert failed.value.public == logins.WRONG


async def test_disabled_account_looks_like_a_wrong_password(
    directory: Directory, store: Any, alice: Account
) -> None:
    await directory.authenticate("alice", "secret", HOME)
    await store.apply(PutAccount(account=msgspec.structs.replace(alice, disabled=True)))
    with pytest.raises(LoginFailed):
        await directory.authenticate("alice", "secret", HOME)


@pytest.mark.usefixtures("alice")
async def test_success_is_remembered_for_minutes(directory: Directory, clock: Any, checks: list[str]) -> None:
    for _ in range(5):
        await directory.authenticate("alice", "secret", HOME)
    assert len(checks) == 1
    clock.time += limits.LOGIN_MEMORY + 1
    await directory.authenticate("alice", "secret", HOME)
    assert len(checks) == 2


@pytest.mark.usefixtures("alice")
async def test_what_is_remembered_holds_no_password(directory: Directory) -> None:
    await directory.authenticate("alice", "secret", HOME)
    assert b"secret" not in repr(directory._logins._right).encode()


async def test_changed_password_ends_the_memory(directory: Directory, store: Any, alice: Account) -> None:
    await directory.authenticate("alice", "secret", HOME)
    await store.apply(PutAccount(account=msgspec.structs.replace(alice, password=hash_password("new"))))
    with pytest.raises(LoginFailed):
        await directory.authenticate("alice", "secret", HOME)
    await directory.authenticate("alice", "new", HOME)


@pytest.mark.usefixtures("alice")
async def test_the_same_password_on_many_connections_is_checked_once(
    directory: Directory, checks: list[str]
) -> None:
    await asyncio.gather(*(directory.authenticate("alice", "secret", HOME) for _ in range(50)))
    assert checks == ["secret"]


async def test_app_password_until_it_is_revoked(
    directory: Directory, store: Any, alice: Account, checks: list[str]
) -> None:
    generated = generate_app_password()
    made = await store.apply(
        AddAppPassword(
            account_id=alice.account_id, name="phone", password=hash_app_password(generated), created_at=0
        )
    )
    for spelling in (generated, generated.replace("-", ""), generated):
        login = await directory.authenticate("alice", spelling, HOME)
        assert login.app_password_id == made.app_password_id
    assert checks == [], "an app password needs no slow hash"
    await asyncio.gather(*directory._last_used._background)
    assert (await store.app_passwords(alice.account_id))[0].last_used_at == 1_000_000
    await store.apply(RemoveAppPassword(account_id=alice.account_id, app_password_id=made.app_password_id))
    with pytest.raises(LoginFailed):
        await directory.authenticate("alice", generated, HOME)


@pytest.mark.usefixtures("alice", "cheap")
async def test_failures_are_delayed_more_and_more(directory: Directory, clock: Any) -> None:
    for i in range(10):
        with pytest.raises(LoginFailed):
            await directory.authenticate("alice", f"guess {i}", STRANGER)
    assert clock.slept[:4] == [0.5, 1.0, 2.0, 4.0]
    assert max(clock.slept) == limits.LOGIN_DELAY_MOST
    assert len(clock.slept) == 10 - limits.LOGIN_FREE_FAILURES


@pytest.mark.usefixtures("alice", "cheap")
async def test_a_thousand_wrong_passwords_from_one_address(directory: Directory) -> None:
    outcomes = await guess(directory, lambda i: (f"user{i}", "guess", STRANGER))
    assert outcomes.count("asked") <= limits.LOGIN_FAILURES_PER_ADDRESS + limits.HASH_THREADS
    with pytest.raises(LoginDelayed):
        await directory.authenticate("alice", "secret", STRANGER)
    await directory.authenticate("alice", "secret", HOME)


@pytest.mark.usefixtures("alice", "cheap")
async def test_a_thousand_wrong_passwords_for_one_account(directory: Directory) -> None:
    await directory.authenticate("alice", "secret", HOME)
    outcomes = await guess(directory, lambda i: ("alice", f"guess {i}", f"203.0.{i // 200}.{i % 200}"))
    assert outcomes.count("asked") <= limits.LOGIN_FAILURES_PER_ACCOUNT + limits.HASH_THREADS
    with pytest.raises(LoginDelayed):
        await directory.authenticate("alice", "secret", "203.0.113.99")
    await directory.authenticate("alice", "secret", HOME)  # strangers do not lock her out of her own house


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.usefixtures("alice", "cheap")
async def test_a_thousand_wrong_passwords_from_this_machine(directory: Directory, known: bool) -> None:
    if known:
        await directory.authenticate("alice", "secret", "127.0.0.1")
    outcomes = await guess(directory, lambda i: ("alice", f"guess {i}", "127.0.0.1"))
    assert outcomes.count("asked") <= limits.LOGIN_FAILURES_PER_ACCOUNT + limits.HASH_THREADS


async def guess(directory: Directory, attempt: Any) -> list[str]:
    """1,000 guesses in crowds of 100, while no time passes."""
    real = asyncio.sleep
    directory._logins._clock = logins.Clock(now=lambda: 1000.0, sleep=lambda _: real(0))

    async def one(i: int) -> str:
        try:
            await directory.authenticate(*attempt(i))
        except LoginDelayed:
            return "delayed"
        except LoginFailed:
            return "asked"
        raise AssertionError("a guess was right")

    outcomes: list[str] = []
    for start in range(0, 1000, 100):
        outcomes += await asyncio.gather(*(one(i) for i in range(start, start + 100)))
    return outcomes


@pytest.mark.usefixtures("alice", "cheap")
async def test_a_ban_ends(directory: Directory, clock: Any) -> None:
    for i in range(100):
        with pytest.raises((LoginFailed, LoginDelayed)):
            await directory.authenticate("alice", f"guess {i}", STRANGER)
        clock.time -= clock.slept.pop() if clock.slept else 0
    with pytest.raises(LoginDelayed):
        await directory.authenticate("alice", "secret", STRANGER)
    clock.time += limits.LOGIN_FORGIVE * 2
    await directory.authenticate("alice", "secret", STRANGER)


@pytest.mark.usefixtures("alice")
async def test_an_old_password_repeated_all_day_bans_nobody(directory: Directory, checks: list[str]) -> None:
    for _ in range(100):
        with pytest.raises(LoginFailed):
            await directory.authenticate("alice", "old", HOME)
    assert checks == ["old"], "the same guess is not hashed again"
    await directory.authenticate("alice", "secret", HOME)


@pytest.mark.usefixtures("alice", "cheap")
async def test_the_tables_are_bounded(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOGIN_MEMORIES", 10)
    for i in range(100):
        with pytest.raises(LoginFailed):
            await directory.authenticate(f"user{i}", "x", f"192.0.{i}.1")
    assert len(directory._logins._wrong) == 10


@pytest.mark.usefixtures("alice")
async def test_too_many_waiting_for_a_hash_are_sent_away(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HASH_WAITING", 3)
    tries = [directory.authenticate(f"user{i}", "x", f"192.0.{i}.1") for i in range(10)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(o, LoginDelayed) for o in outcomes) == 7


@pytest.mark.slow
@pytest.mark.usefixtures("alice")
async def test_unknown_names_take_as_long_as_known_ones(directory: Directory) -> None:
    directory.prepare()
    # Processor time of all threads: what else the machine does is not the directory's doing.
    times: dict[str, list[float]] = {"alice": [], "nobody": []}
    for i in range(12):
        for login, seen in times.items():
            begun = time.process_time()
            with pytest.raises(LoginFailed):
                await directory.authenticate(login, f"guess {i}", f"192.0.{i}.{len(login)}")
            seen.append(time.process_time() - begun)
    known, unknown = (min(seen) for seen in times.values())
    assert unknown == pytest.approx(known, rel=0.25), statistics.median(times["alice"])


@pytest.mark.usefixtures("alice")
async def test_scram_keys_of_unknown_names_are_stable_and_look_alike(directory: Directory) -> None:
    real, fake, again = [
        await directory.scram_keys(name) for name in ("alice", "nobody", "nobody@north.test")
    ]
    assert fake == again
    assert fake != await directory.scram_keys("nobody2")
    assert (fake.iterations, len(fake.salt), len(fake.stored_key)) == (
        real.iterations,
        len(real.salt),
        len(real.stored_key),
    )


async def test_a_use_that_cannot_be_noted_is_noted_the_next_time(
    directory: Directory, store: Any, alice: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for it: the fault is logged, and is not one that nobody has looked at."""
    generated = generate_app_password()
    await store.apply(
        AddAppPassword(
            account_id=alice.account_id, name="phone", password=hash_app_password(generated), created_at=0
        )
    )
    _, token = await directory.bearers.add_token(alice, name="t", scope=(), expires_at=0)
    unseen: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    real = store.apply

    async def away(op: Any) -> Any:
        if isinstance(op, TouchAppPassword | TouchCredential):
            raise StoreUnavailable("away")
        return await real(op)

    with monkeypatch.context() as patch:
        patch.setattr(store, "apply", away)
        await directory.authenticate("alice", generated, HOME)
        assert await directory.bearers.token(token, HOME, "jmap") is not None
        await asyncio.wait([*directory._last_used._background, *directory.bearers._background])
        await asyncio.sleep(0)
    gc.collect()
    assert unseen == []
    directory._logins._right.clear()  # as it is after some minutes
    await directory.authenticate("alice", generated, HOME)
    assert await directory.bearers.token(token, HOME, "jmap") is not None
    await asyncio.wait([*directory._last_used._background, *directory.bearers._background])
    assert (await store.app_passwords(alice.account_id))[0].last_used_at == 1_000_000
    assert (await store.credentials(alice.account_id))[0].last_used_at == 1_000_000


@pytest.mark.slow
async def test_names_and_addresses_that_are_remembered_are_bounded(directory: Directory) -> None:
    """A guesser makes names up, and has a /32 of IPv6 addresses to do it from."""
    counted = directory._logins
    for number in range(60_000):
        counted._count(f"n{number}@north.test", f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::")
        counted.succeeded(f"n{number}@north.test", f"192.0.{number >> 8}.{number & 0xFF}")
        counted._seen_wrong(number.to_bytes(16, "big"))
        counted._remember(number.to_bytes(16, "big"), 0)
    tables = (counted._addresses, counted._known, counted._wrong, counted._right)
    assert [len(table) for table in tables] == [50_000, 50_000, 20_000, 20_000]
    for number in range(60_000):
        counted._count(f"n{number}@north.test", "")
    assert [len(table) for table in (counted._names, counted._pairs)] == [50_000, 50_000]


async def test_a_name_or_password_of_a_kilobyte_is_nobodys(directory: Directory, alice: Account) -> None:
    """Whoever may send a password of a megabyte has it hashed."""
    assert hash_password("p" * 1024)
    with pytest.raises(ValueError, match="longer"):
        hash_password("p" * 1025)
    with pytest.raises(ValueError, match="local@domain"):
        normalize_address("a" * 1024 + "@north.test")
    name, _ = await directory.login_account("x" * 100_000)
    assert len(name) == 1024
    for door in (PlainExchange, LoginExchange):
        long = door(Facts()).begin(b"\0alice\0" + b"p" * 1025 if door is PlainExchange else b"a" * 1025)
        assert isinstance(long, Failed)


@pytest.mark.parametrize(("iterations", "taken"), [(4_096, True), (4_095, False)])
def test_a_hash_from_elsewhere_costs_so_much_at_least(iterations: int, taken: bool) -> None:
    """RFC 7677 §4: at least 4096 iterations."""
    kept = SCRAM + format_keys(derive_keys("secret", b"salt" * 4, iterations))
    assert is_kept_form(kept) is taken
