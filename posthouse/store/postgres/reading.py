"""How the PostgreSQL engine reads: each method runs in a reader's thread."""

from __future__ import annotations

from collections.abc import Sequence

from posthouse.ranges import Ranges
from posthouse.store.memory.engine import Ahead, Derive, EmailRows
from posthouse.store.model import Event, QueuedMessage, Stored
from posthouse.store.postgres import bodies, emails, queue, snapshots
from posthouse.store.postgres.readers import Reader
from posthouse.store.sql import timeline


class PostgresReading:
    """See `memory.store.Reading`."""

    def emails(
        self, reader: Reader, account_id: int, email_ids: Sequence[int], fields: Sequence[str], derive: Derive
    ) -> EmailRows:
        """The named columns of each email."""
        return emails.read_emails(reader, account_id, email_ids, fields, derive)

    def ahead(self, reader: Reader, account_id: int, email_ids: Sequence[int], bytes_too: bool) -> Ahead:
        """Places of emails, with bytes."""
        return emails.read_ahead(reader, account_id, email_ids, bytes_too)

    def blobs(self, reader: Reader, places: Sequence[Stored]) -> dict[int, bytes]:
        """Whole blobs."""
        return bodies.read_blobs(reader, places)

    def blob(self, reader: Reader, place: Stored) -> bytes:
        """One whole blob."""
        return bodies.read_blob(reader, place)

    def whole(self, reader: Reader, place: Stored) -> bytes:
        """One whole blob, compared with its digest."""
        return bodies.read_whole(reader, place)

    def part(self, reader: Reader, place: Stored, offset: int, length: int | None) -> bytes:
        """Octets of a message."""
        return bodies.read_part(reader, place, offset, length)

    def vanished(self, reader: Reader, account_id: int, mailbox_id: int, modseq: int) -> Ranges:
        """UIDs expunged after a mod-sequence."""
        return snapshots.vanished_since(reader, account_id, mailbox_id, modseq)

    def queue(
        self, reader: Reader, destination: str, address: str, after: int, limit: int
    ) -> list[QueuedMessage]:
        """What is queued."""
        return queue.read_queue(reader, destination, address, after, limit)

    def queued(self, reader: Reader, queue_id: int) -> QueuedMessage | None:
        """One queued message."""
        return next(iter(queue.read_messages(reader, [queue_id])), None)

    def next_due(self, reader: Reader) -> float | None:
        """The earliest time at which something is due."""
        return queue.read_next_due(reader)

    def events(self, reader: Reader, trace_id: str, address: str, limit: int) -> list[Event]:
        """Lines of the timeline."""
        return timeline.read_events(reader.db, trace_id, address, limit, "at DESC, event_id DESC")
