"""The second factor when two windows turn it on at once: what a person is told is what counts."""

from __future__ import annotations

import asyncio
from typing import Any

import pyotp

from posthouse.accounts.factors import Factors, NewTotp, is_second_factor
from posthouse.store.model import Account

NOW = 1_790_000_000.0


async def is_on(store: Any, account: Account) -> bool:
    return any(is_second_factor(item) for item in await store.credentials(account.account_id))


async def test_confirmed_twice_at_once_the_shown_codes_are_the_good_ones(store: Any, alice: Account) -> None:
    factors = Factors(store, lambda: NOW)
    code = pyotp.TOTP((await factors.begin_totp(alice)).secret).at(int(NOW))
    both = await asyncio.gather(*(factors.confirm_totp(alice, code) for _ in range(2)))
    (shown,) = [codes for codes in both if codes is not None]
    assert await is_on(store, alice)
    for paper in shown:
        assert await factors.check_code(alice, paper)


async def test_begun_anew_while_confirmed_one_of_the_two_is_refused(store: Any, alice: Account) -> None:
    factors = Factors(store, lambda: NOW)
    code = pyotp.TOTP((await factors.begin_totp(alice)).secret).at(int(NOW))
    codes, anew = await asyncio.gather(
        factors.confirm_totp(alice, code), factors.begin_totp(alice), return_exceptions=True
    )
    told_on = isinstance(codes, tuple)
    assert told_on or codes is None
    assert await is_on(store, alice) == told_on, "codes are shown of a factor that is on, and it stays on"
    assert isinstance(anew, NewTotp) != told_on


async def test_new_codes_twice_at_once_leave_one_set(store: Any, alice: Account) -> None:
    factors = Factors(store, lambda: NOW)
    both = await asyncio.gather(*(factors.new_recovery_codes(alice) for _ in range(2)))
    assert sorted([await factors.check_code(alice, codes[0]) for codes in both]) == [False, True]
