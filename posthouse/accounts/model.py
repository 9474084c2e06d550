"""What the directory answers."""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from posthouse.errors import PosthouseError, Temporary
from posthouse.store.mailing_lists import MailingList
from posthouse.store.masked_model import MaskedAddress
from posthouse.store.model import Account, Domain


class DestinationKind(enum.Enum):
    """What an envelope recipient is to us."""

    MAILBOX = "mailbox"
    """An account here (also by `user+tag` or catch-all)."""
    ALIAS = "alias"
    """A local list of addresses."""
    BACKUP = "backup"
    """In a domain for which we are a backup MX."""
    REMOTE = "remote"
    """In a domain that is not ours."""
    REPORTS = "reports"
    """An address of a domain of ours at which reports about its mail are read."""
    RETURNING = "returning"
    """An address of a domain of ours for what comes back to mail that was sent on; whether it is good is another's
    question (`inbound.sent_on`)."""
    LIST = "list"
    """A mailing list."""
    LIST_SERVICE = "list service"
    """An address that goes with a list: for what comes back from a member, or for leaving it."""
    UNKNOWN = "unknown"
    """In a domain of ours, but nobody has this address."""


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """Where mail for an address goes."""

    kind: DestinationKind
    address: str
    """The address as given, with its domain in lower case A-label form."""
    domain: Domain | None = None
    account: Account | None = None
    tag: str = ""
    """What stood behind `+` in the local part."""
    targets: tuple[str, ...] = ()
    """ALIAS: the addresses it stands for, one level (not yet followed)."""
    mailing_list: MailingList | None = None
    """LIST and LIST_SERVICE."""
    service: str = ""
    """LIST_SERVICE: which, of `store.mailing_lists.SERVICES`; `tag` has the token."""
    masked: MaskedAddress | None = None
    """MAILBOX: it is this one of the account's masked addresses."""

    @property
    def identity(self) -> str:
        """What makes two destinations the same: the account with the tag, else the address.

        RFC 5321 §2.4: only its host knows whether a local part of another spelling is the same. A masked address is
        one of its own: it may be switched off where another that leads to the account is not.
        """
        if self.account is None or self.masked is not None:
            return self.address
        return f"{self.account.account_id}+{self.tag}"


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """A proven identity."""

    account: Account
    mechanism: str
    """"LOGIN", "PLAIN", "SCRAM-SHA-256", …"""
    app_password_id: int | None = None
    credential_id: int | None = None
    """The token, or a browser's session."""
    expires_at: int = 0
    """POSIX seconds at which that ends, as far as is known; 0: never."""


DOORS: Final = ("imap", "pop3", "smtp", "jmap", "sieve")
"""Where programs log in; an app password may be for some of them only. People log in at the "web" page."""


class LoginFailed(PosthouseError):
    """Wrong name or password, or a disabled account: the three are not told apart to the peer."""


class AppPasswordNeeded(LoginFailed):
    """The account has a second factor, so programs must bring a password of their own."""


class LoginDelayed(Temporary):
    """Too many failures from this address or for this account: not even tried."""
