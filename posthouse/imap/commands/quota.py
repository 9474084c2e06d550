"""GETQUOTA and GETQUOTAROOT (RFC 9208): what an account holds, and may hold.

Each account is one quota root with one resource, STORAGE; where nothing limits it there is no root. Limits are the
administrator's to set, so there is no SETQUOTA.
"""

from __future__ import annotations

from typing import Final

from posthouse.imap import encode
from posthouse.imap.commands.mailboxes import parse_name
from posthouse.imap.commands.row import AUTHENTICATED, Command, No
from posthouse.imap.grammar import Reader
from posthouse.imap.mailboxes_seen import is_shared_name, opened, shared
from posthouse.imap.session import Session
from posthouse.store.model import Account

_UNIT: Final = 1024
"""RFC 9208 §5.1: octets of what STORAGE counts in."""


def parse_root(reader: Reader, uid: bool) -> bytes:
    """`SP quota-root-name`."""
    reader.sp()
    name = reader.astring()
    reader.end()
    return name


async def run_get_quota(session: Session, name: bytes) -> None:
    """Tell what is used and allowed of one's own root, or of one into which one may put messages."""
    account = await _account_of(session, name)
    limit = await _limit(session, account) if account is not None else 0
    if account is None or not limit:
        raise No(b"NONEXISTENT", "No such quota root")
    session.send(await _quota(session, account, limit))


async def _account_of(session: Session, name: bytes) -> Account | None:
    """RFC 9208 §8: how much others hold is confidential; only who adds to it has to know."""
    if name == _root(session.account):
        return session.account
    owners = [each.owner for each in await shared(session) if "i" in each.rights]
    return next((owner for owner in owners if owner is not None and name == _root(owner)), None)


async def run_get_quota_root(session: Session, mailbox: str) -> None:
    """Tell the root of a mailbox, which need not exist yet (RFC 9208 §4.1.2), and how it stands with it."""
    account = session.account
    if is_shared_name(mailbox):
        account = (await opened(session, mailbox, "i")).owner or account
    limit = await _limit(session, account)
    name = encode.mailbox(mailbox, utf8=session.utf8)
    if not limit:
        session.send(b"* QUOTAROOT %b\r\n" % name)
        return
    session.send(b"* QUOTAROOT %b %b\r\n" % (name, encode.astring(_root(account))))
    session.send(await _quota(session, account, limit))


async def _limit(session: Session, account: Account) -> int:
    """Octets, as they are now: the administrator may have changed them since the login; 0: unlimited."""
    present = await session.store.account_by_id(account.account_id)
    return await session.services.directory.quota(present or account)


def _root(account: Account) -> bytes:
    return account.address.encode("utf-8")


async def _quota(session: Session, account: Account, limit: int) -> bytes:
    usage = await session.store.usage(account.account_id)
    used, most = -(-usage.octets // _UNIT), -(-limit // _UNIT)
    return b"* QUOTA %b (STORAGE %d %d)\r\n" % (encode.astring(_root(account)), used, most)


ROWS = (
    Command(
        name=b"GETQUOTA",
        states=AUTHENTICATED,
        parse=parse_root,
        run=run_get_quota,
        capabilities=(b"QUOTA", b"QUOTA=RES-STORAGE"),
        rfc="RFC 9208 §4.1.1",
    ),
    Command(
        name=b"GETQUOTAROOT",
        states=AUTHENTICATED,
        parse=parse_name,
        run=run_get_quota_root,
        rfc="RFC 9208 §4.1.2",
    ),
)
