"""The Session object (RFC 8620 §2): what this login may use, and where."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from posthouse import limits
from posthouse.accounts import mailbox_rights
from posthouse.accounts.shared_mailboxes import received
from posthouse.jmap import capabilities, ids
from posthouse.jmap.context import Services
from posthouse.store import grants
from posthouse.store.account_model import Item
from posthouse.store.grants import Grant
from posthouse.store.interface import Store
from posthouse.store.model import Account


class AccountObject(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """RFC 8620 §2, `accounts`."""

    name: str
    is_personal: bool
    is_read_only: bool
    account_capabilities: dict[str, dict[str, Any]]


class SessionObject(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """RFC 8620 §2."""

    capabilities: dict[str, dict[str, Any]]
    accounts: dict[str, AccountObject]
    primary_accounts: dict[str, str]
    username: str
    api_url: str
    download_url: str
    upload_url: str
    event_source_url: str
    state: str


async def session_object(services: Services, account: Account, base: str) -> SessionObject:
    """The session of an account; `base`: our address as the client sees it, such as `https://mail.example.org`."""
    account_id = ids.encode(ids.ACCOUNT, account.account_id)
    state = await session_state(services.store, account)
    own = own_account(services, account)
    used = own.account_capabilities.keys() - {capabilities.OWNER}
    server = {capabilities.CORE: capabilities.core(services.message_size)}
    server |= {name: {} for name in used} | capabilities.of_server(base, services.vapid)
    return SessionObject(
        capabilities=server,
        accounts={account_id: own} | await _shared_accounts(services, account),
        primary_accounts=dict.fromkeys(sorted(used), account_id),
        username=account.address,
        api_url=f"{base}/jmap/",
        download_url=f"{base}/jmap/download/{{accountId}}/{{blobId}}/{{name}}?type={{type}}",
        upload_url=f"{base}/jmap/upload/{{accountId}}/",
        event_source_url=f"{base}/jmap/eventsource/?types={{types}}&closeafter={{closeafter}}&ping={{ping}}",
        state=state,
    )


def own_account(services: Services, account: Account) -> AccountObject:
    """One's own account."""
    own = capabilities.of_account(services.message_size) | capabilities.ours(
        admin=account.admin, deleted_kept=services.deleted_kept, retention=services.retention
    )
    principals = {
        capabilities.PRINCIPALS: {"currentUserPrincipalId": ids.encode(ids.PRINCIPAL, account.account_id)}
    }
    return AccountObject(
        name=account.address,
        is_personal=True,
        is_read_only=False,
        account_capabilities=own | principals | _owned(account, account),
    )


def _owned(owner: Account, caller: Account) -> dict[str, dict[str, Any]]:
    """RFC 9670 §1.5.2: whose account it is. Everybody finds Principals in their own account."""
    where = ids.encode(ids.ACCOUNT, caller.account_id)
    who = ids.encode(ids.PRINCIPAL, owner.account_id)
    return {capabilities.OWNER: {"accountIdForPrincipal": where, "principalId": who}}


async def _shared_accounts(services: Services, account: Account) -> dict[str, AccountObject]:
    """RFC 9670 §1.4: other accounts in which the caller subscribes to something."""
    found: dict[str, AccountObject] = {}
    for owner, grant in await received(services.store, account.account_id):
        if not subscribes(grants.decode(grant.data)):
            continue
        shown = await shared_account(services, owner, account, grant)
        if shown is not None:
            found[ids.encode(ids.ACCOUNT, owner.account_id)] = shown
    return found


def subscribes(grant: Grant) -> bool:
    """Whether anything of a grant is subscribed to."""
    return any(share.subscribed for share in (*grant.mailboxes.values(), *grant.address_books.values()))


async def shared_account(
    services: Services, owner: Account, caller: Account, grant: Item | None
) -> AccountObject | None:
    """Somebody's account as the caller may use it; None: not at all."""
    if owner.account_id == caller.account_id:
        return own_account(services, owner)
    if grant is None:
        return None
    given = grants.decode(grant.data)
    able: dict[str, dict[str, Any]] = {}
    if given.mailboxes:
        able[capabilities.MAIL] = capabilities.mail(services.message_size) | {
            "mayCreateTopLevelMailbox": False
        }
        able[capabilities.BLOB] = capabilities.blob(services.message_size)
    if given.address_books:
        most = {"maxAddressBooksPerCard": limits.ADDRESS_BOOKS, "mayCreateAddressBook": False}
        able[capabilities.CONTACTS] = most
        able.setdefault(capabilities.BLOB, capabilities.blob(services.message_size))
    if not able:
        return None
    return AccountObject(
        name=owner.address,
        is_personal=False,
        is_read_only=not any(set(share.rights) - {mailbox_rights.READ} for share in given.mailboxes.values()),
        account_capabilities=able | _owned(owner, caller),
    )


async def session_state(store: Store, account: Account) -> str:
    """Changes when the Session object does."""
    shared = (await store.states(account.account_id)).kinds.get(grants.RECEIVED, 0)
    seen = f"{account.account_id} {account.address} {account.admin} {shared} {capabilities.REVISION}"
    return hashlib.blake2b(seen.encode(), digest_size=6).hexdigest()
