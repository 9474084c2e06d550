"""What every method gets: the house's services, who asks, and what this request has created so far."""

from __future__ import annotations

import enum
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec

from posthouse import limits
from posthouse.accounts.deleted_mail import DeletedMail
from posthouse.accounts.directory import Directory
from posthouse.accounts.masked_addresses import MaskedAddresses
from posthouse.accounts.security import Security
from posthouse.accounts.shared_mailboxes import granted
from posthouse.accounts.sieve_scripts import SieveScripts
from posthouse.accounts.throttle import Throttle
from posthouse.inbound.learnt_addresses import LearntAddresses
from posthouse.inbound.outbox import Outbox
from posthouse.jmap import ids
from posthouse.jmap.card_shelf import CardShelves
from posthouse.jmap.email_extras import EmailExtras
from posthouse.jmap.errors import MethodError
from posthouse.jmap.mail import AccountMail, MailCache
from posthouse.jmap.results import Results
from posthouse.jmap.shared_mail import SharedMail
from posthouse.jmap.via import Via
from posthouse.operations.administration import Administration
from posthouse.operations.client_setup import ClientSetup
from posthouse.resolver import Resolver
from posthouse.store import grants
from posthouse.store.account_model import Item
from posthouse.store.grants import Grant
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
    deleted_mail: DeletedMail
    masked_addresses: MaskedAddresses
    sieve_scripts: SieveScripts[Any]
    resolver: Resolver
    unsubscribe: Callable[[str], Awaitable[int | None]]
    """Posts a one-click unsubscription: the HTTP status; None: nobody on the internet is there (RFC 8058)."""
    vapid: str = ""
    """The public key of Web Push (RFC 9749)."""
    push_wanted: Callable[[int], None] = lambda account_id: None
    """Told which account's push subscriptions have changed."""
    deleted_kept: float = 0.0
    """Seconds for which deleted mail can be brought back."""
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


class Opened(enum.Enum):
    """What a method shows of accounts that share something with the caller."""

    NOTHING = enum.auto()
    MAILBOXES = enum.auto()
    ADDRESS_BOOKS = enum.auto()
    EITHER = enum.auto()

    def shown_by(self, grant: Grant) -> bool:
        """Whether a grant has something of it."""
        mail = bool(grant.mailboxes) and self in {Opened.MAILBOXES, Opened.EITHER}
        return mail or (bool(grant.address_books) and self in {Opened.ADDRESS_BOOKS, Opened.EITHER})


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
        self._grants: dict[int, Item] = {}
        """What other accounts that the present call names let the caller do."""
        self._shared_mail: dict[int, SharedMail] = {}

    # --- accounts --------------------------------------------------------------------------------------

    async def learn(self, *account_ids: str) -> None:
        """Read what other accounts let the caller do; before each call, so that what is revoked ends at once."""
        self._grants.clear()
        self._shared_mail.clear()
        numbers = {ids.decode(ids.ACCOUNT, account_id) for account_id in account_ids}
        for number in numbers - {None, self.account.account_id}:
            assert number is not None
            grant = await granted(self.store, number, self.account.account_id)
            if grant is not None:
                self._grants[number] = grant

    def account_number(
        self, account_id: str, otherwise: str = "accountNotFound", *, opened: Opened = Opened.NOTHING
    ) -> int:
        """The number of an account that the caller may use for what is `opened`.

        Closed but for the owner unless a method says what it shows of other accounts; it must then look at nothing
        of these but through `mail` (or what else knows the grant). MethodError: `otherwise`, or
        accountNotSupportedByMethod where another account shares something, but nothing for this method.
        """
        number = ids.decode(ids.ACCOUNT, account_id)
        if number == self.account.account_id:
            return number
        grant = self._grants.get(number) if number is not None else None
        if number is None or grant is None:
            raise MethodError(otherwise)
        if not opened.shown_by(grants.decode(grant.data)):
            raise MethodError(otherwise.replace("NotFound", "NotSupportedByMethod"))
        return number

    def is_own(self, account_id: int) -> bool:
        """Whether it is the caller's account."""
        return account_id == self.account.account_id

    def grant(self, account_id: int) -> Item:
        """What another account lets the caller do. MethodError accountNotFound: nothing."""
        found = self._grants.get(account_id)
        if found is None:
            raise MethodError("accountNotFound")
        return found

    def mail(self, account_id: int) -> AccountMail:
        """An account's mail: one's own, or what its owner shows of it. MethodError accountNotFound: nothing."""
        if account_id == self.account.account_id:
            return self.services.mail.of(account_id)
        found = self._shared_mail.get(account_id)
        if found is None:
            grant = self.grant(account_id)
            found = SharedMail(self.store, self.services.mail.of(account_id), grant)
            self._shared_mail[account_id] = found
        return found

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
