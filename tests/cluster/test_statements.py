"""The schema distributes by account: keys of mail begin with it, and statements on the way of mail carry it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import pytest

from posthouse import limits
from posthouse.ranges import Ranges
from posthouse.store import grants
from posthouse.store.grants import Grant, Share
from posthouse.store.interface import (
    CopyEmails,
    CreateMailbox,
    DeleteMailbox,
    Expunge,
    MoveEmails,
    PutItem,
    RenameMailbox,
)
from posthouse.store.memory.notice import Notice
from posthouse.store.model import Content
from posthouse.store.postgres.connection import Connection, numbered
from posthouse.store.postgres.notices import payloads
from tests.cluster.conftest import PostgresEngine
from tests.cluster.database import Database
from tests.cluster.packed import House
from tests.kits.engine import furnish

REFERENCE = {
    *(
        "domain",
        "account",
        "alias",
        "masked_address",
        "mailing_list",
        "list_member",
        "known_recipient",
        "suppression",
        "app_password",
        "credential",
    ),
    *("dkim_key", "dmarc_tally", "report", "mute", "token", "session", "passkey"),
}
"""The directory: small tables, copied to every node of a distributing engine."""
BY_OTHER = {"queued", "queued_recipient", "event"}
"""Distributed by queue_id, and by trace_id."""
HOUSEKEEPING = {
    *(
        "sequence",
        "note",
        "schema_version",
        "node",
        "host",
        "lease",
        "secret",
        "stray_object",
        "commit_mark",
        "blob_age",
    ),
}
JOBS = (
    r"SELECT account_id, email_id FROM (new_email|garbage_email) ORDER BY account_id",
    r"SELECT \* FROM doomed_mailbox",
    r"SELECT DISTINCT account_id FROM deleted_email WHERE deleted_at",
    r"SELECT DISTINCT object FROM blob WHERE object",
    r"SELECT account_id, blob_id FROM pack WHERE living",
)
"""Statements of background jobs that look for work in all accounts."""


def keys(server: Database, url: str) -> dict[str, str]:
    """Every table with the first column of its primary key."""
    rows = server.sql(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]"
        " WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace",
        url.rpartition("/")[2],
    )
    return dict(tuple(row.split("|")) for row in rows.splitlines())  # type: ignore[misc]


async def test_every_key_of_mail_begins_with_the_account(server: Database, url: str) -> None:
    first = keys(server, url)
    mail = first.keys() - REFERENCE - BY_OTHER - HOUSEKEEPING
    assert len(mail) > 20
    assert {table: first[table] for table in mail if first[table] != "account_id"} == {}
    assert {first[table] for table in BY_OTHER} == {"queue_id", "trace_id"}
    tables = server.sql(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
        url.rpartition("/")[2],
    ).splitlines()
    assert set(tables) == first.keys(), "every table has a key"


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Every statement that is sent."""
    statements: set[str] = set()
    fetch, rows = Connection.fetch, Connection.rows

    def fetching(self: Connection, statement: str, *bindings: Any) -> Any:
        statements.add(" ".join(statement.split()))
        return fetch(self, statement, *bindings)

    monkeypatch.setattr(Connection, "fetch", fetching)
    assert rows
    yield statements


def tables_of(said: set[str], server: Database, url: str) -> set[str]:
    """The tables of mail that statements name; each of these statements carries the account."""
    mail = keys(server, url).keys() - REFERENCE - BY_OTHER - HOUSEKEEPING
    seen: set[str] = set()
    for statement in said:
        named = {
            table for table in mail if re.search(rf"\b(FROM|INTO|UPDATE|JOIN|USING) {table}\b", statement)
        }
        if not named or any(re.match(job, statement) for job in JOBS):
            continue
        seen |= named
        condition = statement.partition(" WHERE ")[2] or statement
        assert "account_id" in condition or re.match(
            r"INSERT INTO \w+ (SELECT \* FROM unnest|VALUES)", statement
        ), statement
    return seen


