"""Full-text search over PostgreSQL: the same terms, the same answers as the embedded engine's index.

A message's terms are the lexemes of one `tsvector`, each as `account U+E000 class term`, so that one account's search
never reads what others wrote. `search_term` lists every account's terms, to find those that contain a needle. What
the index cannot decide, and what is not indexed yet, is looked at (RFC 9051 §6.4.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import asyncpg

from posthouse.errors import StoreUnavailable
from posthouse.message.words import Kind, Requirement, fold_needle
from posthouse.store.foreground import Foreground
from posthouse.store.memory.readers import Readers
from posthouse.store.postgres.bodies import read_blobs
from posthouse.store.postgres.connection import Connection
from posthouse.store.postgres.emails import read_stored
from posthouse.store.postgres.indexed import IndexedIds
from posthouse.store.postgres.readers import Reader
from posthouse.store.postgres.term_sweep import KnownTerms, Learnt, Word, begin_to_list, lexeme_of, quoted
from posthouse.store.postgres.transaction import Transaction
from posthouse.store.search import query
from posthouse.store.search.document import HEADS, Document, contains
from posthouse.store.search.similar import similar

_BETWEEN: Final = "\x01"
"""Between the lexemes of a message, as they are sent."""
_LONGEST: Final = 2_000
"""Octets of a lexeme; PostgreSQL takes 2,046."""
_WHOLE: Final = 900_000
"""Octets of all lexemes of one message; PostgreSQL takes a megabyte."""
READ_TOGETHER: Final = 50
"""Messages looked at that are read with one statement."""

_ADD: Final = (
    "INSERT INTO search_document SELECT n.a, n.e, n.o, n.s, n.f, n.t, n.c,"
    " array_to_tsvector(string_to_array(n.l, chr(1)))"
    " FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],"
    " $8::text[]) AS n (a, e, o, s, f, t, c, l) ON CONFLICT (account_id, email_id)"
    " DO UPDATE SET opaque = excluded.opaque, s = excluded.s, f = excluded.f, t = excluded.t, c = excluded.c,"
    " terms = excluded.terms"
)
_LEARN: Final = (
    "INSERT INTO search_term (account_id, class, term) SELECT $1, c, t FROM unnest($2::text[], $3::text[]) AS n (c, t)"
    " ON CONFLICT DO NOTHING"
)
# The account stands outside: PostgreSQL does not know what reading the terms of a row costs (they lie elsewhere), and
# with the account at hand would read those of all its messages instead of asking the index about the terms,
# which name the account anyhow.
_MATCHING: Final = (
    "WITH found AS MATERIALIZED (SELECT account_id, email_id FROM search_document"
    " WHERE terms @@ $2::text::tsquery) SELECT array_agg(email_id) FROM found WHERE account_id = $1"
)
_VOCABULARY: Final = {
    Kind.CONTAINS: "strpos(term, {0}) > 0",
    Kind.BEGINS: "starts_with(term, {0})",
    Kind.SPELT: "term ~ ('^' || {0} || '$')",
    Kind.ENDS: "right(term, length({0})) = {0}",
}
_ASKED_TOGETHER: Final = 4
"""Vocabularies that one statement looks through: as good as all, and few enough statements to be kept prepared."""


@cache
def _vocabularies(kinds: tuple[Kind, ...]) -> str:
    """The terms of classes ($2, $4, …) that satisfy requirements of these kinds about texts ($3, $5, …)."""
    parts = [
        f"(SELECT array_agg(term) FROM search_term WHERE account_id = $1 AND class = ${2 * i}"
        f" AND {_VOCABULARY[kind].format(f'${2 * i + 1}')})"
        for i, kind in enumerate(kinds, 1)
    ]
    return f"SELECT {', '.join(parts)}"


# --- writing ------------------------------------------------------------------------------------------------


def index_documents(
    tx: Transaction, documents: Mapping[tuple[int, int], Document | None], known: KnownTerms
) -> dict[int, Learnt]:
    """Add messages by (account, email); None: opaque. `known`: terms that are listed. The result: new ones."""
    rows: list[tuple[Any, ...]] = []
    learnt: dict[int, set[Word]] = {}
    for (account_id, email_id), document in sorted(documents.items()):
        lexemes = [] if document is None else _lexemes(account_id, document)
        if document is None or lexemes is None:
            rows.append((account_id, email_id, 1, None, None, None, None, ""))
            continue
        heads = [None if text is None else _clean(text) for text in document.heads or [None] * len(HEADS)]
        rows.append((account_id, email_id, 0, *heads, _BETWEEN.join(lexemes)))
        terms = learnt.setdefault(account_id, set())
        for class_, found in document.terms.items():
            terms.update((class_, _clean(term)) for term in found)
    if not rows:
        return {}
    tx.fetch(_ADD, *map(list, zip(*rows, strict=True)))
    sweeps = begin_to_list(tx, learnt)
    for account_id, terms in learnt.items():
        terms.difference_update(known.of(account_id, sweeps[account_id]))
        if terms:  # in order, so that two nodes that learn the same never wait for each other in a circle
            classes, words = map(list, zip(*sorted(terms), strict=True))
            tx.fetch(_LEARN, account_id, classes, words)
    return {account_id: Learnt(sweeps[account_id], terms) for account_id, terms in learnt.items()}


def _lexemes(account_id: int, document: Document) -> list[str] | None:
    """The lexemes of a message; None when they are too many, too long or too strange for a tsvector."""
    lexemes = []
    octets = 0
    for class_, found in document.terms.items():
        for term in found:
            lexeme = lexeme_of(account_id, class_, _clean(term))
            size = len(lexeme.encode())
            octets += size + 2
            if size > _LONGEST or octets > _WHOLE or _BETWEEN in lexeme:
                return None
            lexemes.append(lexeme)
    return lexemes


def _clean(text: str) -> str:
    return text.replace("\0", "\ufffd")  # PostgreSQL's text has no NUL; the texts are looked at again


# --- asking -------------------------------------------------------------------------------------------------


class AccountTerms:
    """Which messages of one account have which terms (`query.Terms`)."""

    def __init__(self, db: Connection, account_id: int) -> None:
        self._db = db
        self._account_id = account_id

    def with_all(self, class_: str, terms: Sequence[str], choices: Sequence[Sequence[str]] = ()) -> list[int]:
        """Messages that have all of these terms, and one of each choice."""
        wanted = self._quoted(class_, terms)
        wanted += [f"({' | '.join(self._quoted(class_, choice))})" for choice in choices]
        return self._matching(" & ".join(wanted))

    def with_any(self, class_: str, terms: Sequence[str]) -> list[int]:
        """Messages that have at least one of these terms."""
        return self._matching(" | ".join(self._quoted(class_, terms)))

    def _quoted(self, class_: str, terms: Sequence[str]) -> list[str]:
        return [quoted(lexeme_of(self._account_id, class_, _clean(term))) for term in terms]

    def _matching(self, asked: str) -> list[int]:
        if not asked:
            return []
        ((found,),) = self._db.fetch(_MATCHING, self._account_id, asked)
        return found or []

    def vocabularies(self, asked: Sequence[tuple[str, Requirement]]) -> list[list[str]]:
        """For each class and requirement the terms of that class which satisfy it: one round trip for all."""
        found: list[list[str]] = []
        for start in range(0, len(asked), _ASKED_TOGETHER):
            some = asked[start : start + _ASKED_TOGETHER]
            statement = _vocabularies(tuple(wanted.kind for _, wanted in some))
            bindings = [word for class_, wanted in some for word in (class_, _clean(wanted.text))]
            (row,) = self._db.fetch(statement, self._account_id, *bindings)
            found += [terms or [] for terms in row]
        return found


class Search:
    """`TextSearch` over the database. Feeding the index is the digester's work."""

    def __init__(self, readers: Readers[Reader], foreground: Foreground) -> None:
        self._readers = readers
        self._foreground = foreground
        self._indexed = IndexedIds()

    async def matching(
        self, account_id: int, email_ids: Sequence[int], field: str, needle: str
    ) -> frozenset[int]:
        """Which of the messages contain the needle (`Store.search_text`). Messages that are gone match nothing."""
        with self._foreground.serving():
            return await self._readers.run(_match, self._indexed, account_id, email_ids, field, needle)

    async def similar(self, account_id: int, field: str, words: Sequence[str]) -> list[list[str]]:
        """Words that look like others (`Store.similar_words`)."""
        with self._foreground.serving():
            return await self._readers.run(_similar, account_id, field, words)

    def notify_added(self) -> None:
        """The digester hears of new mail by itself."""

    def notify_removed(self, account_id: int, email_ids: Sequence[int]) -> None:
        """The sweeper removes documents with their emails."""

    async def close(self) -> None:
        """Nothing is open here."""


