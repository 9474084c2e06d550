"""The search database: a file of its own, that may be lost at any time without harm.

`doc` has a row for every message that is indexed; `term_index` (FTS5, contentless) knows which messages have which
terms; `term` lists every account's terms, so that those which contain a needle can be found. A term is stored as
`account U+E000 class term`, so one account's search never reads what others wrote. Whatever is long goes in and out as
one JSON value: apsw lets go of the interpreter lock at every row, and beside a busy event loop each return waits.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from posthouse.message.words import RULES, Requirement
from posthouse.store.search.document import HEADS, Document

SCHEMA: Final = 2
"""Raised whenever terms, folding or tables change; an index of another number is made anew."""
ID_BITS: Final = 40
"""A document's number is the account's, shifted, and the email's: more than 10^12 emails, 8 million accounts."""
_ID_MASK: Final = (1 << ID_BITS) - 1
_MARK: Final = "\ue000"
_PAGE_SIZE: Final = 8192
_MERGED_AT_ONCE: Final = 8
"""Segments of a level that FTS5 merges into one; 4, its own choice, writes a quarter more."""
_CACHE_KIB: Final = 16 * 1024
_BUSY_MS: Final = 10_000

_TABLES: Final = """
CREATE TABLE doc (
    doc_id INTEGER PRIMARY KEY,
    opaque INTEGER NOT NULL,      -- 1: not in the index, must be scanned
    s TEXT, f TEXT, t TEXT, c TEXT
);
CREATE TABLE term (
    account_id INTEGER NOT NULL,
    class TEXT NOT NULL,
    term TEXT NOT NULL,
    PRIMARY KEY (account_id, class, term)
) WITHOUT ROWID;
CREATE TABLE removed (account_id INTEGER PRIMARY KEY, documents INTEGER NOT NULL);
CREATE TABLE made_with (versions TEXT NOT NULL);
CREATE TABLE progress (done_to INTEGER NOT NULL);   -- all emails up to this id were indexed
CREATE VIRTUAL TABLE term_index USING fts5(
    terms, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii'
);
"""

_integers = msgspec.json.Decoder(list[int]).decode
_texts = msgspec.json.Decoder(list[str]).decode


class Damaged(Exception):
    """The file is no search database that we can use: it is to be made anew."""


def doc_id(account_id: int, email_id: int) -> int:
    """The number of a document."""
    return account_id << ID_BITS | email_id


def index_key(account_id: int, class_: str, term: str) -> str:
    """A term as the index holds it."""
    return f"{account_id:x}{_MARK}{class_}{term}"


def open_database(path: Path, *, writer: bool) -> apsw.Connection:
    """A connection for one thread; the writer's makes the tables. Damaged when the file cannot be used."""
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE if writer else apsw.SQLITE_OPEN_READWRITE
    try:
        db = apsw.Connection(str(path), flags=flags)
        try:
            _settle(db, writer=writer)
        except BaseException:
            db.close(True)  # the fault that is told knows it; the file may be about to be deleted
            raise
        return db
    except (apsw.NotADBError, apsw.CorruptError, apsw.FormatError, apsw.SQLError) as error:
        raise Damaged(str(error)) from error


def _settle(db: apsw.Connection, *, writer: bool) -> None:
    db.set_busy_timeout(_BUSY_MS)
    db.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
    db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    if writer:
        db.execute("PRAGMA journal_mode = WAL")
        # A commit that a power cut takes back is only work to be done again.
        db.execute("PRAGMA synchronous = NORMAL")
        _prepare(db)


def _prepare(db: apsw.Connection) -> None:
    made = db.pragma("user_version")
    if made == 0 and not db.execute("SELECT 1 FROM sqlite_schema").fetchall():
        with db:
            db.execute(_TABLES)
            db.execute(
                "INSERT INTO term_index (term_index, rank) VALUES ('automerge', ?)", (_MERGED_AT_ONCE,)
            )
            db.execute("INSERT INTO term_index (term_index, rank) VALUES ('pgsz', ?)", (_PAGE_SIZE - 192,))
            db.execute("INSERT INTO made_with VALUES (?)", (_versions(),))
            db.execute("INSERT INTO progress VALUES (0)")
            db.execute(f"PRAGMA user_version = {SCHEMA}")
    elif made != SCHEMA:
        raise Damaged("another schema")
    elif db.execute("SELECT versions FROM made_with").fetchall() != [(_versions(),)]:
        raise Damaged("another version of the rules, of Unicode or of the charset guesser")


def _versions() -> str:
    """What else the terms depend on: another Unicode may fold otherwise, another guesser read otherwise."""
    guesser = version("charset-normalizer")
    return f"rules {RULES}, Unicode {unicodedata.unidata_version}, charset-normalizer {guesser}"


