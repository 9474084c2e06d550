"""What proves who somebody is, beside passwords: web sessions, API tokens, second factors, passkeys; and their changes.

One value for all kinds: `key` is by what it is found (a digest of a secret, a passkey's id), `data` is its kind's
own business (`accounts`). No secret that opens a door by itself is kept in clear.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol

import msgspec

from posthouse.store.model import Account, AppPassword, Frozen
from posthouse.store.operations import Op


class CredentialKind(enum.Enum):
    """What it is."""

    SESSION = "session"
    """A browser that has logged in."""
    TOKEN = "token"
    """A bearer token for programs (RFC 6750)."""
    TOTP = "totp"
    """A shared secret for codes that change with time (RFC 6238); unconfirmed until its first code."""
    RECOVERY = "recovery"
    """Codes on paper, each good once."""
    PASSKEY = "passkey"
    """A public key of a device (WebAuthn)."""


class Credential(Frozen, frozen=True, kw_only=True):
    """One proof of identity. Times are POSIX seconds."""

    credential_id: int
    account_id: int
    kind: CredentialKind
    key: bytes
    """Unique within the kind."""
    name: str
    data: bytes
    created_at: int
    expires_at: int
    """0: never."""
    last_used_at: int
    last_peer: str
    """The address it was last used from."""
    agent: str
    """The program, as it named itself when this was made."""


class LoginProofs(Frozen, frozen=True, kw_only=True):
    """All that lets somebody in to an account, also what has ended."""

    account: Account
    app_passwords: tuple[AppPassword, ...]
    credentials: tuple[Credential, ...]


class CredentialStore(Protocol):
    """What a store is asked about them."""

    async def app_passwords(self, account_id: int) -> tuple[AppPassword, ...]:
        """An account's app passwords."""
        ...

    async def credentials(self, account_id: int) -> tuple[Credential, ...]:
        """An account's sessions, tokens, second factors and passkeys, oldest first; also those that have ended."""
        ...

    async def credential(self, kind: CredentialKind, key: bytes) -> Credential | None:
        """One of them by its key; also when it has ended."""
        ...

    async def login_proofs(self, account_ids: Sequence[int]) -> dict[int, LoginProofs]:
        """The same of those of these accounts that are there, as of now; a few questions for all of them."""
        ...


class AddCredential(Op[Credential], frozen=True, kw_only=True):
    """Add one. NotFound: no such account; Conflict: the key is taken, or the account has `most` of the kind."""

    account_id: int
    kind: CredentialKind
    key: bytes
    name: str = ""
    data: bytes = b""
    created_at: int
    expires_at: int = 0
    peer: str = ""
    agent: str = ""
    most: int


class PutCredential(Op[None], frozen=True, kw_only=True):
    """Change what a credential holds; what is None stays. NotFound.

    Conflict when its data is no longer `before`: so a code is good once, whoever comes at the same moment.
    """

    account_id: int
    credential_id: int
    name: str | None = None
    data: bytes | None = None
    before: bytes | None = None
    used_at: int | None = None


class TouchCredential(Op[None], frozen=True, kw_only=True):
    """Note when and from where one was last used, and how long it is good now."""

    credential_id: int
    at: int
    peer: str
    expires_at: int


class RemoveCredentials(Op[int], frozen=True, kw_only=True):
    """Revoke an account's credentials; the result counts them.

    `credential_ids`: only these; `kind`: only of this kind; `but`: not this one.
    """

    account_id: int
    credential_ids: tuple[int, ...] | None = None
    kind: CredentialKind | None = None
    but: int = 0


class PruneCredentials(Op[int], frozen=True, kw_only=True):
    """Forget those that ended before a time; the result counts them."""

    before: int


def live(credential: Credential, now: float) -> bool:
    """Whether it has not ended."""
    return not credential.expires_at or credential.expires_at > now


_FIELDS = msgspec.structs.fields(Credential)
COLUMNS = ", ".join(field.name for field in _FIELDS)
"""As engines keep it."""
