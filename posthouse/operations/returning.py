"""What an account has beside its mail, given back to one that has come back from a backup.

The account is disabled until all of it is there; what logs its owner in comes with the commit that enables it, so that
nobody gets in meanwhile without the second factor that was asked for. What is bound to the moment stays out: browser
sessions, subscriptions to push, snoozed and scheduled mail, shares and who was told of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.accounts.factors import factor_key, is_second_factor
from posthouse.errors import NotFound
from posthouse.operations.administration import Method
from posthouse.store import metadata
from posthouse.store.credentials import AddCredential, Credential, CredentialKind, live
from posthouse.store.interface import AddAppPassword, Op, PutAccount, PutItem, Store
from posthouse.store.model import Account, AppPassword

_MOST: Final = {
    CredentialKind.TOTP: 1,
    CredentialKind.RECOVERY: 1,
    CredentialKind.PASSKEY: limits.PASSKEYS,
    CredentialKind.TOKEN: limits.API_TOKENS,
}
"""The kinds that come back, and how many of each an account has."""


ITEM_KINDS: Final = (
    "AddressBook",
    "ContactCard",
    "Identity",
    "VacationResponse",
    "SieveScript",
    "Preferences",
)
"""The kinds of items that come back, as JMAP calls them."""


class KeptItem(msgspec.Struct, frozen=True, kw_only=True):
    """An item as it was."""

    item_id: int
    data: bytes


class Returned(msgspec.Struct, frozen=True, kw_only=True):
    """What an account has again."""

    second_factor: bool
    app_passwords: int
    passkeys: int
    tokens: int
    taken: int
    """Passkeys that another account has by now, and that were left out."""


class Returning:
    """The commands for it."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now

    def commands(self) -> dict[str, Method]:
        """By their names."""
        return {
            "account.return": self.account_return,
            "account.return-items": self.account_return_items,
            "account.return-annotation": self.account_return_annotation,
        }

    async def account_return_items(self, *, address: str, kind: str, items: tuple[KeptItem, ...]) -> None:
        """Give an account some items, under the numbers that they had. NotFound."""
        if kind not in ITEM_KINDS:
            raise ValueError(f"a kind is one of {', '.join(ITEM_KINDS)}")
        account = await self._account(address)
        await self._store.commit(
            *(
                PutItem(
                    account_id=account.account_id, kind=kind, item_id=each.item_id, data=each.data, new=True
                )
                for each in items
            )
        )

    async def account_return_annotation(
        self, *, address: str, mailbox: str, entry: str, value: bytes
    ) -> None:
        """Note something of a mailbox (empty: of the account) again, if it has come back. NotFound."""
        account_id = (await self._account(address)).account_id
        number = metadata.ACCOUNT_WIDE
        if mailbox:
            box = await self._store.mailbox(account_id, mailbox)
            if box is None:
                return
            number = box.mailbox_id
        await self._store.apply(
            metadata.SetMetadata(account_id=account_id, mailbox_id=number, values={entry: value})
        )

    async def account_return(
        self,
        *,
        address: str,
        disabled: bool,
        app_passwords: tuple[AppPassword, ...],
        credentials: tuple[Credential, ...],
    ) -> Returned:
        """Give these to an account that was made disabled for this, and let it be `disabled` as it was. NotFound."""
        account = await self._account(address)
        now = self._now()
        wanted = [each for each in credentials if each.kind in _MOST and live(each, now)]
        if not any(map(is_second_factor, wanted)):
            factors = (CredentialKind.TOTP, CredentialKind.RECOVERY)
            wanted = [each for each in wanted if each.kind not in factors]
        kept = [each for each in wanted if not await self._taken(each)]
        passwords = [each for each in app_passwords if not each.expires_at or each.expires_at > now]
        await self._store.commit(
            *_additions(account, passwords, kept),
            PutAccount(account=msgspec.structs.replace(account, disabled=disabled)),
        )
        kinds = [each.kind for each in kept]
        return Returned(
            second_factor=CredentialKind.TOTP in kinds,
            app_passwords=len(passwords),
            passkeys=kinds.count(CredentialKind.PASSKEY),
            tokens=kinds.count(CredentialKind.TOKEN),
            taken=len(wanted) - len(kept),
        )

    async def _account(self, address: str) -> Account:
        account = await self._store.account(address)
        if account is None:
            raise NotFound(f"no account {address}")
        return account

    async def _taken(self, credential: Credential) -> bool:
        if credential.kind is not CredentialKind.PASSKEY:
            return False
        return await self._store.credential(credential.kind, credential.key) is not None


def _additions(
    account: Account, app_passwords: Sequence[AppPassword], credentials: Sequence[Credential]
) -> list[Op[Any]]:
    number = account.account_id
    ops: list[Op[Any]] = [
        AddAppPassword(
            account_id=number,
            name=each.name,
            password=each.password,
            created_at=each.created_at,
            scope=each.scope,
            expires_at=each.expires_at,
        )
        for each in app_passwords
    ]
    for each in credentials:
        own = each.kind in (CredentialKind.TOTP, CredentialKind.RECOVERY)
        ops.append(
            AddCredential(
                account_id=number,
                kind=each.kind,
                key=factor_key(number) if own else each.key,
                name=each.name,
                data=each.data,
                created_at=each.created_at,
                expires_at=each.expires_at,
                agent=each.agent,
                most=_MOST[each.kind],
            )
        )
    return ops
