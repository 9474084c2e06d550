"""The account that a command names."""

from __future__ import annotations

from typing import Protocol

from posthouse.accounts.addresses import normalize_login
from posthouse.errors import NotFound
from posthouse.store.model import Account


class Accounts(Protocol):
    """Who knows them: the store, or a `Directory`."""

    async def account(self, address: str) -> Account | None:
        """One by its normalized address."""
        ...


async def named_account(accounts: Accounts, address: str, default_domain: str = "") -> Account:
    """The account; a name without @ belongs to the default domain. NotFound; ValueError: it is no address."""
    wanted = normalize_login(address, default_domain)
    account = await accounts.account(wanted)
    if account is None:
        raise NotFound(f"no account {wanted}")
    return account
