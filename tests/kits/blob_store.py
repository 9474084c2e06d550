"""What every engine must do with message bytes, wherever it puts them."""

from __future__ import annotations

import pytest

from posthouse.errors import NotFound
from posthouse.limits import BLOB_CHUNK
from posthouse.ranges import Ranges
from posthouse.store.interface import CopyEmails, Expunge
from posthouse.store.model import Content, Stored
from tests.kits.engine import EngineUnderTest, furnish


class BlobKit:
    """Message bytes."""

    @pytest.mark.parametrize("size", [0, 1, 5_000, 8_192, 8_193, 70_000, 300_000, 3_000_000])
    async def test_every_size_comes_back_whole_also_after_reopening(
        self, engine: EngineUnderTest, size: int
    ) -> None:
        desk = await furnish(engine)
        raw = bytes(i * 7 % 251 for i in range(1000)) * (size // 1000 + 1)
        raw = raw[:size]
        added = await desk.store.apply(
            desk.message(await desk.box(), content=Content.of(raw), prefix=b"P: 1\r\n")
        )
        for _ in range(2):
            (stored,) = await desk.store.stored(desk.id, [added.email_id])
            assert stored is not None
            assert stored.size == size + 6
            pieces = [piece async for piece in desk.store.chunks(stored)]
            assert b"".join(pieces) == b"P: 1\r\n" + raw
            assert max(map(len, pieces)) <= BLOB_CHUNK
            middle = size // 2
            assert await desk.store.read(stored, middle, 100) == (b"P: 1\r\n" + raw)[middle : middle + 100]
            await engine.reopen()

    async def test_one_content_for_many_is_one_commit(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        other = await furnish(engine, "bob@example.test")
        content = Content.of(b"Subject: to all\r\n\r\n" + b"x" * 20_000)
        ann, bob = await desk.store.commit(
            desk.message(await desk.box(), content=content, prefix=b"Delivered-To: ann\r\n"),
            other.message(await other.box(), content=content, prefix=b"Delivered-To: bob\r\n"),
        )
        (first,) = await desk.store.messages(desk.id, [ann.email_id])
        (second,) = await desk.store.messages(other.id, [bob.email_id])
        assert first == b"Delivered-To: ann\r\n" + content.beginning()
        assert second == b"Delivered-To: bob\r\n" + content.beginning()
        assert await desk.store.messages(desk.id, [bob.email_id]) == [None], "another account's email"

    async def test_shared_bytes_live_as_long_as_somebody_owns_them(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox, trash = await desk.box(), await desk.box("Trash")
        content = Content.of(b"y" * 50_000)
        await desk.store.apply(desk.message(inbox, content=content))
        await desk.store.apply(
            CopyEmails(
                account_id=desk.id,
                source_id=inbox.mailbox_id,
                uids=Ranges([(1, 1)]),
                target_id=trash.mailbox_id,
            )
        )
        await desk.store.apply(Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, force=True))
        await engine.settle()
        await engine.reopen()
        index = await desk.store.index(desk.id, trash.mailbox_id)
        assert await desk.store.messages(desk.id, list(index.email_ids)) == [content.beginning()]
        gone = list(index.email_ids)
        await desk.store.apply(Expunge(account_id=desk.id, mailbox_id=trash.mailbox_id, force=True))
        await engine.settle()
        await engine.reopen()
        assert await desk.store.messages(desk.id, gone) == [None]

    async def test_a_staged_message_is_a_message(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        chunk = bytes(range(256)) * 4096
        staging = desk.store.stage()
        for _ in range(6):
            await staging.write(chunk)
        content = await staging.finish()
        assert content.size == 6 * len(chunk)
        assert content.beginning().startswith(chunk[:1000])
        assert b"".join(content.blocks(100_000)) == chunk * 6
        added = await desk.store.apply(desk.message(await desk.box(), content=content))
        await staging.discard()
        del content
        await engine.reopen()
        (stored,) = await desk.store.stored(desk.id, [added.email_id])
        assert stored is not None
        assert b"".join([piece async for piece in desk.store.chunks(stored)]) == chunk * 6

    async def test_parts_of_a_message_are_read_by_offset(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        whole = b"Prefix: yes\r\n" + bytes(range(256)) * 8000
        prefix, content = whole[:13], Content.of(whole[13:])
        added = await desk.store.apply(desk.message(await desk.box(), content=content, prefix=prefix))
        await engine.reopen()
        (stored,) = await desk.store.stored(desk.id, [added.email_id])
        assert stored is not None
        for offset, length in (
            (0, 5),
            (0, 13),
            (10, 10),
            (13, 4),
            (1_000_000, 70_000),
            (len(whole) - 3, 99),
            (10**9, 5),
        ):
            assert await desk.store.read(stored, offset, length) == whole[offset : offset + length]
        assert await desk.store.read(stored, 2_000_000) == whole[2_000_000:]

    async def test_bytes_that_are_gone_are_not_found(self, engine: EngineUnderTest) -> None:
        await furnish(engine)
        with pytest.raises(NotFound):
            await engine.store.read(Stored(blob_id=10**9, prefix=b"", size=5))
