"""Computes what is kept of new mail, and indexes its words, after it was accepted: work that any node may take.

Emails stand in `new_email` until the transaction that writes the results, so a node that dies in between leaves them
to others. Two nodes may compute the same; the results of the second are dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.store.foreground import Foreground
from posthouse.store.memory.engine import Derive, NewDerived
from posthouse.store.memory.readers import Readers
from posthouse.store.model import Stored
from posthouse.store.postgres import upkeep
from posthouse.store.postgres.bodies import read_blobs
from posthouse.store.postgres.emails import read_places
from posthouse.store.postgres.readers import Reader
from posthouse.store.postgres.search import index_documents
from posthouse.store.postgres.term_sweep import KnownTerms, Learnt
from posthouse.store.postgres.transaction import Transaction
from posthouse.store.search.document import Document, analyse, writable
from posthouse.store.unforeseen import told

log = logging.getLogger("posthouse.store")

BUSY_SECONDS: Final = 0.25
"""Between two small steps while somebody is served."""
READ_TOGETHER: Final = 50
"""Emails whose bytes are read with one statement."""
RETRY_SECONDS: Final = 5.0
"""After a fault of the database."""
_TAKE: Final = "SELECT account_id, email_id FROM new_email ORDER BY account_id, email_id LIMIT $1"
_DONE: Final = (
    "DELETE FROM new_email USING unnest($1::bigint[], $2::bigint[]) AS done (a, e)"
    " WHERE account_id = a AND email_id = e RETURNING account_id, email_id"
)


class Digest(msgspec.Struct):
    """What was computed of some emails."""

    taken: list[tuple[int, int]]
    derived: list[NewDerived] = msgspec.field(default_factory=list)
    documents: dict[tuple[int, int], Document | None] = msgspec.field(default_factory=dict)
    """None: too many terms, must be scanned each time."""


class Digester:
    """The job. `wake` when mail came."""

    def __init__(
        self,
        readers: Readers[Reader],
        derive: Derive,
        background: Callable[[Callable[[Transaction], Any]], Awaitable[Any]],
        foreground: Foreground,
    ) -> None:
        self._readers = readers
        self._derive = derive
        self._background = background
        self._foreground = foreground
        self._woken = asyncio.Event()
        self._woken.set()
        self._known = KnownTerms()
        self.done = asyncio.Event()
        """Set while there is nothing to do."""

    def wake(self) -> None:
        """There is something new."""
        self.done.clear()
        self._woken.set()

    async def run(self) -> None:
        """For as long as the store is open."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            try:
                while await self._step():
                    pass
                if not self._woken.is_set():
                    self.done.set()
            except Exception as fault:
                told(log, "deriving is put off", fault)
                await asyncio.sleep(RETRY_SECONDS)
                self._woken.set()

    async def _room(self) -> int:
        """Wait for a quiet moment, but not for long; how many emails to do in it."""
        waited = 0.0
        while self._foreground.busy:
            if waited >= BUSY_SECONDS:
                return limits.DERIVE_BATCH_BUSY
            await asyncio.sleep(limits.QUIET_SECONDS)
            waited += limits.QUIET_SECONDS
        return limits.DERIVE_BATCH

    async def _step(self) -> bool:
        """Do some emails; whether there may be more."""
        digest = await self._readers.run(_compute, await self._room(), self._derive, self._foreground)
        if digest.taken:
            self._known.remember(await self._background(lambda tx: _keep(tx, digest, self._known)))
        return bool(digest.taken)


def _compute(reader: Reader, count: int, derive: Derive, foreground: Foreground) -> Digest:
    wanted = [(row[0], row[1]) for row in reader.db.fetch(_TAKE, count)]
    digest = Digest([])
    places = read_places(reader, wanted)
    for some in _portions(wanted, places):
        blobs = read_blobs(reader, [places[each][0] for each in some if each in places])
        for each in some:
            if len(digest.taken) >= limits.DERIVE_BATCH_BUSY and foreground.busy:
                return digest
            digest.taken.append(each)
            if each in places:
                _digest_one(each, *places[each], blobs, derive, digest)
    return digest


def _portions(
    wanted: list[tuple[int, int]], places: dict[tuple[int, int], tuple[Stored, int]]
) -> Iterator[list[tuple[int, int]]]:
    """Emails whose bytes are read together: some of them, and not many octets."""
    some: list[tuple[int, int]] = []
    octets = 0
    for each in wanted:
        some.append(each)
        octets += places[each][0].size if each in places else 0
        if len(some) >= READ_TOGETHER or octets >= limits.READ_AHEAD_OCTETS:
            yield some
            some, octets = [], 0
    if some:
        yield some


def _digest_one(
    email: tuple[int, int],
    place: Stored,
    received_at: int,
    blobs: Mapping[int, bytes],
    derive: Derive,
    digest: Digest,
) -> None:
    blob = blobs.get(place.blob_id)
    if blob is None:
        return
    raw = place.prefix + blob
    try:
        digest.derived.append(NewDerived(*email, derive(raw, received_at)))
        digest.documents[email] = writable(analyse(raw))
    except Exception:  # a bug there must hide one message at most
        log.exception("email %d could not be derived", email[1])


def _keep(tx: Transaction, digest: Digest, known: KnownTerms) -> dict[int, Learnt]:
    accounts, emails = map(list, zip(*digest.taken, strict=True))
    done = {(row[0], row[1]) for row in tx.fetch(_DONE, accounts, emails)}
    documents = {key: each for key, each in digest.documents.items() if key in done}
    learnt = index_documents(tx, documents, known)
    # Last, because it locks the accounts: mail for them waits no longer than for that.
    upkeep.keep_derived(tx, [each for each in digest.derived if (each.account_id, each.email_id) in done])
    return learnt
