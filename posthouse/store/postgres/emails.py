"""Reading emails: columns of many at once, and which bytes are theirs (`bodies.py` reads these). In a reader's thread.

Texts that are not derived yet are derived here, and the caller is told so that they can be kept.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, Final

from posthouse import limits
from posthouse.store.memory.engine import Ahead, Derive, EmailRows, NewDerived
from posthouse.store.model import Stored
from posthouse.store.postgres.bodies import read_blobs
from posthouse.store.postgres.readers import Reader

log = logging.getLogger("posthouse.store")

OF_EMAIL: Final = frozenset({"size", "received_at"})
CLOSE: Final = 1.5
"""Emails whose numbers lie so close (the range, by how many are asked for) are read as a range, with those in between:
each row costs three fifths of one that is looked for by its key."""
_PLACES: Final = (
    "SELECT email_id, blob_id, prefix, size, received_at FROM email"
    " WHERE account_id = $1 AND email_id = ANY($2::bigint[])"
)
_PLACES_OF_MANY: Final = (
    "SELECT account_id, email_id, blob_id, prefix, size, received_at FROM email"
    " JOIN unnest($1::bigint[], $2::bigint[]) AS n (a, e) ON account_id = n.a AND email_id = n.e"
)
_AHEAD: Final = (
    "SELECT e.email_id, e.blob_id, e.prefix, e.size,"
    " CASE WHEN sum(e.size) OVER (ORDER BY n.place) <= $3 THEN b.content END"
    " FROM unnest($2::bigint[]) WITH ORDINALITY AS n (email_id, place)"
    " JOIN email e ON e.account_id = $1 AND e.email_id = n.email_id"
    " LEFT JOIN blob b ON b.account_id = e.account_id AND b.blob_id = e.blob_id"
)

_WHOLE: Final = (
    "SELECT e.email_id, e.blob_id, e.prefix, e.size, b.content FROM email e"
    " LEFT JOIN blob b ON b.account_id = e.account_id AND b.blob_id = e.blob_id"
    " WHERE e.account_id = $1 AND e.email_id = ANY($2::bigint[])"
)


def read_emails(
    reader: Reader, account_id: int, email_ids: Sequence[int], fields: Sequence[str], derive: Derive
) -> EmailRows:
    """The named columns of each email, in the order asked."""
    plain = [name for name in fields if name in OF_EMAIL]
    derived = [name for name in fields if name not in OF_EMAIL]
    ids = list(email_ids)
    found: dict[str, dict[int, Any]] = {}
    computed: list[NewDerived] = []
    if derived:
        there, values = _read_columns(reader, "derived", account_id, ids, derived)
        if there == ids and not plain:  # as FETCH of a mailbox nearly always is
            return EmailRows(list(zip(*values, strict=True)), [])
        found.update(_by_email(there, values, derived))
        known = found[derived[0]]
        missing = [email_id for email_id in ids if email_id not in known]
        if missing:
            computed = derive_emails(reader, account_id, missing, derive)
            for name in derived:
                found[name].update({new.email_id: getattr(new.derived, name) for new in computed})
    if plain:
        found.update(_by_email(*_read_columns(reader, "email", account_id, ids, plain), plain))
    columns = [found[name] for name in fields]
    rows: list[tuple[Any, ...] | None] = []
    for email_id in ids:
        row = tuple(column.get(email_id) for column in columns)
        rows.append(None if None in row else row)
    return EmailRows(rows, computed)


def _by_email(
    email_ids: Sequence[int], values: Sequence[tuple[Any, ...]], names: Sequence[str]
) -> dict[str, dict[int, Any]]:
    return {
        name: dict(zip(email_ids, column, strict=True)) for name, column in zip(names, values, strict=True)
    }


def _read_columns(
    reader: Reader, table: str, account_id: int, ids: list[int], names: Sequence[str]
) -> tuple[list[int], list[tuple[Any, ...]]]:
    """(those of the emails that have a row, perhaps others between; of each column the values of these)."""
    wanted = f"SELECT email_id, {', '.join(names)} FROM {table} WHERE account_id = $1"
    first, last = min(ids), max(ids)
    if last - first < len(ids) * CLOSE:
        ranged = f"{wanted} AND email_id BETWEEN $2 AND $3 ORDER BY email_id"
        rows = reader.db.fetch(ranged, account_id, first, last)
    else:
        rows = reader.db.fetch(f"{wanted} AND email_id = ANY($2::bigint[])", account_id, ids)
    found, *values = zip(*rows, strict=True) if rows else [()] * (1 + len(names))
    return list(found), values


def derive_emails(
    reader: Reader, account_id: int, email_ids: Sequence[int], derive: Derive
) -> list[NewDerived]:
    """Compute the derived values of emails (those that are gone are left out)."""
    computed = []
    places = _places(reader, account_id, email_ids)
    blobs = read_blobs(reader, [place for place, _ in places.values()])
    for email_id, (place, received_at) in places.items():
        blob = blobs.get(place.blob_id)
        if blob is None:
            continue
        try:
            computed.append(NewDerived(account_id, email_id, derive(place.prefix + blob, received_at)))
        except Exception:  # a bug there must hide one message at most
            log.exception("email %d could not be derived", email_id)
    return computed


# --- where the bytes are ------------------------------------------------------------------------------------


def _places(reader: Reader, account_id: int, email_ids: Iterable[int]) -> dict[int, tuple[Stored, int]]:
    rows = reader.db.fetch(_PLACES, account_id, list(email_ids))
    return {
        email_id: (Stored(blob_id=blob_id, prefix=prefix, size=size, account_id=account_id), received_at)
        for email_id, blob_id, prefix, size, received_at in rows
    }


def read_places(
    reader: Reader, emails: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], tuple[Stored, int]]:
    """Where the bytes of emails (account, number) of many accounts are, with their INTERNALDATE."""
    if not emails:
        return {}
    rows = reader.db.fetch(_PLACES_OF_MANY, *map(list, zip(*emails, strict=True)))
    return {
        (account_id, email_id): (
            Stored(blob_id=blob_id, prefix=prefix, size=size, account_id=account_id),
            received_at,
        )
        for account_id, email_id, blob_id, prefix, size, received_at in rows
    }


def read_stored(reader: Reader, account_id: int, email_ids: Iterable[int]) -> dict[int, Stored]:
    """Where the bytes of each email are (those that are gone are left out)."""
    return {email_id: place for email_id, (place, _) in _places(reader, account_id, email_ids).items()}


def read_ahead(reader: Reader, account_id: int, email_ids: Sequence[int], bytes_too: bool) -> Ahead:
    """Places of emails, with bytes; of a single one also of those behind it, as far as READ_AHEAD_OCTETS go.

    Bytes that are in the object store are left to `read_blobs`.
    """
    several = len(email_ids) > 1
    asked = email_ids if several else range(email_ids[0], email_ids[0] + limits.READ_AHEAD)
    if not bytes_too:
        return Ahead(read_stored(reader, account_id, asked), {})
    if several:
        rows = reader.db.fetch(_WHOLE, account_id, list(asked))
    else:
        rows = reader.db.fetch(_AHEAD, account_id, list(asked), limits.READ_AHEAD_OCTETS)
    stored = {
        email_id: Stored(blob_id=blob_id, prefix=prefix, size=size, account_id=account_id)
        for email_id, blob_id, prefix, size, _ in rows
    }
    return Ahead(stored, {blob_id: raw for _, blob_id, _, _, raw in rows if raw is not None})
