"""Reading emails: columns of many at once, where their bytes are, and the bytes themselves.

Everything runs in a reader's thread. Texts that are not derived yet are derived here, and the caller is told so
that they can be kept.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

from posthouse import limits
from posthouse.errors import Damaged, NotFound
from posthouse.store.compression import decompressed
from posthouse.store.memory.engine import Ahead, Derive, EmailRows, NewDerived
from posthouse.store.model import Stored
from posthouse.store.sqlite.connection import Column, Connection, columns, integer, members, octets, snapshot
from posthouse.store.sqlite.readers import Reader
from posthouse.store.sqlite.segments import SegmentReader, digest_of

log = logging.getLogger("posthouse.store")

OF_EMAIL: Final = {"size": integer("size"), "received_at": integer("received_at")}
OF_DERIVED: Final = {
    "sent_at": integer("sent_at"),
    "preview": octets("preview"),
    "envelope": octets("envelope"),
    "body_structure": octets("body_structure"),
    "parts": octets("parts"),
}
DENSE: Final = 3
"""A range of numbers is read whole when it holds at most so many times what is wanted."""


class BlobFiles(Protocol):
    """What the bytes of messages are read with: a `Reader`, or a backup's files."""

    db: Connection
    segments: SegmentReader


def read_emails(
    reader: Reader, account_id: int, email_ids: Sequence[int], fields: Sequence[str], derive: Derive
) -> EmailRows:
    """The named columns of each email, in the order asked."""
    computed: list[NewDerived] = []
    with reader.segments.pinned(), snapshot(reader.db):  # pinned first: all that it will see stays
        found: dict[str, Sequence[Any]] = {}
        derived = [name for name in fields if name in OF_DERIVED]
        plain = [name for name in fields if name in OF_EMAIL]
        if derived:
            lists = _read_table(reader, "derived", account_id, email_ids, [OF_DERIVED[n] for n in derived])
            if "preview" in derived:
                at = derived.index("preview")
                lists[at] = [None if raw is None else raw.decode() for raw in lists[at]]
            found.update(zip(derived, lists, strict=True))
            if None in lists[0]:
                computed = _derive_missing(reader, account_id, email_ids, lists[0], derive)
                _fill_in(found, derived, email_ids, computed)
        if plain:
            lists = _read_table(reader, "email", account_id, email_ids, [OF_EMAIL[n] for n in plain])
            found.update(zip(plain, lists, strict=True))
    rows: list[tuple[Any, ...] | None] = list(zip(*(found[name] for name in fields), strict=True))
    if any(None in column for column in found.values()):
        rows = [None if row is None or None in row else row for row in rows]
    return EmailRows(rows, computed)


def _read_table(
    reader: Reader, table: str, account_id: int, email_ids: Sequence[int], wanted: Sequence[Column]
) -> list[list[Any]]:
    """Columns of one table, one item for each id asked, None where there is no row."""
    asked = [integer("email_id"), *wanted]
    first, last = min(email_ids), max(email_ids)
    mine = "account_id = ? AND email_id BETWEEN ? AND ?"
    lists: list[list[Any]] | None = None
    if last - first < DENSE * len(email_ids) or _few_between(reader, table, account_id, email_ids):
        lists = columns(reader.db, asked, f"FROM {table} WHERE {mine}", (account_id, first, last))
    else:
        source = f"FROM carray(?) AS c CROSS JOIN {table} ON {table}.email_id = c.value WHERE account_id = ?"
        lists = columns(reader.db, asked, source, (members(email_ids), account_id))
    ids, *values = lists
    if ids == list(email_ids):
        return values
    at = {email_id: i for i, email_id in enumerate(ids)}
    places = [at.get(email_id) for email_id in email_ids]
    return [[None if i is None else column[i] for i in places] for column in values]


