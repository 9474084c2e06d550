"""What an account keeps of sessions and tokens has bounds."""

from __future__ import annotations

from typing import Any

import pytest

from posthouse.accounts.bearers import Bearers
from posthouse.errors import Conflict
from posthouse.store.model import Account


async def test_an_account_has_so_many_tokens(store: Any, alice: Account) -> None:
    bearers = Bearers(store)
    for number in range(50):
        await bearers.add_token(alice, name=f"program {number}", scope=(), expires_at=0)
    with pytest.raises(Conflict):
        await bearers.add_token(alice, name="one more", scope=(), expires_at=0)
    assert len(await store.credentials(alice.account_id)) == 50
    bearers.close()


async def test_so_much_is_kept_of_what_a_browser_calls_itself(store: Any, alice: Account) -> None:
    bearers = Bearers(store)
    await bearers.open_session(alice, peer="192.0.2.1", agent="x" * 10_000)
    (session,) = await store.credentials(alice.account_id)
    assert session.agent == "x" * 200
    bearers.close()
