"""Whether what proved a login at one door is good at another too: app passwords and tokens have scopes."""

from __future__ import annotations

from posthouse.accounts.bearers import token_scope
from posthouse.accounts.directory import Directory
from posthouse.accounts.model import Login


async def opens(directory: Directory, login: Login, door: str) -> bool:
    """Whether the credentials of a login are taken at a door (of DOORS). What the store raises."""
    scopes: list[tuple[str, ...]] = []
    if login.app_password_id is not None:
        passwords = await directory.app_passwords(login.account)
        scopes = [each.scope for each in passwords if each.app_password_id == login.app_password_id]
    elif login.credential_id is not None:
        tokens = await directory.credentials(login.account)
        scopes = [token_scope(each) for each in tokens if each.credential_id == login.credential_id]
    else:
        return (
            True  # the account's password, which has no second factor beside it: else no program could log in
        )
    return any(not scope or door in scope for scope in scopes)
