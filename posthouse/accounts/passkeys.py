"""Passkeys (WebAuthn): a key pair of a device for our site alone; its public half is kept.

A passkey proves possession and, by PIN or finger, the person: it is a whole login by itself. Challenges are sealed
tickets (`tickets`); a signature counter that goes back is a copied key and is refused.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.accounts.model import LoginFailed
from posthouse.accounts.tickets import Tickets
from posthouse.errors import Conflict, NotFound
from posthouse.store.credentials import AddCredential, Credential, CredentialKind, PutCredential
from posthouse.store.interface import Store
from posthouse.store.model import Account

NAME: Final = "Posthouse"
_REGISTER: Final = "passkey-register"
_LOGIN: Final = "passkey-login"


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Our site as the browser knows it."""

    origin: str
    """Such as `https://mail.example.org`."""
    host: str
    """The relying party's id: its host name."""


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """What the browser is asked."""

    options: dict[str, Any]
    """PublicKeyCredentialCreationOptions or …RequestOptions as JSON."""
    ticket: str
    """To be sent back with the answer."""


class PasskeyData(msgspec.Struct, frozen=True):
    """What is kept of one."""

    public_key: bytes
    sign_count: int


class Passkeys:
    """Passkeys of accounts."""

    def __init__(self, store: Store, tickets: Tickets, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._tickets = tickets
        self._now = now
        self._used: dict[str, float] = {}

    async def begin(self, account: Account, site: Site) -> Challenge:
        """Ask the browser to make one."""
        import webauthn  # slow to import
        from webauthn.helpers import structs

        known = await self._of(account)
        options = webauthn.generate_registration_options(
            rp_id=site.host,
            rp_name=NAME,
            user_name=account.address,
            user_display_name=account.display_name or account.address,
            user_id=f"A{account.account_id}".encode(),
            challenge=secrets.token_bytes(32),
            authenticator_selection=structs.AuthenticatorSelectionCriteria(
                resident_key=structs.ResidentKeyRequirement.REQUIRED,
                user_verification=structs.UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[structs.PublicKeyCredentialDescriptor(id=item.key) for item in known],
        )
        text = f"{account.account_id} {options.challenge.hex()}"
        return self._challenge(webauthn.options_to_json(options), _REGISTER, text)

    async def finish(
        self, account: Account, site: Site, *, ticket: str, answer: dict[str, Any], name: str
    ) -> Credential:
        """Keep what the browser made. ValueError: it does not fit; Conflict: known already, or too many."""
        import webauthn

        number, _, challenge = self._spend(_REGISTER, ticket).partition(" ")
        if number != str(account.account_id):
            raise ValueError("the passkey was begun for somebody else")
        try:
            made = await asyncio.to_thread(
                webauthn.verify_registration_response,
                credential=answer,
                expected_challenge=bytes.fromhex(challenge),
                expected_rp_id=site.host,
                expected_origin=site.origin,
                require_user_verification=True,
            )
        except Exception as fault:  # the library has no common base for what strangers may send
            raise ValueError("the passkey could not be verified") from fault
        return await self._store.apply(
            AddCredential(
                account_id=account.account_id,
                kind=CredentialKind.PASSKEY,
                key=made.credential_id,
                name=name,
                data=msgspec.json.encode(PasskeyData(made.credential_public_key, made.sign_count)),
                created_at=int(self._now()),
                most=limits.PASSKEYS,
            )
        )

    def ask(self, site: Site) -> Challenge:
        """Ask the browser for one of its passkeys for us; it knows whose they are."""
        import webauthn
        from webauthn.helpers import structs

        options = webauthn.generate_authentication_options(
            rp_id=site.host,
            challenge=secrets.token_bytes(32),
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        )
        return self._challenge(webauthn.options_to_json(options), _LOGIN, options.challenge.hex())

    async def prove(self, site: Site, *, ticket: str, answer: dict[str, Any]) -> Account:
        """Whose passkey answered. LoginFailed."""
        import webauthn
        from webauthn.helpers import base64url_to_bytes

        try:
            challenge = self._spend(_LOGIN, ticket)
            key = base64url_to_bytes(str(answer.get("id", ""))[: limits.LOGIN_OCTETS])
        except ValueError as fault:
            raise LoginFailed("the passkey was not accepted") from fault
        found = await self._store.credential(CredentialKind.PASSKEY, key)
        account = await self._store.account_by_id(found.account_id) if found is not None else None
        if found is None or account is None or account.disabled:
            raise LoginFailed("the passkey was not accepted")
        kept = msgspec.json.decode(found.data, type=PasskeyData)
        try:
            proved = await asyncio.to_thread(
                webauthn.verify_authentication_response,
                credential=answer,
                expected_challenge=bytes.fromhex(challenge),
                expected_rp_id=site.host,
                expected_origin=site.origin,
                credential_public_key=kept.public_key,
                credential_current_sign_count=kept.sign_count,
                require_user_verification=True,
            )
        except Exception as fault:
            raise LoginFailed("the passkey was not accepted") from fault
        await self._count(found, PasskeyData(kept.public_key, proved.new_sign_count))
        return account

    async def _count(self, found: Credential, data: PasskeyData) -> None:
        change = PutCredential(
            account_id=found.account_id,
            credential_id=found.credential_id,
            data=msgspec.json.encode(data),
            before=found.data,
            used_at=int(self._now()),
        )
        try:
            await self._store.apply(change)
        except (Conflict, NotFound) as fault:
            raise LoginFailed("the passkey was not accepted") from fault

    def _challenge(self, options: str, purpose: str, text: str) -> Challenge:
        ticket = self._tickets.seal(purpose, text, limits.LOGIN_STEP)
        return Challenge(options=json.loads(options), ticket=ticket)

    def _spend(self, purpose: str, ticket: str) -> str:
        """What a ticket says; it says so once. ValueError."""
        now = self._now()
        text = self._tickets.open(purpose, ticket)
        if text is None or self._used.get(text, 0.0) > now:
            raise ValueError("the passkey took too long; try again")
        while self._used and (
            len(self._used) >= limits.LOGIN_TABLE or next(iter(self._used.values())) <= now
        ):
            del self._used[next(iter(self._used))]
        self._used[text] = now + limits.LOGIN_STEP
        return text

    async def _of(self, account: Account) -> list[Credential]:
        found = await self._store.credentials(account.account_id)
        return [item for item in found if item.kind is CredentialKind.PASSKEY]
