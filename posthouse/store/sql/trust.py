"""Operations on DKIM keys, DMARC tallies, reports and muted findings."""

from __future__ import annotations

from posthouse.errors import NotFound
from posthouse.limits import REPORT_ROWS_KEPT
from posthouse.store.sql.database import Database
from posthouse.store.sql.transaction import Transaction
from posthouse.store.trust import (
    AddReport,
    DkimKey,
    DmarcTally,
    ForgetTallies,
    KeyState,
    Mute,
    PruneReports,
    PutDkimKey,
    PutMute,
    RemoveDkimKey,
    RemoveMute,
    Report,
    TallyDmarc,
)

_KEY = "domain, selector, algorithm, private_key, state, created_at, changed_at"
_REPORT = (
    "report_id, sent, kind, domain, organization, name, begin_at, end_at, at, messages, failures, content"
)


def put_key(tx: Transaction, op: PutDkimKey) -> None:
    """PutDkimKey."""
    key = op.key
    if not tx.query("SELECT 1 FROM domain WHERE name = ?", (key.domain,)):
        raise NotFound(f"{key.domain} is not a domain of ours.")
    tx.execute(
        f"INSERT INTO dkim_key ({_KEY}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (domain, selector) DO UPDATE SET"
        " state = excluded.state, changed_at = excluded.changed_at",
        (
            *(key.domain, key.selector, key.algorithm, key.private_key),
            *(key.state.value, key.created_at, key.changed_at),
        ),
    )


def remove_key(tx: Transaction, op: RemoveDkimKey) -> None:
    """RemoveDkimKey."""
    key = (op.domain, op.selector)
    if not tx.query("SELECT 1 FROM dkim_key WHERE domain = ? AND selector = ?", key):
        raise NotFound(f"{op.domain} has no key {op.selector}.")
    tx.execute("DELETE FROM dkim_key WHERE domain = ? AND selector = ?", key)


def forget_domain(tx: Transaction, domain: str) -> None:
    """A domain goes: its keys and muted findings go with it."""
    tx.execute("DELETE FROM dkim_key WHERE domain = ?", (domain,))
    tx.execute("DELETE FROM mute WHERE domain = ?", (domain,))


def tally(tx: Transaction, op: TallyDmarc) -> None:
    """TallyDmarc."""
    if not tx.may_grow:
        return
    for one in op.tallies:
        key = (one.policy_domain, one.day)
        (rows,) = tx.query("SELECT count(*) FROM dmarc_tally WHERE policy_domain = ? AND day = ?", key)[0]
        known = "SELECT 1 FROM dmarc_tally WHERE policy_domain = ? AND day = ? AND content = ?"
        # A flood of forgeries ends the new rows, not the counting of those that are there.
        if rows >= REPORT_ROWS_KEPT and not tx.query(known, (*key, one.row)):
            continue
        tx.execute(
            "INSERT INTO dmarc_tally (policy_domain, day, content, messages) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (policy_domain, day, content) DO UPDATE SET"
            " messages = dmarc_tally.messages + excluded.messages",
            (one.policy_domain, one.day, one.row, one.count),
        )


def forget_tallies(tx: Transaction, op: ForgetTallies) -> None:
    """ForgetTallies."""
    key = (op.policy_domain, op.day)
    if not tx.query("SELECT 1 FROM dmarc_tally WHERE policy_domain = ? AND day = ? LIMIT 1", key):
        raise NotFound("Those counts are gone: another node has reported them.")
    tx.execute("DELETE FROM dmarc_tally WHERE policy_domain = ? AND day = ?", key)


def add_report(tx: Transaction, op: AddReport) -> int:
    """AddReport."""
    tx.refuse_growth()
    one = op.report
    key = (int(one.sent), one.kind, one.domain, one.organization, one.name)
    if tx.query(
        "SELECT 1 FROM report WHERE sent = ? AND kind = ? AND domain = ? AND organization = ? AND name = ?",
        key,
    ):
        return 0
    number = tx.take_numbers("report")
    tx.execute(
        f"INSERT INTO report ({_REPORT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (number, *key, one.begin, one.end, one.at, one.messages, one.failures, one.content),
    )
    return number