def delete_database(path: Path) -> None:
    """Remove the file and what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def progress(db: apsw.Connection) -> int:
    """The id up to which all emails were indexed."""
    done_to: int = _row(db, "SELECT max(done_to) FROM progress", ())[0]
    return done_to


def set_progress(db: apsw.Connection, done_to: int) -> None:
    """Note it, in the transaction of the batch."""
    db.execute("UPDATE progress SET done_to = ?", (done_to,))


# --- writing ------------------------------------------------------------------------------------------


def add_documents(
    db: apsw.Connection,
    account_id: int,
    documents: Mapping[int, Document | None],
    known: Mapping[str, set[str]],
) -> None:
    """Add messages of one account by email id; None: opaque. `known`: terms of each class that `term` has already."""
    docs: list[tuple[Any, ...]] = []
    rows: list[tuple[int, str]] = []
    classes: dict[str, set[str]] = {}
    # FTS5 flushes what it has gathered whenever a smaller number follows.
    for email_id in sorted(documents):
        document = documents[email_id]
        number = doc_id(account_id, email_id)
        if document is None:
            docs.append((number, 1, *[None] * len(HEADS)))
            continue
        docs.append((number, 0, *(document.heads or [None] * len(HEADS))))
        prefixed: list[str] = []
        for class_, found in document.terms.items():
            prefix = index_key(account_id, class_, "")
            if found:
                prefixed.append(prefix + f" {prefix}".join(found))
            classes.setdefault(class_, set()).update(found)
        rows.append((number, " ".join(prefixed)))
    with db:
        db.execute(
            "INSERT OR REPLACE INTO doc SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4,"
            " value ->> 5 FROM json_each(?)",
            (_json(docs),),
        )
        db.execute(
            "INSERT OR REPLACE INTO term_index (rowid, terms) SELECT value ->> 0, value ->> 1 FROM json_each(?)",
            (_json(rows),),
        )
        for class_, found in classes.items():
            new = sorted(found - known.get(class_, set()))
            db.execute(
                "INSERT OR IGNORE INTO term SELECT ?, ?, value FROM json_each(?)",
                (account_id, class_, _json(new)),
            )


def remove_documents(db: apsw.Connection, account_id: int, email_ids: Iterable[int]) -> None:
    """Forget messages."""
    numbers = _json(sorted(doc_id(account_id, email_id) for email_id in email_ids))
    with db:
        db.execute("DELETE FROM term_index WHERE rowid IN (SELECT value FROM json_each(?))", (numbers,))
        db.execute("DELETE FROM doc WHERE doc_id IN (SELECT value FROM json_each(?))", (numbers,))
        db.execute(
            "INSERT INTO removed VALUES (?1, ?2) ON CONFLICT DO UPDATE SET documents = documents + ?2",
            (account_id, db.changes()),
        )


def removed_documents(db: apsw.Connection, account_id: int) -> int:
    """How many messages were removed since the account's terms were swept."""
    count: int = _row(db, "SELECT sum(documents) FROM removed WHERE account_id = ?", (account_id,))[0] or 0
    return count


def sweep_terms(
    db: apsw.Connection, account_id: int, after: tuple[str, str], count: int
) -> tuple[str, str] | None:
    """Drop terms that no message has any more, `count` at a time; the place to go on from, or None at the end."""
    row = _row(
        db,
        "SELECT json_group_array(class), json_group_array(term) FROM (SELECT class, term FROM term"
        " WHERE account_id = ? AND (class, term) > (?, ?) ORDER BY class, term LIMIT ?)",
        (account_id, *after, count),
    )
    places = list(zip(_texts(row[0]), _texts(row[1]), strict=True))
    dead = []
    for class_, term in places:
        query = _quoted(index_key(account_id, class_, term))
        if not db.execute("SELECT 1 FROM term_index WHERE term_index MATCH ? LIMIT 1", (query,)).fetchall():
            dead.append((class_, term))
    with db:
        db.execute(
            "DELETE FROM term WHERE account_id = ? AND (class, term) IN"
            " (SELECT value ->> 0, value ->> 1 FROM json_each(?))",
            (account_id, _json(dead)),
        )
        if len(places) < count:
            db.execute("DELETE FROM removed WHERE account_id = ?", (account_id,))
            return None
    return places[-1]


# --- reading ------------------------------------------------------------------------------------------


def indexed(db: apsw.Connection, account_id: int) -> tuple[list[int], list[int]]:
    """(email ids of all messages that have a row, those of them that are opaque)."""
    row = _row(
        db,
        f"SELECT json_group_array(doc_id & {_ID_MASK}), json_group_array(doc_id & {_ID_MASK}) FILTER (WHERE opaque)"
        " FROM doc WHERE doc_id BETWEEN ? AND ?",
        (doc_id(account_id, 0), doc_id(account_id, _ID_MASK)),
    )
    return _integers(row[0]), _integers(row[1])


