"""What proves who somebody is beside their password, built together: sessions, tokens, second factors, passkeys."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from posthouse.accounts.bearers import Bearers
from posthouse.accounts.factors import Factors
from posthouse.accounts.passkeys import Passkeys
from posthouse.accounts.tickets import Tickets
from posthouse.store.interface import Store


class Security(msgspec.Struct, frozen=True, kw_only=True):
    """The services."""

    bearers: Bearers
    factors: Factors
    passkeys: Passkeys
    tickets: Tickets

    @classmethod
    def of(
        cls, store: Store, bearers: Bearers, secret: bytes, now: Callable[[], float] = time.time
    ) -> Security:
        """All of them; `bearers`: the directory's; `secret`: 32 octets kept over restarts."""
        tickets = Tickets(secret, now)
        return cls(
            bearers=bearers,
            factors=Factors(store, now),
            passkeys=Passkeys(store, tickets, now),
            tickets=tickets,
        )
