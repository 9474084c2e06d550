"""What an engine gives to the store that both engines share: its parts, and its way of reading."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from posthouse.ranges import Ranges
from posthouse.store.foreground import Foreground
from posthouse.store.interface import Op
from posthouse.store.memory.live import Live
from posthouse.store.memory.people_cache import ReaderOfRows
from posthouse.store.memory.readers import Readers
from posthouse.store.model import Derived, Event, QueuedMessage, Stored

Rdr = TypeVar("Rdr", bound=ReaderOfRows)
ReaderIn_contra = TypeVar("ReaderIn_contra", bound=ReaderOfRows, contravariant=True)

Derive = Callable[[bytes, int], Derived]
"""`store.derive.derive`: (message, received_at) → its derived values. Never raises on any octets."""


class NewDerived(msgspec.Struct, frozen=True):
    """Derived values to be kept."""

    account_id: int
    email_id: int
    derived: Derived


class EmailRows(msgspec.Struct, frozen=True):
    """The answer to a question for columns, and what had to be computed for it."""

    rows: list[tuple[Any, ...] | None]
    computed: list[NewDerived]


class Ahead(msgspec.Struct, frozen=True):
    """Places of emails with the bytes of the small ones among them."""

    stored: dict[int, Stored]
    blobs: dict[int, bytes]


class Engine(Protocol[Rdr]):
    """An engine's parts, as the contract uses them."""

    derive: Derive
    live: Live
    readers: Readers[Rdr]
    foreground: Foreground
    now: Callable[[], float]
    """POSIX seconds."""

    def submit(self, work: tuple[Op[Any], ...], /) -> asyncio.Future[list[Any]]:
        """Hand operations to the writer as one commit; the results, once durable."""
        ...

    def configure(self, *, default_quota: int, keep_deleted: bool) -> None:
        """As `LiveStore.configure`."""
        ...

    def keep(self, computed: list[NewDerived], /) -> None:
        """Write derived values that a reader had to compute, some time."""
        ...

    async def decide_threads(self, account_id: int, email_ids: Sequence[int], /) -> dict[int, int]:
        """Derive these emails now, which decides their threads."""
        ...

    async def settle(self) -> None:
        """Wait until upkeep that is due is done."""
        ...

    async def close(self) -> None:
        """Finish what was handed in and let go of everything."""
        ...


class Reading(Protocol[ReaderIn_contra]):
    """How an engine reads; all in a reader's thread."""

    def emails(
        self,
        reader: ReaderIn_contra,
        account_id: int,
        email_ids: Sequence[int],
        fields: Sequence[str],
        derive: Derive,
        /,
    ) -> EmailRows:
        """The named columns of each email, in the order asked."""
        ...

    def ahead(
        self, reader: ReaderIn_contra, account_id: int, email_ids: Sequence[int], bytes_too: bool, /
    ) -> Ahead:
        """Places of emails, with bytes of those that the caller knows to be few enough octets.

        Of a single one also of those behind it, with bytes as far as READ_AHEAD_OCTETS go.
        """
        ...

    def blobs(self, reader: ReaderIn_contra, places: Sequence[Stored], /) -> dict[int, bytes]:
        """Whole blobs; those that are gone or damaged are left out."""
        ...

    def blob(self, reader: ReaderIn_contra, place: Stored, /) -> bytes:
        """One whole blob. NotFound when it is gone."""
        ...

    def whole(self, reader: ReaderIn_contra, place: Stored, /) -> bytes:
        """One whole blob, compared with its digest. NotFound when it is gone, Damaged."""
        ...

    def part(self, reader: ReaderIn_contra, place: Stored, offset: int, length: int | None, /) -> bytes:
        """Octets of a message, prefix and blob as one."""
        ...

    def vanished(self, reader: ReaderIn_contra, account_id: int, mailbox_id: int, modseq: int, /) -> Ranges:
        """UIDs expunged after a mod-sequence."""
        ...

    def queue(
        self, reader: ReaderIn_contra, destination: str, address: str, after: int, limit: int, /
    ) -> list[QueuedMessage]:
        """What is queued, by number above `after`."""
        ...

    def queued(self, reader: ReaderIn_contra, queue_id: int, /) -> QueuedMessage | None:
        """One queued message."""
        ...

    def next_due(self, reader: ReaderIn_contra, /) -> float | None:
        """The earliest time at which something is due."""
        ...

    def events(self, reader: ReaderIn_contra, trace_id: str, address: str, limit: int, /) -> list[Event]:
        """The lines of one message, or the latest about an address, in time order."""
        ...
