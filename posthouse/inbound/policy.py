"""Who may send what to whom: the answers to MAIL and RCPT, before any text is read.

Everything that is refused is refused here with a Reply, while the peer is still there to hear it, so that no
bounce has to be written later. The rules: nobody relays without a login; nobody but a login or a host of our own
uses our addresses as sender; a login sends as itself; every postmaster is reached (RFC 5321 §4.5.1).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, Protocol

import msgspec

from posthouse.accounts.addresses import is_returning
from posthouse.accounts.directory import Directory
from posthouse.accounts.model import Destination, DestinationKind, Login
from posthouse.inbound.mail import Via
from posthouse.ip_addresses import read_ip
from posthouse.limits import BACKUP_UNVERIFIED
from posthouse.message.address import normalize_domain
from posthouse.smtp.replies import Reply
from posthouse.smtp.rrvs import CHANGED, valid_since
from posthouse.store.model import Account, DomainKind

ProveSender = Callable[[str, str], Awaitable[bool | None]]
"""Whether SPF lets an IP address send for a reverse-path; None: the DNS cannot be asked now."""

VerifyRecipient = Callable[[str], Awaitable[str]]
"""Whether a backup domain's primary knows an address: "valid", "invalid" or "unknown" (it can't be asked now)."""

SENDER_OK: Final = Reply(250, "2.1.0", "Sender accepted")
RECIPIENT_OK: Final = Reply(250, "2.1.5", "Recipient accepted")
_RELAY: Final = Reply(550, "5.7.1", "Relaying denied: log in to send to other domains")
_OUR_SENDER: Final = Reply(550, "5.7.1", "Addresses of this domain send only after logging in")
# RFC 7208 §8.6: 451 4.4.3 where the DNS does not answer.
_OUR_SENDER_LATER: Final = Reply(451, "4.4.3", "The sender cannot be verified now, try again later")
_NOT_YOURS: Final = Reply(553, "5.7.1", "This login may not send as that address")
_UNKNOWN: Final = Reply(550, "5.1.1", "No such user here")
_DISABLED: Final = Reply(550, "5.2.1", "This mailbox is disabled")
_FULL: Final = Reply(452, "4.2.2", "The mailbox is full, try again later")
_NEVER_FITS: Final = Reply(552, "5.2.2", "The message is larger than the whole mailbox")
_TOO_FAST: Final = Reply(450, "4.7.0", "Too many messages from your network, try again in a minute")
_TOO_MANY_BACK: Final = Reply(450, "4.7.0", "Too much comes back to this sender, try again in an hour")
_NOT_ASKABLE: Final = Reply(451, "4.4.1", "The recipient cannot be verified now, try again later")


class Guard(Protocol):
    """Who looks after the door of port 25 (`junk.guard`)."""

    def admits(self, address: str) -> bool:
        """Whether one more message may come from this address now."""
        ...

    async def springs(self, address: str, recipient: str) -> bool:
        """Whether the recipient is a trap; who stepped into it is remembered."""
        ...

    async def refused(self, address: str) -> None:
        """A recipient was refused; returns when the peer may hear of it."""
        ...


class Returns(Protocol):
    """Who knows the rewritten senders of mail that we have sent on (`sent_on`)."""

    async def origin(self, address: str) -> str | Reply:
        """The sender whom an address of ours stands for, or why it stands for nobody."""
        ...

    def admits(self, origin: str) -> bool:
        """Whether a stranger may send one more message back to this sender now; counts it."""
        ...


class Lists(Protocol):
    """Who knows the addresses that go with mailing lists (`lists`)."""

    async def refuses(self, destination: Destination) -> Reply | None:
        """Why such an address takes nothing; None: it does."""
        ...


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """Who is talking."""

    via: Via
    address: str
    """IP address; empty: by a Unix socket."""
    login: Login | None = None


class Transaction(msgspec.Struct, kw_only=True):
    """What the answers of one transaction depend on, and what they have come to."""

    reverse_path: str
    size: int = 0
    """Octets by SIZE; 0: not told."""
    unverified: int = 0
    """Recipients accepted for a backup domain without knowing them."""


class Policy:
    """The rules. Shared by all sessions; keeps nothing of them."""

    def __init__(
        self,
        directory: Directory,
        *,
        trusted: tuple[str, ...] = (),
        verify_recipient: VerifyRecipient | None = None,
        guard: Guard | None = None,
        prove_sender: ProveSender | None = None,
        returns: Returns | None = None,
        lists: Lists | None = None,
    ) -> None:
        """`trusted`: `inbound.trusted`, networks of our own other hosts. Raises ValueError when one is none."""
        self._guard = guard
        self._directory = directory
        self._trusted = tuple(ip_network(text, strict=False) for text in trusted)
        self._verify = verify_recipient
        self._prove_sender = prove_sender
        self._returns = returns
        self._lists = lists

    # --- MAIL -----------------------------------------------------------------------------------------

    async def mail(self, peer: Peer, transaction: Transaction) -> Reply:
        """May the transaction begin?"""
        sender = transaction.reverse_path
        if peer.login is not None:
            return await self._own_sender(peer.login, sender)
        if peer.via is not Via.MX or self.is_trusted(peer.address):
            return SENDER_OK
        if self._guard is not None and not self._guard.admits(peer.address):
            return _TOO_FAST
        if not sender or not await self.is_ours(sender) or await self._sent_on(sender):
            return SENDER_OK
        # Nobody outside sends as one of our addresses, unless our own SPF record says so; our users log in.
        proved = await self._prove_sender(peer.address, sender) if self._prove_sender is not None else False
        return SENDER_OK if proved else _OUR_SENDER if proved is False else _OUR_SENDER_LATER

    async def _sent_on(self, sender: str) -> bool:
        """Whether we made this reverse-path for mail of another: others may send that on in turn, and to us."""
        if self._returns is None or not is_returning(sender):
            return False
        return isinstance(await self._returns.origin(sender), str)

    async def _own_sender(self, login: Login, sender: str) -> Reply:
        # RFC 6409 §6.1: the sender belongs to the login. The null sender is a read receipt's (RFC 8098 §3);
        # the end of the text shows whether it is one.
        if not sender or await self._directory.may_send_as(login.account, sender):
            return SENDER_OK
        return _NOT_YOURS

    async def is_ours(self, address: str) -> bool:
        """Whether an address is in a domain whose mailboxes are here."""
        domain = await self._directory.domain(normal_domain(address.rpartition("@")[2]))
        return domain is not None and domain.kind is DomainKind.LOCAL

    def is_trusted(self, address: str) -> bool:
        """Whether an IP address is in `inbound.trusted`."""
        return bool(self._trusted) and bool(address) and _within(address, self._trusted)

    # --- RCPT -----------------------------------------------------------------------------------------

    async def rcpt(self, peer: Peer, transaction: Transaction, address: str, rrvs: str = "") -> Reply:
        """May this recipient be added? `rrvs`: who must have had the address since when (RFC 7293)."""
        guard = self._guard if peer.via is Via.MX and not self.is_trusted(peer.address) else None
        if guard is not None and await guard.springs(peer.address, address):
            return _UNKNOWN
        reply = await self._recipient(peer, transaction, address)
        if rrvs and reply.accepted and await self.has_changed_hands(address, valid_since(rrvs)):
            reply = CHANGED
        if guard is not None and not reply.accepted:
            await guard.refused(peer.address)
        return reply

    async def has_changed_hands(self, address: str, since: float) -> bool:
        """Whether a mailbox here is somebody else's than then (RFC 7293 §5.1), as far as its account's age tells."""
        if address.rpartition("@")[0].lower() in ("", "postmaster"):
            return False  # the office is meant, whoever holds it
        account = (await self._directory.destination(address)).account
        return account is not None and account.created_at > since

    async def _recipient(self, peer: Peer, transaction: Transaction, address: str) -> Reply:
        destination = await self._directory.destination(address)
        kind = destination.kind
        if kind is DestinationKind.MAILBOX and destination.account is not None:
            return await self._mailbox(destination.account, transaction.size)
        if kind in (DestinationKind.ALIAS, DestinationKind.REPORTS):
            return RECIPIENT_OK
        if kind in (DestinationKind.LIST, DestinationKind.LIST_SERVICE):
            return await self._of_list(destination)
        if kind is DestinationKind.RETURNING and self._returns is not None:
            return await self._return(peer, destination.address, self._returns)
        if kind in (DestinationKind.UNKNOWN, DestinationKind.RETURNING):
            return _UNKNOWN
        if peer.login is not None:
            return RECIPIENT_OK
        if kind is DestinationKind.BACKUP and peer.via is Via.MX:
            return await self._backup(destination, transaction)
        return _RELAY

    async def _of_list(self, destination: Destination) -> Reply:
        """Who may post is asked when the author is known."""
        if self._lists is None:
            return _UNKNOWN
        service = destination.kind is DestinationKind.LIST_SERVICE
        refusal = await self._lists.refuses(destination) if service else None
        return refusal or RECIPIENT_OK

    async def _return(self, peer: Peer, address: str, returns: Returns) -> Reply:
        # From any sender: hosts ask from another than <> whether a sender exists. What it brings is looked at later.
        found = await returns.origin(address)
        if isinstance(found, Reply):
            return found
        stranger = peer.via is Via.MX and not self.is_trusted(peer.address)
        return _TOO_MANY_BACK if stranger and not returns.admits(found) else RECIPIENT_OK

    async def _mailbox(self, account: Account, size: int) -> Reply:
        if account.disabled:
            return _DISABLED
        room = await self._directory.room(account)
        if room is None or (room and room >= size):
            return RECIPIENT_OK
        # RFC 5321 §4.2.3: 452 while there is no room now, 552 where there never will be.
        whole = await self._directory.quota(account)
        return _NEVER_FITS if size > whole else _FULL

    async def _backup(self, destination: Destination, transaction: Transaction) -> Reply:
        known = await self._verify(destination.address) if self._verify is not None else "unknown"
        if known == "valid":
            return RECIPIENT_OK
        if known == "invalid":
            return _UNKNOWN
        # docs/decisions/backup-recipients.md: hold mail for a few unknown recipients, never for a dictionary.
        transaction.unverified += 1
        return RECIPIENT_OK if transaction.unverified <= BACKUP_UNVERIFIED else _NOT_ASKABLE


def normal_domain(domain: str) -> str:
    """A domain as it is compared, a dot at its end forgiven, as readers of mail do; empty when it is none."""
    try:
        return normalize_domain(domain.rstrip("."))
    except ValueError:
        return ""


def _within(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    try:
        ip = read_ip(address)
    except ValueError:
        return False
    return any(ip in network for network in networks)