def _few_between(reader: Reader, table: str, account_id: int, email_ids: Sequence[int]) -> bool:
    """Whether the account has little that was not asked between the first and the last (others' do not count)."""
    if table != "derived":
        return False
    ((there,),) = reader.db.rows(
        "SELECT count(*) FROM (SELECT 1 FROM derived WHERE account_id = ? AND email_id BETWEEN ? AND ? LIMIT ?)",
        (account_id, min(email_ids), max(email_ids), DENSE * len(email_ids) + 1),
    )
    return bool(there <= DENSE * len(email_ids))


def _derive_missing(
    reader: Reader, account_id: int, email_ids: Sequence[int], column: Sequence[Any], derive: Derive
) -> list[NewDerived]:
    missing = [email_id for email_id, value in zip(email_ids, column, strict=True) if value is None]
    return derive_emails(reader, account_id, missing, derive)


def derive_emails(
    reader: Reader, account_id: int, email_ids: Sequence[int], derive: Derive
) -> list[NewDerived]:
    """Compute the derived values of emails (those that are gone are left out)."""
    computed = []
    for group in _by_octets(_places(reader, account_id, email_ids)):
        blobs = read_blobs(reader, [stored.blob_id for _, stored, _ in group])
        for email_id, stored, received_at in group:
            blob = blobs.get(stored.blob_id)
            if blob is None:
                continue
            try:
                computed.append(NewDerived(account_id, email_id, derive(stored.prefix + blob, received_at)))
            except Exception:  # a bug there must hide one message at most
                log.exception("email %d could not be derived", email_id)
    return computed


def _by_octets(places: list[tuple[int, Stored, int]]) -> Iterator[list[tuple[int, Stored, int]]]:
    """Groups of emails that are read together: as far as READ_AHEAD_OCTETS go, at least one."""
    group: list[tuple[int, Stored, int]] = []
    octets = 0
    for place in places:
        if group and octets + place[1].size > limits.READ_AHEAD_OCTETS:
            yield group
            group, octets = [], 0
        group.append(place)
        octets += place[1].size
    if group:
        yield group


def _fill_in(
    found: dict[str, Sequence[Any]],
    names: Sequence[str],
    email_ids: Sequence[int],
    computed: list[NewDerived],
) -> None:
    new = {each.email_id: each.derived for each in computed}
    for name in names:
        found[name] = [
            getattr(new[email_id], name) if value is None and email_id in new else value
            for email_id, value in zip(email_ids, found[name], strict=True)
        ]


# --- where the bytes are ------------------------------------------------------------------------------------


def _places(reader: Reader, account_id: int, email_ids: Sequence[int]) -> list[tuple[int, Stored, int]]:
    ids, blobs, sizes, received, prefixes = columns(
        reader.db,
        [integer("email_id"), integer("blob_id"), integer("size"), integer("received_at"), octets("prefix")],
        f"FROM email WHERE {_which(email_ids)} AND account_id = ?",
        (*_which_bindings(email_ids), account_id),
    )
    return [
        (email_id, Stored(blob_id=blob_id, prefix=prefix, size=size, account_id=account_id), received_at)
        for email_id, blob_id, size, received_at, prefix in zip(
            ids, blobs, sizes, received, prefixes, strict=True
        )
    ]


def _which(email_ids: Sequence[int]) -> str:
    return "email_id = ?" if len(email_ids) == 1 else "email_id IN (SELECT value FROM carray(?))"


def _which_bindings(email_ids: Sequence[int]) -> tuple[Any, ...]:
    return (email_ids[0],) if len(email_ids) == 1 else (members(email_ids),)


def read_stored(reader: Reader, account_id: int, email_ids: Sequence[int]) -> dict[int, Stored]:
    """Where the bytes of each email are (those that are gone are left out)."""
    return {email_id: stored for email_id, stored, _ in _places(reader, account_id, email_ids)}


