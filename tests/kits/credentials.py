"""What every engine must do with sessions, tokens, second factors and app passwords' scope."""

from __future__ import annotations

import pytest

from posthouse.errors import Conflict, NotFound
from posthouse.store.credentials import (
    AddCredential,
    Credential,
    CredentialKind,
    PruneCredentials,
    PutCredential,
    RemoveCredentials,
    TouchCredential,
)
from posthouse.store.interface import AddAppPassword, RemoveAccount, Store, TouchAppPassword
from tests.kits.engine import NOW, EngineUnderTest, furnish


async def add(store: Store, account_id: int, key: bytes, **more: object) -> Credential:
    values = {"kind": CredentialKind.SESSION, "created_at": NOW, "most": 9} | more
    return await store.apply(AddCredential(account_id=account_id, key=key, **values))  # type: ignore[arg-type]


class CredentialKit:
    """Credentials."""

    async def test_they_are_kept_and_found(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        first = await add(
            desk.store, desk.id, b"\0k", name="n", data=b"\xffd", expires_at=9, peer="192.0.2.1", agent="A"
        )
        second = await add(desk.store, desk.id, b"\0k", kind=CredentialKind.TOKEN)
        store = await engine.reopen()
        assert await store.credentials(desk.id) == (first, second), "the key is unique within its kind only"
        assert await store.credential(CredentialKind.SESSION, b"\0k") == first
        assert (first.last_used_at, first.last_peer, first.agent) == (NOW, "192.0.2.1", "A")
        assert second.last_used_at == 0
        assert await store.credential(CredentialKind.PASSKEY, b"\0k") is None

    async def test_a_key_is_taken_once_and_there_are_not_too_many(self, engine: EngineUnderTest) -> None:
        desk, other = await furnish(engine), await furnish(engine, "zoe@other.test")
        await add(desk.store, desk.id, b"a", most=2)
        with pytest.raises(Conflict):
            await add(desk.store, other.id, b"a")
        await add(desk.store, desk.id, b"b", most=2)
        with pytest.raises(Conflict):
            await add(desk.store, desk.id, b"c", most=2)
        await add(desk.store, desk.id, b"c", most=1, kind=CredentialKind.TOKEN)
        with pytest.raises(NotFound):
            await add(desk.store, 999, b"d")

    async def test_data_changes_only_for_who_knew_it(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        made = await add(desk.store, desk.id, b"a", data=b"1", kind=CredentialKind.RECOVERY)
        change = PutCredential(
            account_id=desk.id, credential_id=made.credential_id, data=b"2", before=b"1", used_at=NOW + 1
        )
        await desk.store.apply(change)
        with pytest.raises(Conflict):
            await desk.store.apply(change)
        await desk.store.apply(
            PutCredential(account_id=desk.id, credential_id=made.credential_id, name="new")
        )
        (kept,) = await desk.store.credentials(desk.id)
        assert (kept.data, kept.name, kept.last_used_at) == (b"2", "new", NOW + 1)
        with pytest.raises(NotFound):
            await desk.store.apply(PutCredential(account_id=desk.id + 1, credential_id=made.credential_id))

    async def test_use_is_noted(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        made = await add(desk.store, desk.id, b"a")
        await desk.store.apply(
            TouchCredential(credential_id=made.credential_id, at=NOW + 5, peer="::1", expires_at=NOW + 9)
        )
        (kept,) = await desk.store.credentials(desk.id)
        assert (kept.last_used_at, kept.last_peer, kept.expires_at) == (NOW + 5, "::1", NOW + 9)

    async def test_revoking_is_told_at_once_and_only_ones_own(self, engine: EngineUnderTest) -> None:
        desk, other = await furnish(engine), await furnish(engine, "zoe@other.test")
        store = desk.store
        a, b, c = [await add(store, desk.id, key) for key in (b"a", b"b", b"c")]
        token = await add(store, desk.id, b"t", kind=CredentialKind.TOKEN)
        theirs = await add(store, other.id, b"z")
        told: list[str] = []
        end = store.watch_people(lambda: told.append("told"))
        remove = RemoveCredentials(account_id=desk.id, credential_ids=(a.credential_id, theirs.credential_id))
        assert await store.apply(remove) == 1
        assert told == ["told"]
        every = RemoveCredentials(account_id=desk.id, kind=CredentialKind.SESSION, but=c.credential_id)
        assert await store.apply(every) == 1
        assert await store.credentials(desk.id) == (c, token)
        assert await store.credential(CredentialKind.SESSION, b.key) is None
        assert await store.credentials(other.id) == (theirs,)
        end()

    async def test_what_has_ended_is_forgotten(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        await add(desk.store, desk.id, b"old", expires_at=NOW - 1)
        kept = [
            await add(desk.store, desk.id, b"young", expires_at=NOW + 1),
            await add(desk.store, desk.id, b"ever"),
        ]
        assert await desk.store.apply(PruneCredentials(before=NOW)) == 1
        assert list(await desk.store.credentials(desk.id)) == kept

    async def test_they_go_with_their_account(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        await add(desk.store, desk.id, b"a")
        await desk.store.apply(RemoveAccount(account_id=desk.id))
        assert await desk.store.credential(CredentialKind.SESSION, b"a") is None

    async def test_app_passwords_have_a_scope_and_an_end(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        made = await desk.store.apply(
            AddAppPassword(
                account_id=desk.id,
                name="phone",
                password="x",
                created_at=NOW,
                scope=("imap", "smtp"),
                expires_at=NOW + 5,
            )
        )
        await desk.store.apply(
            TouchAppPassword(app_password_id=made.app_password_id, at=NOW + 1, peer="192.0.2.9")
        )
        store = await engine.reopen()
        (kept,) = await store.app_passwords(desk.id)
        assert (kept.scope, kept.expires_at) == (("imap", "smtp"), NOW + 5)
        assert (kept.last_used_at, kept.last_peer) == (NOW + 1, "192.0.2.9")