def prune_reports(tx: Transaction, op: PruneReports) -> int:
    """PruneReports."""
    found = tx.query("SELECT count(*) FROM report WHERE at < ?", (op.before,))
    tx.execute("DELETE FROM report WHERE at < ?", (op.before,))
    return int(found[0][0])


def put_mute(tx: Transaction, op: PutMute) -> None:
    """PutMute."""
    one = op.mute
    tx.execute(
        "INSERT INTO mute (domain, subject, reason, at) VALUES (?, ?, ?, ?) ON CONFLICT (domain, subject)"
        " DO UPDATE SET reason = excluded.reason, at = excluded.at",
        (one.domain, one.subject, one.reason, one.at),
    )


def remove_mute(tx: Transaction, op: RemoveMute) -> None:
    """RemoveMute."""
    key = (op.domain, op.subject)
    if not tx.query("SELECT 1 FROM mute WHERE domain = ? AND subject = ?", key):
        raise NotFound(f"{op.subject} of {op.domain} is not muted.")
    tx.execute("DELETE FROM mute WHERE domain = ? AND subject = ?", key)


# --- reading --------------------------------------------------------------------------------------------------


def read_keys(db: Database, domain: str) -> tuple[DkimKey, ...]:
    """The keys of a domain ("": all), oldest first."""
    rows = db.rows(
        f"SELECT {_KEY} FROM dkim_key WHERE domain = ? OR ? = '' ORDER BY domain, created_at, selector",
        (domain, domain),
    )
    return tuple(
        DkimKey(
            domain=name,
            selector=selector,
            algorithm=algorithm,
            private_key=private_key,
            state=KeyState(state),
            created_at=created_at,
            changed_at=changed_at,
        )
        for name, selector, algorithm, private_key, state, created_at, changed_at in rows
    )


def read_tallies(db: Database, before: int) -> tuple[DmarcTally, ...]:
    """The tallies of days before a time, by domain and day."""
    rows = db.rows(
        "SELECT policy_domain, day, content, messages FROM dmarc_tally WHERE day < ?"
        " ORDER BY policy_domain, day, content",
        (before,),
    )
    return tuple(
        DmarcTally(policy_domain=domain, day=day, row=content, count=messages)
        for domain, day, content, messages in rows
    )


def read_reports(db: Database, domain: str, limit: int) -> tuple[Report, ...]:
    """Reports (about a domain), the newest first."""
    rows = db.rows(
        f"SELECT {_REPORT} FROM report WHERE domain = ? OR ? = '' ORDER BY report_id DESC LIMIT ?",
        (domain, domain, limit),
    )
    return tuple(map(_report, rows))


def read_report(db: Database, report_id: int) -> Report | None:
    """One report by its number."""
    rows = db.rows(f"SELECT {_REPORT} FROM report WHERE report_id = ?", (report_id,))
    return _report(rows[0]) if rows else None


def _report(row: tuple[object, ...]) -> Report:
    names = ("report_id", "sent", "kind", "domain", "organization", "name", "begin", "end", "at")
    values = dict(zip((*names, "messages", "failures", "content"), row, strict=True))
    return Report(**{**values, "sent": bool(values["sent"])})  # type: ignore[arg-type]  # a row of this table


def read_mutes(db: Database, domain: str) -> tuple[Mute, ...]:
    """What is muted of a domain."""
    rows = db.rows(
        "SELECT domain, subject, reason, at FROM mute WHERE domain = ? ORDER BY subject", (domain,)
    )
    return tuple(
        Mute(domain=name, subject=subject, reason=reason, at=at) for name, subject, reason, at in rows
    )