def count_documents(db: apsw.Connection, account_id: int) -> int:
    """How many messages of an account have a row."""
    bounds = (doc_id(account_id, 0), doc_id(account_id, _ID_MASK))
    count: int = _row(db, "SELECT count(*) FROM doc WHERE doc_id BETWEEN ? AND ?", bounds)[0]
    return count


def accounts(db: apsw.Connection) -> list[int]:
    """All accounts that have messages here, by leaps over their ranges."""
    found: list[int] = []
    at = 0
    while True:
        number = _row(db, "SELECT min(doc_id) FROM doc WHERE doc_id >= ?", (at,))[0]
        if number is None:
            return found
        found.append(number >> ID_BITS)
        at = doc_id(found[-1] + 1, 0)


class AccountTerms:
    """Which messages of one account have which terms (`query.Terms`)."""

    def __init__(self, db: apsw.Connection, account_id: int) -> None:
        self._db = db
        self._account_id = account_id

    def with_all(self, class_: str, terms: Sequence[str], choices: Sequence[Sequence[str]] = ()) -> list[int]:
        """Messages that have all of these terms, and one of each choice."""
        return with_all(self._db, self._account_id, class_, terms, choices)

    def with_any(self, class_: str, terms: Sequence[str]) -> list[int]:
        """Messages that have at least one of these terms."""
        return with_any(self._db, self._account_id, class_, terms)

    def vocabularies(self, asked: Sequence[tuple[str, Requirement]]) -> list[list[str]]:
        """For each class and requirement the terms of that class which satisfy it."""
        return [
            vocabulary(self._db, self._account_id, class_, wanted.kind.value, wanted.text)
            for class_, wanted in asked
        ]


def with_all(
    db: apsw.Connection,
    account_id: int,
    class_: str,
    terms: Sequence[str],
    choices: Sequence[Sequence[str]] = (),
) -> list[int]:
    """Messages that have all of these terms, and one of each choice."""
    wanted = [_quoted(index_key(account_id, class_, term)) for term in terms]
    wanted += [f"({_any(account_id, class_, choice)})" for choice in choices]
    return _matching(db, " AND ".join(wanted))


def with_any(db: apsw.Connection, account_id: int, class_: str, terms: Sequence[str]) -> list[int]:
    """Messages that have at least one of these terms."""
    return _matching(db, _any(account_id, class_, terms))


def _any(account_id: int, class_: str, terms: Sequence[str]) -> str:
    return " OR ".join([_quoted(index_key(account_id, class_, term)) for term in terms])


def _matching(db: apsw.Connection, query: str) -> list[int]:
    sql = f"SELECT json_group_array(rowid & {_ID_MASK}) FROM term_index WHERE term_index MATCH ?"
    return _integers(_row(db, sql, (query,))[0])


def vocabulary(db: apsw.Connection, account_id: int, class_: str, condition: str, text: str) -> list[str]:
    """The account's terms of a class that fulfil a condition of VOCABULARY about a text."""
    sql = f"SELECT json_group_array(term) FROM term WHERE account_id = ?1 AND class = ?2 AND {VOCABULARY[condition]}"
    return _texts(_row(db, sql, (account_id, class_, text))[0])


VOCABULARY: Final = {
    "contains": "instr(term, ?3) > 0",
    "begins": "term >= ?3 AND term < ?3 || char(1114111)",
    "spelt": "term GLOB ?3",
    "ends": "substr(term, -length(?3)) = ?3",
}
"""SQL for the relation of a term to a text."""


def heads(
    db: apsw.Connection, account_id: int, class_: str, email_ids: Iterable[int]
) -> dict[int, str | None]:
    """The folded text of one of HEADS' fields for each message that has a row; None: not kept."""
    numbers = _json(sorted(doc_id(account_id, email_id) for email_id in email_ids))
    row = _row(
        db,
        f"SELECT json_group_array(json_array(doc_id & {_ID_MASK}, {class_}))"
        " FROM doc WHERE doc_id IN (SELECT value FROM json_each(?))",
        (numbers,),
    )
    return dict(_heads(row[0]))


_heads = msgspec.json.Decoder(list[tuple[int, str | None]]).decode


def _row(db: apsw.Connection, sql: str, bindings: Sequence[Any]) -> tuple[Any, ...]:
    """The one row of an aggregate."""
    return db.execute(sql, bindings).fetchall()[0]


def _quoted(term: str) -> str:
    return f'"{term}"'


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode("utf-8")
