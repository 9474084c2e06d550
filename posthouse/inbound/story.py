"""The lines of the timeline that a delivery makes true (`posthouse message log`)."""

from __future__ import annotations

from posthouse.inbound.mail import Mail
from posthouse.inbound.plan import Plan
from posthouse.store.model import Event


def story(mail: Mail, plan: Plan) -> tuple[Event, ...]:
    """All lines but those of the copies themselves."""
    login = f" login {mail.login.account.address}" if mail.login is not None else ""
    peer = f" from {mail.helo} [{mail.peer}]" if mail.peer else ""
    tls = f" {mail.tls}" if mail.tls else ""
    detail = f"{mail.via}{peer}{login}{tls}, {mail.content.size} octets"
    return (
        line(mail, "received", mail.reverse_path, detail),
        *(line(mail, "queued", one.address, "for its mail host") for one in plan.remote.values()),
        *(line(mail, "queued", one.address, "its mailbox is full") for one in plan.later.values()),
        *(line(mail, "failed", t.address, str(t.failure)) for t in plan.targets if t.failure is not None),
    )


def line(mail: Mail, kind: str, address: str, detail: str) -> Event:
    """One line about a message."""
    return Event(trace_id=mail.trace_id, at=mail.received_at, kind=kind, address=address, detail=detail)
