"""`posthouse reports`: DMARC and TLS reports, received and sent."""

from __future__ import annotations

from typing import Any

import click

from posthouse.cli.session import Noun, Session, moment, plain, say, take_session

COLUMNS = {
    "id": plain,
    "direction": plain,
    "kind": plain,
    "domain": plain,
    "organization": plain,
    "begin": moment,
    "messages": plain,
    "failures": plain,
}
ROW_COLUMNS = dict.fromkeys(("from", "source", "count", "dkim", "spf", "disposition"), plain)
FAILURE_COLUMNS = dict.fromkeys(
    ("result-type", "sending-mta-ip", "receiving-mx-hostname", "failed-session-count"), plain
)


@click.group(cls=Noun)
def reports() -> None:
    """DMARC and TLS reports, received and sent."""


@reports.command("list")
@click.option("--domain", default="", help="Only those about this domain.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")
@take_session
def list_(session: Session, domain: str, limit: int) -> None:
    """Reports, the newest first."""
    session.table(session.one("reports.list", domain=domain, limit=limit), COLUMNS)


@reports.command("show")
@click.argument("id", type=int)
@take_session
def show(session: Session, id: int) -> None:
    """One report, row by row."""
    report = session.one("reports.show", id=id)
    if session.as_json:
        session.show(report, lambda: None)
        return
    row, content = report["row"], report["content"]
    say(f"{row['kind']} report of {row['organization']} about {row['domain']}, {row['direction']}")
    click.echo(f"{moment(row['begin'])} to {moment(row['end'])}: {row['messages']}, {row['failures']} failed")
    if row["kind"] == "aggregate":
        session.table([_aggregate_row(one) for one in content["rows"]], ROW_COLUMNS)
    elif row["kind"] == "tls":
        session.table(
            # RFC 8460 §4.4: what is not known is left out, and where nothing failed there are no details.
            [
                {key: one.get(key, "") for key in FAILURE_COLUMNS}
                for policy in content["policies"]
                for one in policy.get("failure-details", ())
            ],
            FAILURE_COLUMNS,
        )
    else:
        for name, value in content.get("fields", {}).items():
            say(f"{name}: {value}")


def _aggregate_row(row: dict[str, Any]) -> dict[str, Any]:
    seen = {
        "dkim": ", ".join(f"{one['result']} {one['domain']}" for one in row["dkim_seen"]),
        "spf": ", ".join(f"{one['result']} {one['domain']}" for one in row["spf_seen"]),
    }
    return {
        "from": row["header_from"],
        "source": row["source_ip"],
        "count": row["count"],
        "dkim": f"{row['dkim']} ({seen['dkim'] or 'none'})",
        "spf": f"{row['spf']} ({seen['spf'] or 'none'})",
        "disposition": row["disposition"],
    }


@reports.command("send")
@take_session
def send(session: Session) -> None:
    """Send what waits of days that are over, without waiting for the next round; a day is told of once."""
    sent = session.one("reports.send")
    session.show({"sent": sent}, lambda: click.echo(f"sent {sent} reports"))