async def test_every_statement_of_mail_carries_the_account(
    server: Database, engine: PostgresEngine, said: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FLAGS_LOGGED", 4)
    desk = await furnish(engine)
    inbox, trash = await desk.box(), await desk.box("Trash")
    shares = {inbox.mailbox_id: Share(rights=("mayReadItems",))}
    grant = grants.encode(Grant(mailboxes=shares))
    await desk.store.apply(PutItem(account_id=desk.id, kind=grants.KIND, item_id=77, new=True, data=grant))
    added = await desk.add(inbox, *"abcdef")
    for name in ("$Whole", "$Again"):
        await desk.flag(inbox, "1:6", name)
    await desk.flag(inbox, "1:3,5", "\\Seen", "$Key")
    await desk.flag(inbox, "1,3,5,6,2", "\\Flagged")
    for kind in (CopyEmails, MoveEmails):
        await desk.store.apply(
            kind(
                account_id=desk.id,
                source_id=inbox.mailbox_id,
                uids=Ranges([(1, 2)]),
                target_id=trash.mailbox_id,
            )
        )
    await desk.store.apply(Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, force=True))
    made = await desk.store.apply(CreateMailbox(account_id=desk.id, name="A"))
    await desk.store.apply(RenameMailbox(account_id=desk.id, mailbox_id=made.mailbox_id, name="B"))
    await desk.store.apply(DeleteMailbox(account_id=desk.id, mailbox_id=made.mailbox_id))
    await engine.settle()
    await engine.reopen()
    index = await desk.store.index(desk.id, trash.mailbox_id)
    ids = list(index.email_ids)
    await desk.store.messages(desk.id, ids)
    await desk.store.emails(desk.id, ids, ["size", "envelope"])
    await desk.store.search_text(desk.id, ids, "text", "a")
    await desk.store.vanished_since(desk.id, inbox.mailbox_id, 0)
    await desk.store.threads(desk.id, ids)
    await desk.store.email_changes(desk.id, 0)
    await desk.store.passages(desk.id, [inbox.mailbox_id], 0)
    assert added
    seen = tables_of(said, server, engine.place.url)
    assert {"placement", "email", "mailbox", "account_state", "blob", "derived", "mailbox_change"} <= seen
    assert {"flag_log", "passage", "item"} <= seen


async def test_bodies_come_with_where_they_are_in_one_statement(
    engine: PostgresEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await furnish(engine)
    added = await desk.add(await desk.box(), *map(str, range(60)), prefix=b"X: 1\r\n")
    await engine.settle()
    store = await engine.reopen()
    asked: list[str] = []
    fetch = Connection.fetch

    def fetching(self: Connection, statement: str, *bindings: Any) -> Any:
        if re.search(r"\b(email|blob)\b", statement):
            asked.append(statement)
        return fetch(self, statement, *bindings)

    monkeypatch.setattr(Connection, "fetch", fetching)
    found = await store.messages(desk.id, [each.email_id for each in added])
    assert found == [b"X: 1\r\nSubject: %d\r\n\r\n%d\r\n" % (i, i) for i in range(60)]
    assert len(asked) == 1


async def test_the_digest_that_the_database_computes_is_that_of_the_body(
    server: Database, engine: PostgresEngine
) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    bodies = [b"Subject: %d\r\n\r\n" % size + b"\x00\xff\r\n" * size for size in (0, 1, 3_000, 20_000)]
    await desk.store.apply(desk.message(inbox, content=Content.of(bodies[0])))
    await desk.store.commit(*(desk.message(inbox, content=Content.of(body)) for body in bodies[1:]))
    kept = server.sql(
        "SELECT encode(digest, 'hex') FROM blob ORDER BY size", engine.place.url.rpartition("/")[2]
    )
    assert kept.splitlines() == [hashlib.sha256(body).hexdigest()[:32] for body in bodies]


async def test_every_statement_of_packing_carries_the_account(
    server: Database, house: House, said: set[str]
) -> None:
    assert await house.pack() == 30
    await house.expunge(1, 20)
    await house.sweep()
    await house.pack()
    await house.all_is_well()
    assert {"pack", "blob"} <= tables_of(said, server, house.engine.place.url)


def test_bindings_are_numbered_as_sqlite_numbers_them() -> None:
    assert numbered("a = ? AND b = ?") == "a = $1 AND b = $2"
    assert numbered("f(?1) + ?2 + ?1 = ? OR ?") == "f($1) + $2 + $1 = $3 OR $4"


def test_a_notice_is_never_too_long_for_a_notify() -> None:
    many = Notice(
        accounts=[(n, n * 7, [(m, m) for m in range(20)]) for n in range(2000)], gone=[5], people=True
    )
    words = Notice(told=[("login", "failed", "x" * 200, "::1")] * 500)
    monster = Notice(accounts=[(1, 9, [(m, 10**12 + m) for m in range(2000)])])
    texts = payloads([many, words, monster], "node")
    assert max(len(text.encode()) for text in texts) < 8000
    assert sum(text.count('"login"') for text in texts) == 500
