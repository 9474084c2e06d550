"""Memory that others fill at the same moment: it may forget, but nothing that is there is told to be gone."""

from __future__ import annotations

from posthouse.store.memory.cache import Recent
from posthouse.store.model import Stored
from tests.kits.engine import furnish
from tests.store.conftest import SqliteEngine


async def test_places_that_are_pushed_out_while_others_are_read_are_known_all_the_same(
    engine: SqliteEngine,
) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    added = await desk.add(inbox, *map(str, range(40)))
    ids = [each.email_id for each in added]
    places: Recent[tuple[int, int], Stored] = Recent(3)
    for known in ([], ids[:3], ids[-2:]):
        engine.store._live.places = places
        places.clear()
        await desk.store.stored(desk.id, known) if known else None
        found = await desk.store.stored(desk.id, ids)
        assert None not in found
        places.clear()
        await desk.store.stored(desk.id, known) if known else None
        assert await desk.store.messages(desk.id, ids) == [
            f"Subject: {number}\r\n\r\n{number}\r\n".encode() for number in range(40)
        ]
