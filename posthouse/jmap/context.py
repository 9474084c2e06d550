"""What every method gets: the house's services, who asks, and what this request has created so far."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import msgspec

from posthouse import limits
from posthouse.accounts.directory import Directory
from posthouse.accounts.security import Security
from posthouse.accounts.throttle import Throttle
from posthouse.inbound.learnt_addresses import LearntAddresses
from posthouse.inbound.outbox import Outbox
from posthouse.jmap import ids
from posthouse.jmap.card_shelf import CardShelves
from posthouse.jmap.email_extras import EmailExtras
from posthouse.jmap.errors import MethodError
from posthouse.jmap.mail import AccountMail, MailCache
from posthouse.jmap.results import Results
from posthouse.jmap.via import Via
from posthouse.operations.administration import Administration
from posthouse.operations.client_setup import ClientSetup
from posthouse.resolver import Resolver
from posthouse.store.interface import Store
from posthouse.store.model import Account

T = TypeVar("T")
NOBODY: Final = Via()


class Caches(msgspec.Struct, frozen=True):
    """What methods remember of the store."""

    mail: MailCache
    results: Results
    cards: CardShelves
    pushes: Throttle
    """Push subscriptions made lately, by account."""

    @classmethod
    def of(cls, store: Store) -> Caches:
        """Empty ones."""
        pushes = Throttle(
            most=limits.PUSH_CREATED, forgive=limits.PUSH_CREATED_FORGOTTEN, size=limits.JMAP_ACCOUNTS
        )
        return cls(MailCache(store), Results(), CardShelves(store), pushes)


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What methods work on; built once by `app.py`."""

    store: Store
    directory: Directory
    caches: Caches
    security: Security
    administration: Callable[[], Administration]
    client_setup: ClientSetup
    hostname: str
    message_size: int
    outbox: Outbox
    learnt_addresses: LearntAddresses
    resolver: Resolver
    unsubscribe: Callable[[str], Awaitable[int | None]]
    """Posts a one-click unsubscription: the HTTP status; None: nobody on the internet is there (RFC 8058)."""
    vapid: str = ""
    """The public key of Web Push (RFC 9749)."""
    push_wanted: Callable[[int], None] = lambda account_id: None
    """Told which account's push subscriptions have changed."""
    email_extras: EmailExtras = EmailExtras()
    now: Callable[[], float] = time.time

    @property
    def mail(self) -> MailCache:
        """The mail of accounts as it was last seen."""
        return self.caches.mail

    @property
    def results(self) -> Results:
        """Whole results of queries."""
        return self.caches.results

    @property
    def cards(self) -> CardShelves:
        """The contacts of accounts."""
        return self.caches.cards


class Context:
    """One request."""

    def __init__(
        self,
        services: Services,
        account: Account,
        *,
        using: frozenset[str],
        created: dict[str, str],
        via: Via = NOBODY,
        app_password_id: int | None = None,
    ) -> None:
        self.services = services
        self.store = services.store
        self.account = account
        """Who asks."""
        self.via = via
        """How they have proved it."""
        self.app_password_id = app_password_id
        """With which app password; None: with another proof."""
        self.using = using
        self.created = created
        """Creation id → id, of the client's `createdIds` and of this request."""

    def account_number(self, account_id: str, otherwise: str = "accountNotFound") -> int:
        """The number of an account that the caller may use. MethodError accountNotFound."""
        if ids.decode(ids.ACCOUNT, account_id) != self.account.account_id:
            raise MethodError(otherwise)
        return self.account.account_id

    def mail(self, account_id: int) -> AccountMail:
        """An account's mail."""
        return self.services.mail.of(account_id)

    def resolve_id(self, text: str) -> str | None:
        """An id, or for `#creation` the id of what was created; None when nothing was."""
        return self.created.get(text[1:]) if text.startswith("#") else text

    def by_id(self, update: dict[str, T] | None) -> dict[str, T]:
        """What is asked of objects, under their ids: a `#creation` key is answered by the id that it stands for.

        RFC 8620 §5.3: the keys of `updated` and `notUpdated` are ids. A key for which there is none, or whose object
        has a key of its own beside it, stays.
        """
        named = update or {}
        ids = {key: self.resolve_id(key) or key for key in named}
        return {key if ids[key] != key and ids[key] in named else ids[key]: named[key] for key in named}

    def ids_of(self, destroy: list[str] | None) -> list[str]:
        """The same for what is to be destroyed, each once."""
        return list(dict.fromkeys(self.resolve_id(name) or name for name in destroy or ()))