def _match(
    reader: Reader, indexed: IndexedIds, account_id: int, email_ids: Sequence[int], field: str, needle: str
) -> frozenset[int]:
    asked = set(email_ids)
    folded = fold_needle(needle)
    if not folded and not field.startswith("header:"):
        return frozenset(asked)  # RFC 9051 §6.4.4: the empty string is a substring
    try:
        among = indexed.searchable(reader.db, account_id, asked)
        decided, hits = _by_index(reader, account_id, among, field, folded)
    except asyncpg.PostgresError as fault:
        raise StoreUnavailable("Searching failed.") from fault
    return frozenset(hits.union(_by_looking(reader, account_id, asked - decided, field, folded)))


def _similar(reader: Reader, account_id: int, field: str, words: Sequence[str]) -> list[list[str]]:
    try:
        return similar(AccountTerms(reader.db, account_id), field, words)
    except asyncpg.PostgresError as fault:
        raise StoreUnavailable("Searching failed.") from fault


def _by_index(
    reader: Reader, account_id: int, among: set[int], field: str, needle: str
) -> tuple[set[int], set[int]]:
    """(those of the indexed messages that the index decided about, those of them that match)."""
    db = reader.db
    answer = query.ask(AccountTerms(db, account_id), field, needle, among)
    hits, undecided = set(answer.hits), set(answer.undecided)
    class_ = HEADS.get(field.removeprefix("header:")) if needle and undecided else None
    # (A NUL stands as U+FFFD in the texts: `_clean`.)
    if class_ is not None and not {"\0", "\ufffd"} & set(needle):
        ((looked_at, having),) = db.fetch(
            f"SELECT array_agg(email_id), array_agg(email_id) FILTER (WHERE strpos({class_}, $3) > 0)"
            f" FROM search_document WHERE account_id = $1 AND email_id = ANY($2::bigint[]) AND {class_} IS NOT NULL",
            account_id,
            sorted(undecided),
            needle,
        )
        undecided.difference_update(looked_at or ())
        hits.update(having or ())
    return among - undecided, hits


def _by_looking(
    reader: Reader, account_id: int, email_ids: set[int], field: str, needle: str
) -> Iterable[int]:
    ordered = sorted(email_ids)
    for start in range(0, len(ordered), READ_TOGETHER):
        some = ordered[start : start + READ_TOGETHER]
        places = read_stored(reader, account_id, some)
        small = [place for place in places.values() if place.size < 256 * 1024]
        blobs = read_blobs(reader, small)
        for email_id, place in places.items():
            raw = blobs.get(place.blob_id)
            if raw is None:
                raw = read_blobs(reader, [place]).get(place.blob_id)
            if raw is not None and contains(place.prefix + raw, field, needle):
                yield email_id
