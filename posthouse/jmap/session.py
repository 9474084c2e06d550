"""The Session object (RFC 8620 §2): what this login may use, and where."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from posthouse.jmap import capabilities, ids
from posthouse.jmap.context import Services
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


def session_object(services: Services, account: Account, base: str) -> SessionObject:
    """The session of an account; `base`: our address as the client sees it, such as `https://mail.example.org`."""
    account_id = ids.encode(ids.ACCOUNT, account.account_id)
    own = capabilities.of_account(services.message_size) | capabilities.ours(admin=account.admin)
    server = {capabilities.CORE: capabilities.core(services.message_size)}
    server |= {name: {} for name in own} | capabilities.of_server(base, services.vapid)
    return SessionObject(
        capabilities=server,
        accounts={
            account_id: AccountObject(
                name=account.address, is_personal=True, is_read_only=False, account_capabilities=own
            )
        },
        primary_accounts=dict.fromkeys(own, account_id),
        username=account.address,
        api_url=f"{base}/jmap/",
        download_url=f"{base}/jmap/download/{{accountId}}/{{blobId}}/{{name}}?type={{type}}",
        upload_url=f"{base}/jmap/upload/{{accountId}}/",
        event_source_url=f"{base}/jmap/eventsource/?types={{types}}&closeafter={{closeafter}}&ping={{ping}}",
        state=session_state(account),
    )


def session_state(account: Account) -> str:
    """Changes when the Session object does."""
    seen = f"{account.account_id} {account.address} {account.admin} {capabilities.REVISION}"
    return hashlib.blake2b(seen.encode(), digest_size=6).hexdigest()