def read_ahead(reader: Reader, account_id: int, email_ids: Sequence[int], *, bytes_too: bool) -> Ahead:
    """Places of emails, with bytes; of a single one also of those behind it, as far as READ_AHEAD_OCTETS go."""
    with reader.segments.pinned(), snapshot(reader.db):  # pinned first: all that it will see stays
        several = len(email_ids) > 1
        asked = email_ids if several else range(email_ids[0], email_ids[0] + limits.READ_AHEAD)
        stored = read_stored(reader, account_id, asked)
        if not bytes_too:
            return Ahead(stored, {})
        if several:
            return Ahead(stored, read_blobs(reader, [place.blob_id for place in stored.values()]))
        wanted: list[int] = []
        room = limits.READ_AHEAD_OCTETS
        for place in stored.values():
            room -= place.size
            if room < 0:
                break
            wanted.append(place.blob_id)
        return Ahead(stored, read_blobs(reader, wanted))


# --- the bytes ----------------------------------------------------------------------------------------------


def read_blobs(reader: Reader, blob_ids: Sequence[int]) -> dict[int, bytes]:
    """Whole blobs (the caller bounds the sum of sizes); those that are gone or damaged are left out.

    One damaged message must not hide the others; asked for alone (`read_blob`) it is an error.
    """
    if not blob_ids:
        return {}
    ids, contents = columns(
        reader.db,
        [integer("blob_id"), octets("content")],
        "FROM blob WHERE blob_id IN (SELECT value FROM carray(?))",
        (members(blob_ids),),
    )
    found: dict[int, bytes] = {}
    for blob_id, content in zip(ids, contents, strict=True):
        try:
            found[blob_id] = content if content is not None else read_blob(reader, blob_id)
        except OSError as fault:
            log.error("message bytes %d cannot be read: %s", blob_id, fault)
    return found


def read_blob(reader: BlobFiles, blob_id: int, offset: int = 0, length: int | None = None) -> bytes:
    """Octets of a blob. NotFound when it is gone."""
    place = _blob_row(reader, blob_id)
    try:
        return _read_at(reader, place, offset, length)
    except OSError:
        again = _blob_row(reader, blob_id)
        if again == place:
            raise
        return _read_at(reader, again, offset, length)  # compaction had moved it between the two steps


def read_whole(reader: BlobFiles, blob_id: int) -> bytes:
    """A blob, compared with its digest. NotFound when it is gone, Damaged."""
    try:
        raw = read_blob(reader, blob_id)
    except OSError as fault:
        raise Damaged(str(fault)) from fault
    rows = reader.db.rows("SELECT digest FROM blob WHERE blob_id = ?", (blob_id,))
    if not rows:
        raise NotFound("The message is gone.")
    if digest_of([raw]) != rows[0][0]:
        raise Damaged("the bytes are not those that were stored")
    return raw


def _blob_row(reader: BlobFiles, blob_id: int) -> tuple[Any, ...]:
    rows = reader.db.rows(
        "SELECT size, segment, offset, packed_size, content FROM blob WHERE blob_id = ?", (blob_id,)
    )
    if not rows:
        raise NotFound("The message is gone.")
    return rows[0]


def _read_at(reader: BlobFiles, place: tuple[Any, ...], offset: int, length: int | None) -> bytes:
    size, segment, start, packed_size, content = place
    end = size if length is None else min(offset + length, size)
    if segment is None:
        return bytes(content[offset:end])
    if packed_size is not None:
        return decompressed(reader.segments.read(segment, start, packed_size), size)[offset:end]
    return reader.segments.read(segment, start + offset, max(end - offset, 0))


def read_part(reader: Reader, stored: Stored, offset: int, length: int | None) -> bytes:
    """Octets of a message, prefix and blob as one."""
    before = len(stored.prefix)
    end = stored.size if length is None else min(offset + length, stored.size)
    head = stored.prefix[offset:end]
    if end <= before:
        return head
    start = max(offset - before, 0)
    return head + read_blob(reader, stored.blob_id, start, end - before - start)
