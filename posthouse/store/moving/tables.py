"""Which tables are moved, and what the two sides of a move offer.

Whatever table and column both engines have is moved, so that a table added to both is moved without a word here.
A mailbox's and an account's own rows are made from the account as it is loaded: the embedded engine counts later.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

import msgspec

from posthouse.store.sql.state import AccountState

OF_MAIL: Final = (
    *("subscription", "keyword", "placement", "mailbox_change", "doomed_mailbox", "email", "derived"),
    *("twin", "email_gone", "mailbox_gone", "history", "email_thread", "thread_key", "email_origin"),
    *("item", "item_gone", "item_state", "upload", "transferred", "passage", "retention"),
)
"""Tables of an account's mail, copied account by account."""
MADE: Final = frozenset({"mailbox", "account_state", "blob", "blob_share"})
"""Tables that each side writes in its own way."""
LEFT: Final = {
    "sqlite": frozenset({"note", "schema_version", "sequence", "segment", "queue_destination"}),
    "both": frozenset({"mailbox_snapshot", "garbage_email", "deleted_email", "moving", "flag_log"}),
    "postgres": frozenset(
        {
            "new_email",
            "stray_object",
            "search_document",
            "search_term",
            "search_sweep",
            "node",
            "host",
            "lease",
            "secret",
            "commit_mark",
            "pack",
            "placed",
        }
    ),
}
"""Tables that are an engine's own, or made anew."""
PAGE: Final = 2_000
"""Rows handed over at a time."""

Rows = tuple[str, Sequence[str], Iterable[Sequence[Any]]]
"""A table, its columns, and some of its rows."""
Blob = tuple[int, int]
"""Account, number."""


class Fingerprint(msgspec.Struct, frozen=True):
    """Equal as long as an account's mail is the same."""

    modseq: int
    counted: tuple[int, ...]

    def text(self) -> str:
        """As it is noted."""
        return " ".join(map(str, (self.modseq, *self.counted)))


class Totals(msgspec.Struct, frozen=True):
    """What is compared of an account at the end."""

    mailboxes: tuple[Any, ...]
    placements: tuple[Any, ...]
    emails: tuple[Any, ...]
    threads: int


class Side(Protocol):
    """What both sides can. One thread."""

    def columns(self) -> dict[str, list[str]]:
        """Every table with its columns."""
        ...

    def accounts(self) -> list[int]:
        """All accounts."""
        ...

    def fingerprint(self, account_id: int) -> Fingerprint | None:
        """None: there is no such account."""
        ...

    def totals(self, account_id: int) -> Totals:
        """What is compared of an account's mail."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class Source(Side, Protocol):
    """Where it comes from."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Everything read within is of one moment."""
        ...

    def state(self, account_id: int) -> AccountState | None:
        """An account as it is."""
        ...

    def rows_of(self, table: str, columns: Sequence[str], account_id: int) -> Iterator[Sequence[Any]]:
        """An account's rows of a table of OF_MAIL."""
        ...

    def all_rows(self, table: str, columns: Sequence[str]) -> Iterator[Sequence[Any]]:
        """All rows of another table."""
        ...

    def blobs_of(self, account_id: int) -> list[Blob]:
        """Bytes that an account's mail and uploads have."""
        ...

    def blobs_of_queue(self) -> list[Blob]:
        """Bytes that the queue has, by the account that owns them (0: none)."""
        ...

    def octets(self, blob: Blob) -> bytes:
        """The bytes, checked against their digest."""
        ...

    def ceilings(self) -> dict[str, int]:
        """Numbers below which may be in use, by sequence."""
        ...


class Target(Side, Protocol):
    """Where it goes to."""

    def moved(self) -> dict[int, str]:
        """Accounts that are here already, with the fingerprint they had."""
        ...

    def missing(self, blobs: Collection[Blob]) -> list[Blob]:
        """Those bytes that are not here yet."""
        ...

    def put_blobs(self, blobs: Sequence[Blob], octets: Callable[[Blob], bytes]) -> None:
        """Keep bytes."""
        ...

    def put_accounts(self, accounts: Sequence[tuple[AccountState, str]], tables: Iterable[Rows]) -> None:
        """Replace the mail of accounts, and note their fingerprints, in one transaction."""
        ...

    def drop_account(self, account_id: int) -> None:
        """An account is gone."""
        ...

    def put_rest(self, tables: Iterable[Rows], ceilings: dict[str, int]) -> None:
        """Replace all other tables, count the owners of bytes, and end."""
        ...


def shared_columns(source: Side, target: Side) -> dict[str, list[str]]:
    """The tables that are moved with the columns that both sides have."""
    here, there = source.columns(), target.columns()
    own = LEFT["sqlite"] | LEFT["both"] | LEFT["postgres"] | MADE
    return {
        table: [column for column in columns if column in there[table]]
        for table, columns in here.items()
        if table in there and table not in own
    }
