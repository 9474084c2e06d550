"""What an account's owner does for its safety (docs/jmap-extensions.md): password, sessions, app passwords, tokens.

Whatever lets somebody in later needs the account's password again, so that a browser left open gives nothing away
for ever. None of it may be done with an app password or a token.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

import msgspec

from posthouse.accounts.bearers import token_scope
from posthouse.accounts.factors import is_second_factor, recovery_codes_left
from posthouse.accounts.model import DOORS, LoginDelayed, LoginFailed
from posthouse.errors import Conflict, NotFound
from posthouse.jmap import ids
from posthouse.jmap.context import Context
from posthouse.jmap.errors import MethodError
from posthouse.jmap.method import Arguments
from posthouse.store.credentials import Credential, CredentialKind, RemoveCredentials, live
from posthouse.store.interface import RemoveAppPassword
from posthouse.store.model import AppPassword

CREDENTIAL: Final = "C"
APP_PASSWORD: Final = "P"
"""First letters of the ids."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=2**40)]


class PasswordArguments(Arguments, kw_only=True):
    """Methods that ask for the account's password again."""

    password: str


class ChangePasswordArguments(PasswordArguments, kw_only=True):
    """`Security/changePassword`."""

    new_password: str


class CreateArguments(PasswordArguments, kw_only=True):
    """`AppPassword/create`, `ApiToken/create`."""

    name: Name
    scope: tuple[str, ...] = ()
    """Of "imap", "pop3", "smtp", "jmap", "sieve"; empty: all."""
    expires_at: Seconds = 0
    """POSIX seconds; 0: never."""


class DestroyArguments(Arguments, kw_only=True):
    """`AppPassword/destroy`, `ApiToken/destroy`, `WebSession/destroy`, `Passkey/destroy`."""

    ids: list[str]


async def owner(context: Context, account_id: str) -> int:
    """The account's number, when its owner asks in person. MethodError forbidden."""
    number = context.account_number(account_id)
    if not context.via.personal:
        raise MethodError("forbidden", "this is not for app passwords and tokens")
    return number


async def confirm(context: Context, arguments: PasswordArguments) -> int:
    """The same, with the account's password. MethodError wrongPassword, tooManyAttempts."""
    number = await owner(context, arguments.account_id)
    try:
        await context.services.directory.authenticate(
            context.account.address, arguments.password, context.via.peer, "CONFIRM", ""
        )
    except LoginDelayed as fault:
        raise MethodError("tooManyAttempts", fault.public) from fault
    except LoginFailed as fault:
        raise MethodError("wrongPassword", "the password is not right") from fault
    return number


async def get(context: Context, arguments: Arguments) -> dict[str, Any]:
    """`Security/get`: everything at once, for one page."""
    number = await owner(context, arguments.account_id)
    now = context.services.now()
    held = [item for item in await context.store.credentials(number) if live(item, now)]
    app_passwords = await context.store.app_passwords(number)

    def of(kind: CredentialKind) -> list[Credential]:
        return [item for item in held if item.kind is kind]

    return {
        "accountId": arguments.account_id,
        "doors": list(DOORS),
        "sessions": [_credential(item, context) for item in of(CredentialKind.SESSION)],
        "tokens": [
            _credential(item, context) | {"scope": list(token_scope(item))}
            for item in of(CredentialKind.TOKEN)
        ],
        "passkeys": [_credential(item, context) for item in of(CredentialKind.PASSKEY)],
        "appPasswords": [_app_password(item) for item in app_passwords],
        "secondFactor": any(map(is_second_factor, held)),
        "recoveryCodesLeft": sum(map(recovery_codes_left, of(CredentialKind.RECOVERY))),
    }


def _credential(item: Credential, context: Context) -> dict[str, Any]:
    return {
        "id": ids.encode(CREDENTIAL, item.credential_id),
        "name": item.name,
        "agent": item.agent,
        "createdAt": item.created_at,
        "expiresAt": item.expires_at,
        "lastUsedAt": item.last_used_at,
        "lastPeer": item.last_peer,
        "current": item.credential_id == context.via.credential_id,
    }


