"""The second factor: codes that change with time (TOTP, RFC 6238) and codes on paper, each good once.

A TOTP secret counts only after its first right code. A code is never good twice (RFC 6238 §5.2), also when two come
at the same moment: the store lets one of them change the last counter. Guesses are the login's business (`logins`).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.errors import Conflict, NotFound
from posthouse.store.credentials import (
    AddCredential,
    Credential,
    CredentialKind,
    PutCredential,
    RemoveCredentials,
)
from posthouse.store.interface import Op, Store
from posthouse.store.model import Account

PERIOD: Final = 30
"""Seconds that a code stands (RFC 6238 §5.2)."""
ISSUER: Final = "Posthouse"
_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"


class TotpData(msgspec.Struct, frozen=True):
    """What is kept of a TOTP secret."""

    secret: str
    """Base32."""
    confirmed: bool = False
    last: int = 0
    """The counter of the last code that was taken."""


class NewTotp(msgspec.Struct, frozen=True, kw_only=True):
    """A secret to be put into an authenticator; it counts after `confirm`."""

    secret: str
    uri: str
    """otpauth://, as authenticator programs read it from a QR code."""


class Factors:
    """Second factors of accounts."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now

    async def begin_totp(self, account: Account) -> NewTotp:
        """A new secret, waiting for its first code; an earlier unconfirmed one is forgotten. Conflict: it is on."""
        import pyotp  # only here and in `_counter`

        earlier = await self._of(account, CredentialKind.TOTP)
        if any(_totp(item).confirmed for item in earlier):
            raise Conflict("A second factor is on already.")
        secret = pyotp.random_base32()
        try:
            await self._store.commit(
                # Refuses when it was confirmed since: that one must not be lost.
                *(self._change(item, TotpData(_totp(item).secret)) for item in earlier),
                RemoveCredentials(account_id=account.account_id, kind=CredentialKind.TOTP),
                self._new(account, CredentialKind.TOTP, TotpData(secret)),
            )
        except NotFound as fault:
            raise Conflict("A second factor was begun or ended at the same moment.") from fault
        uri = pyotp.TOTP(secret).provisioning_uri(name=account.address, issuer_name=ISSUER)
        return NewTotp(secret=secret, uri=uri)

    async def confirm_totp(self, account: Account, code: str) -> tuple[str, ...] | None:
        """Take the first code: from now on it is asked for. The recovery codes, shown once; None: a wrong code.

        None too when the secret was changed or confirmed at the same moment. NotFound: none was begun.
        """
        for item in await self._of(account, CredentialKind.TOTP):
            kept = _totp(item)
            counter = _counter(kept.secret, code, self._now())
            if kept.confirmed or counter is None:
                return None
            codes, changes = self._new_codes(account)
            confirmed = self._change(item, TotpData(kept.secret, confirmed=True, last=counter))
            # Together: codes that are shown are those that count, and only of a factor that is on.
            return codes if await self._taken(confirmed, *changes) else None
        raise NotFound("No second factor was begun.")

    async def end_totp(self, account: Account) -> None:
        """Ask for no code any more; the recovery codes go with it."""
        for kind in (CredentialKind.TOTP, CredentialKind.RECOVERY):
            await self._store.apply(RemoveCredentials(account_id=account.account_id, kind=kind))

    async def check_code(self, account: Account, code: str) -> bool:
        """Whether this is a good code, of the authenticator or from paper. It is good no second time."""
        plain = code.strip().replace(" ", "").replace("-", "").lower()
        if plain.isascii() and plain.isdigit():
            return await self._check_totp(account, plain)
        return await self._check_recovery(account, plain)

    async def _check_totp(self, account: Account, code: str) -> bool:
        for item in await self._of(account, CredentialKind.TOTP):
            kept = _totp(item)
            counter = _counter(kept.secret, code, self._now()) if kept.confirmed else None
            if counter is None or counter <= kept.last:
                return False
            return await self._put(item, TotpData(kept.secret, confirmed=True, last=counter))
        return False

    async def _check_recovery(self, account: Account, code: str) -> bool:
        digest = _digest(code)
        for item in await self._of(account, CredentialKind.RECOVERY):
            kept = msgspec.json.decode(item.data, type=list[str])
            left = [other for other in kept if not hmac.compare_digest(other, digest)]
            if len(left) < len(kept):
                return await self._put(item, left)
        return False

    async def new_recovery_codes(self, account: Account) -> tuple[str, ...]:
        """Fresh codes for paper; the old ones are good no more."""
        codes, changes = self._new_codes(account)
        await self._store.commit(*changes)
        return codes

    def _new_codes(self, account: Account) -> tuple[tuple[str, ...], tuple[Op[Any], ...]]:
        """Codes, and the changes that put them in the place of the old ones."""
        kind = CredentialKind.RECOVERY
        codes = tuple(_recovery_code() for _ in range(limits.RECOVERY_CODES))
        digests = [_digest(code.replace("-", "")) for code in codes]
        old = RemoveCredentials(account_id=account.account_id, kind=kind)
        return codes, (old, self._new(account, kind, digests))

    def _new(self, account: Account, kind: CredentialKind, data: TotpData | list[str]) -> AddCredential:
        return AddCredential(
            account_id=account.account_id,
            kind=kind,
            key=factor_key(account.account_id),
            data=msgspec.json.encode(data),
            created_at=int(self._now()),
            most=1,
        )

    async def _put(self, item: Credential, data: TotpData | list[str]) -> bool:
        return await self._taken(self._change(item, data))

    def _change(self, item: Credential, data: TotpData | list[str]) -> PutCredential:
        return PutCredential(
            account_id=item.account_id,
            credential_id=item.credential_id,
            data=msgspec.json.encode(data),
            before=item.data,
            used_at=int(self._now()),
        )

    async def _taken(self, *changes: Op[Any]) -> bool:
        """Make the changes if nobody else was first; whether they were made."""
        try:
            await self._store.commit(*changes)
        except (Conflict, NotFound):
            return False
        return True

    async def _of(self, account: Account, kind: CredentialKind) -> list[Credential]:
        found = await self._store.credentials(account.account_id)
        return [item for item in found if item.kind is kind]


def factor_key(account_id: int) -> bytes:
    """By what an account's secret and its codes on paper are found: it has one of each."""
    return str(account_id).encode()


def is_second_factor(item: Credential) -> bool:
    """Whether a code must follow the password because of this."""
    return item.kind is CredentialKind.TOTP and _totp(item).confirmed


def recovery_codes_left(item: Credential) -> int:
    """How many codes on paper are still good."""
    return len(msgspec.json.decode(item.data, type=list[str]))


def _totp(item: Credential) -> TotpData:
    return msgspec.json.decode(item.data, type=TotpData)


def _counter(secret: str, code: str, now: float) -> int | None:
    """The counter whose code this is, of the present one and its neighbours (RFC 6238 §5.2); None: no code."""
    import pyotp

    totp = pyotp.TOTP(secret)
    code = code.strip().replace(" ", "")
    present = int(now) // PERIOD
    for counter in (present, present - 1, present + 1):
        if hmac.compare_digest(totp.generate_otp(counter), code.encode("ascii", "replace").decode()):
            return counter
    return None


def _recovery_code() -> str:
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(12))
    code = f"{letters[:4]}-{letters[4:8]}-{letters[8:]}"
    return code if not letters.isdigit() else _recovery_code()  # never taken for a code of the authenticator


def _digest(code: str) -> str:
    """Of 60 bits of chance: a fast hash is enough."""
    return hashlib.sha256(b"recovery\0" + code.encode()).hexdigest()
