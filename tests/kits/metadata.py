"""Annotations (RFC 5464): set together or not at all, counted, renamed and deleted with their mailbox."""

from __future__ import annotations

import pytest

from posthouse import limits
from posthouse.errors import Conflict, NotFound, OverQuota
from posthouse.store.interface import CreateMailbox, DeleteMailbox, RenameMailbox, Store
from posthouse.store.metadata import ACCOUNT_WIDE, KIND, Entries, SetMetadata, decode
from tests.kits.engine import EngineUnderTest, furnish


async def entries_of(store: Store, account_id: int, mailbox_id: int) -> Entries:
    for item in await store.items(account_id, KIND, [mailbox_id]):
        return decode(item.data)
    return {}


async def values_of(store: Store, account_id: int, mailbox_id: int) -> dict[str, bytes]:
    entries = await entries_of(store, account_id, mailbox_id)
    return {name: entry.value for name, entry in entries.items() if entry.value is not None}


class MetadataKit:
    """SetMetadata."""

    async def test_annotations_are_set_changed_and_removed(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        key = {"account_id": desk.id, "mailbox_id": (await desk.box()).mailbox_id}
        first = await desk.store.apply(
            SetMetadata(**key, values={"/private/a": b"\0one\xff", "/shared/b": b""})
        )
        assert (await desk.store.states(desk.id)).kinds[KIND] == first
        second = await desk.store.apply(SetMetadata(**key, values={"/private/a": None, "/shared/c": b"3"}))
        assert second > first
        await engine.reopen()
        entries = await entries_of(desk.store, desk.id, (await desk.box()).mailbox_id)
        assert {name: (entry.value, entry.modseq) for name, entry in entries.items()} == {
            "/private/a": (None, second),
            "/shared/b": (b"", first),
            "/shared/c": (b"3", second),
        }

    async def test_what_changes_nothing_takes_no_modseq(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        key = {"account_id": desk.id, "mailbox_id": (await desk.box()).mailbox_id}
        first = await desk.store.apply(SetMetadata(**key, values={"/private/a": b"1"}))
        again = SetMetadata(**key, values={"/private/a": b"1", "/private/none": None})
        assert await desk.store.apply(again) == 0
        assert (await desk.store.states(desk.id)).kinds[KIND] == first

    async def test_the_account_has_its_own(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        await desk.store.apply(SetMetadata(account_id=desk.id, values={"/private/comment": b"x"}))
        assert await values_of(desk.store, desk.id, ACCOUNT_WIDE) == {"/private/comment": b"x"}
        assert await values_of(desk.store, desk.id, (await desk.box()).mailbox_id) == {}

    async def test_they_follow_the_mailbox(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        made = await desk.store.apply(CreateMailbox(account_id=desk.id, name="a"))
        key = {"account_id": desk.id, "mailbox_id": made.mailbox_id}
        await desk.store.apply(SetMetadata(**key, values={"/private/a": b"1"}))
        await desk.store.apply(RenameMailbox(**key, name="b"))
        assert await values_of(desk.store, desk.id, made.mailbox_id) == {"/private/a": b"1"}
        await desk.store.apply(DeleteMailbox(**key))
        assert await desk.store.items(desk.id, KIND) == []
        with pytest.raises(NotFound):
            await desk.store.apply(SetMetadata(**key, values={"/private/a": b"1"}))

    async def test_too_many_are_refused_together(
        self, engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "METADATA_ENTRIES", 2)
        desk = await furnish(engine)
        key = {"account_id": desk.id, "mailbox_id": (await desk.box()).mailbox_id}
        await desk.store.apply(SetMetadata(**key, values={"/private/a": b"1"}))
        with pytest.raises(Conflict):
            await desk.store.apply(SetMetadata(**key, values={"/private/b": b"1", "/private/c": b"1"}))
        assert await values_of(desk.store, desk.id, (await desk.box()).mailbox_id) == {"/private/a": b"1"}
        # one goes, two come
        await desk.store.apply(
            SetMetadata(**key, values={"/private/a": None, "/private/b": b"1", "/private/c": b"1"})
        )
        other = SetMetadata(
            account_id=desk.id, mailbox_id=(await desk.box("Archive")).mailbox_id, values={"/private/a": b"1"}
        )
        assert await desk.store.apply(other), "each mailbox has its own"

    async def test_all_of_an_account_are_bounded(
        self, engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "METADATA_OCTETS", 1_000)
        desk = await furnish(engine)
        inbox = {"account_id": desk.id, "mailbox_id": (await desk.box()).mailbox_id}
        await desk.store.apply(SetMetadata(**inbox, values={"/private/a": b"x" * 600}))
        with pytest.raises(OverQuota):
            await desk.store.apply(
                SetMetadata(
                    account_id=desk.id,
                    mailbox_id=(await desk.box("Archive")).mailbox_id,
                    values={"/private/a": b"x" * 600},
                )
            )
        monkeypatch.setattr(limits, "METADATA_OCTETS", 10)
        assert await desk.store.apply(SetMetadata(**inbox, values={"/private/a": None})), (
            "removing always works"
        )

    async def test_names_of_removed_ones_are_forgotten_at_last(
        self, engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "METADATA_NAMES_GONE", 2)
        desk = await furnish(engine)
        key = {"account_id": desk.id, "mailbox_id": (await desk.box()).mailbox_id}
        for name in "abc":
            await desk.store.apply(SetMetadata(**key, values={f"/private/{name}": b"1"}))
        for name in "abc":
            await desk.store.apply(SetMetadata(**key, values={f"/private/{name}": None}))
        assert sorted(await entries_of(desk.store, desk.id, (await desk.box()).mailbox_id)) == [
            "/private/b",
            "/private/c",
        ]