def _app_password(item: AppPassword) -> dict[str, Any]:
    return {
        "id": ids.encode(APP_PASSWORD, item.app_password_id),
        "name": item.name,
        "scope": list(item.scope),
        "createdAt": item.created_at,
        "expiresAt": item.expires_at,
        "lastUsedAt": item.last_used_at,
        "lastPeer": item.last_peer,
    }


async def change_password(context: Context, arguments: ChangePasswordArguments) -> dict[str, Any]:
    """`Security/changePassword`: the browsers that are logged in elsewhere are logged out."""
    number = await confirm(context, arguments)
    if len(arguments.new_password) < 8:
        raise MethodError("invalidArguments", "the new password needs at least eight characters")
    try:
        people = context.services.administration().command("account.passwd")
        values = {"address": context.account.address, "password": arguments.new_password}
        await people.call(values, b"")
    except ValueError as fault:
        raise MethodError("invalidArguments", str(fault)) from fault
    ended = await context.store.apply(
        RemoveCredentials(account_id=number, kind=CredentialKind.SESSION, but=context.via.credential_id)
    )
    return {"accountId": arguments.account_id, "sessionsEnded": ended}


async def check_password(context: Context, arguments: PasswordArguments) -> dict[str, Any]:
    """`Security/checkPassword`: before somebody fills in a form that needs it."""
    await confirm(context, arguments)
    return {"accountId": arguments.account_id}


async def create_app_password(context: Context, arguments: CreateArguments) -> dict[str, Any]:
    """`AppPassword/create`: the password is in the answer, this once."""
    await confirm(context, arguments)
    try:
        made = (
            await context.services.administration()
            .command("app-password.add")
            .call(
                {
                    "address": context.account.address,
                    "name": arguments.name,
                    "scope": list(arguments.scope),
                    "expires_at": arguments.expires_at,
                },
                b"",
            )
        )
    except Conflict as fault:
        raise MethodError("overQuota", fault.public) from fault
    except ValueError as fault:
        raise MethodError("invalidArguments", str(fault)) from fault
    return {
        "accountId": arguments.account_id,
        "id": ids.encode(APP_PASSWORD, made["id"]),
        "password": made["password"],
    }


async def destroy_app_passwords(context: Context, arguments: DestroyArguments) -> dict[str, Any]:
    """`AppPassword/destroy`."""
    number = await owner(context, arguments.account_id)
    gone = []
    for name in arguments.ids[:100]:
        wanted = ids.decode(APP_PASSWORD, name)
        if wanted is None:
            continue
        try:
            await context.store.apply(RemoveAppPassword(account_id=number, app_password_id=wanted))
        except NotFound:
            continue
        gone.append(name)
    return {"accountId": arguments.account_id, "destroyed": gone}


async def create_token(context: Context, arguments: CreateArguments) -> dict[str, Any]:
    """`ApiToken/create`: the token is in the answer, this once."""
    await confirm(context, arguments)
    try:
        made, secret = await context.services.security.bearers.add_token(
            context.account,
            name=arguments.name,
            scope=tuple(dict.fromkeys(arguments.scope)),
            expires_at=arguments.expires_at,
        )
    except Conflict as fault:
        raise MethodError("overQuota", fault.public) from fault
    except ValueError as fault:
        raise MethodError("invalidArguments", str(fault)) from fault
    return {
        "accountId": arguments.account_id,
        "id": ids.encode(CREDENTIAL, made.credential_id),
        "token": secret,
    }


def destroy_of(kind: CredentialKind) -> Any:
    """`ApiToken/destroy`, `WebSession/destroy`, `Passkey/destroy`."""

    async def destroy(context: Context, arguments: DestroyArguments) -> dict[str, Any]:
        number = await owner(context, arguments.account_id)
        wanted = [(name, ids.decode(CREDENTIAL, name)) for name in arguments.ids[:100]]
        present = {c.credential_id for c in await context.store.credentials(number) if c.kind is kind}
        chosen = {name: n for name, n in wanted if n is not None and n in present}
        if chosen:
            await context.store.apply(
                RemoveCredentials(account_id=number, kind=kind, credential_ids=tuple(chosen.values()))
            )
        return {"accountId": arguments.account_id, "destroyed": list(chosen)}

    return destroy


# --- the second factor ------------------------------------------------------------------------------------


class CodeArguments(Arguments, kw_only=True):
    """`SecondFactor/confirm`."""

    code: Annotated[str, msgspec.Meta(max_length=20)]


async def begin_totp(context: Context, arguments: PasswordArguments) -> dict[str, Any]:
    """`SecondFactor/begin`: a secret to be scanned; it counts after its first code."""
    await confirm(context, arguments)
    try:
        made = await context.services.security.factors.begin_totp(context.account)
    except Conflict as fault:
        raise MethodError("conflict", fault.public) from fault
    picture = await asyncio.to_thread(qr_code, made.uri)
    return {"accountId": arguments.account_id, "secret": made.secret, "uri": made.uri, "qr": picture}


async def confirm_totp(context: Context, arguments: CodeArguments) -> dict[str, Any]:
    """`SecondFactor/confirm`: the first code; recovery codes come back, this once. MethodError wrongCode."""
    await owner(context, arguments.account_id)
    directory = context.services.directory
    try:
        directory.admit(context.account.address, context.via.peer)
        codes = await context.services.security.factors.confirm_totp(context.account, arguments.code)
        if codes is None:
            await directory.refused(context.account.address, context.via.peer)
    except NotFound as fault:
        raise MethodError("notFound", fault.public) from fault
    except LoginDelayed as fault:
        raise MethodError("tooManyAttempts", fault.public) from fault
    except LoginFailed as fault:
        raise MethodError("wrongCode", "this code is not right") from fault
    assert codes is not None
    return {"accountId": arguments.account_id, "recoveryCodes": list(codes)}


async def end_totp(context: Context, arguments: PasswordArguments) -> dict[str, Any]:
    """`SecondFactor/end`."""
    await confirm(context, arguments)
    await context.services.security.factors.end_totp(context.account)
    return {"accountId": arguments.account_id}


async def new_codes(context: Context, arguments: PasswordArguments) -> dict[str, Any]:
    """`SecondFactor/newRecoveryCodes`: the old ones are good no more."""
    await confirm(context, arguments)
    if not await context.services.directory.second_factor(context.account):
        raise MethodError("notFound", "there is no second factor")
    codes = await context.services.security.factors.new_recovery_codes(context.account)
    return {"accountId": arguments.account_id, "recoveryCodes": list(codes)}


def qr_code(text: str) -> str:
    """A QR code as SVG, its size left to the page. Takes some milliseconds: in a thread."""
    import segno  # only here

    return str(
        segno.make(text, error="m").svg_inline(scale=1, border=2, omitsize=True, dark="#1d1b19", light="#fff")
    )


# --- passkeys ---------------------------------------------------------------------------------------------


class FinishPasskeyArguments(Arguments, kw_only=True):
    """`Passkey/finish`."""

    ticket: str
    answer: dict[str, Any]
    name: Name


async def begin_passkey(context: Context, arguments: PasswordArguments) -> dict[str, Any]:
    """`Passkey/begin`: what the browser is asked to make."""
    await confirm(context, arguments)
    if not context.via.site.host:
        raise MethodError("forbidden", "passkeys are made in the browser")
    asked = await context.services.security.passkeys.begin(context.account, context.via.site)
    return {"accountId": arguments.account_id, "options": asked.options, "ticket": asked.ticket}


async def finish_passkey(context: Context, arguments: FinishPasskeyArguments) -> dict[str, Any]:
    """`Passkey/finish`: what it made."""
    await owner(context, arguments.account_id)
    try:
        made = await context.services.security.passkeys.finish(
            context.account,
            context.via.site,
            ticket=arguments.ticket,
            answer=arguments.answer,
            name=arguments.name,
        )
    except Conflict as fault:
        raise MethodError("conflict", fault.public) from fault
    except ValueError as fault:
        raise MethodError("invalidArguments", str(fault)) from fault
    return {"accountId": arguments.account_id, "id": ids.encode(CREDENTIAL, made.credential_id)}
