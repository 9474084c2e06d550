"""A week in the administration of north.test: aliases, quotas, a queue that waits, reports, refused mail, the brake."""

from __future__ import annotations

import asyncio
import imaplib
import smtplib
import time
from email.message import EmailMessage
from typing import Final

import msgspec

from posthouse.msgauth.aggregate import (
    AggregateReport,
    AggregateRow,
    DkimSeen,
    PolicyPublished,
    SpfSeen,
    write_aggregate,
)
from posthouse.playground.host import Host
from posthouse.playground.network import Playground
from posthouse.playground.scenarios import SCENARIOS

AWAY: Final = "away.test"
"""A domain whose host does not answer."""
TLS_REPORT: Final = b"""{"organization-name": "Lisboa Mail", "contact-info": "tls@lisboa.test", "report-id": "tls-17",
"date-range": {"start-datetime": "2026-11-24T00:00:00Z", "end-datetime": "2026-11-24T23:59:59Z"}, "policies": [{
"policy": {"policy-type": "sts", "policy-domain": "north.test"}, "summary": {"total-successful-session-count": 212,
"total-failure-session-count": 3}, "failure-details": [{"result-type": "certificate-expired", "sending-mta-ip":
"192.0.2.44", "receiving-mx-hostname": "mx.north.test", "failed-session-count": 3}]}]}"""


def network() -> Playground:
    """The standard network, with a domain that is away and a brake that acts after a handful of recipients."""
    net = Playground(published=False, scenario=None)
    standard = SCENARIOS["standard"]
    for domain, records in standard.zones.items():
        net.add_zone(domain, records)
    net.add_zone(AWAY, "@ MX 10 mx\nmx A 127.0.0.77\n")
    for spec in standard.hosts:
        north = "north.test" in spec.domains
        net.add_host(msgspec.structs.replace(spec, more="\n[sending]\nusual = 12\n") if north else spec)
    return net


async def furnish(host: Host) -> None:
    """Give the house its week; alice is its administrator."""
    await host.ask(
        "account.set", address="alice@north.test", admin=True, quota=2_000_000_000, name="Alice North"
    )
    await host.ask("account.set", address="dora@north.test", name="Dora 多拉")
    await host.ask("domain.set", name="north.test", quota=500_000_000)
    await host.ask("domain.add", name="lighthouse.test", catch_all="dora@north.test")
    await host.ask("domain.add", name="friends.test", backup=True)
    for address, targets in (
        ("info@north.test", ["alice@north.test"]),
        ("crew@north.test", ["alice@north.test", "dora@north.test", "carol@south.test"]),
        ("keeper@lighthouse.test", ["dora@north.test"]),
    ):
        await host.ask("alias.add", address=address, targets=targets)
    await host.ask("suppress.add", addresses=["former.colleague@huadong.test"], reason="left the company")
    await host.ask("suppress.add", addresses=["nobody@lisboa.test"])
    await asyncio.to_thread(_mail, host)
    await asyncio.to_thread(_refused, host)
    waiting = await host.ask("queue.list", address="alice@north.test")
    await host.ask("queue.change", action="hold", ids=[waiting[0]["id"]])
    await host.ask("backup.make", folder=str(host.folder / "backup"))


def _mail(host: Host) -> None:
    with smtplib.SMTP(host.address, host.ports["smtp"]) as stranger:
        stranger.sendmail("dmarc@huadong.test", ["dmarc-reports@north.test"], _aggregate())
        tls = _attached(TLS_REPORT, "application", "tlsrpt+json", "tls.json")
        stranger.sendmail("tls@lisboa.test", ["tls-reports@north.test"], tls)
    for sender, everybody, options in (
        ("alice", ["first"], []),
        ("alice", ["second", "third"], ["BY=7200;R"]),
        ("dora", [f"customer{number}" for number in range(9)], ["BY=86400;N"]),
    ):
        with smtplib.SMTP(host.address, host.ports["submission"]) as client:
            client.login(f"{sender}@north.test", "posthouse")
            text = f"From: {sender}@north.test\r\nTo: all@{AWAY}\r\nSubject: For you\r\n\r\nHello\r\n"
            client.sendmail(f"{sender}@north.test", [f"{name}@{AWAY}" for name in everybody], text, options)


def _aggregate() -> bytes:
    day = int(time.time()) // 86400 * 86400 - 86400
    seen = {"header_from": "north.test", "envelope_from": "north.test"}
    good = AggregateRow(
        source_ip="192.0.2.10",
        count=418,
        disposition="none",
        dkim="pass",
        spf="pass",
        dkim_seen=(DkimSeen(domain="north.test", selector="a2026", result="pass"),),
        spf_seen=(SpfSeen(domain="north.test", result="pass"),),
        **seen,
    )
    bad = AggregateRow(
        source_ip="203.0.113.200",
        count=7,
        disposition="reject",
        dkim="fail",
        spf="fail",
        spf_seen=(SpfSeen(domain="bulk-sender.test", result="softfail"),),
        **seen,
    )
    report = AggregateReport(
        organization="Huadong Mail 华东邮局",
        email="dmarc@huadong.test",
        report_id="huadong-1",
        begin=day,
        end=day + 86399,
        policy=PolicyPublished(domain="north.test", p="reject"),
        rows=(good, bad),
    )
    return _attached(write_aggregate(report), "text", "xml", "report.xml")


def _attached(content: bytes, main: str, sub: str, name: str) -> bytes:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "reports@huadong.test", "reports@north.test", "Report"
    made.set_content("A report.")
    made.add_attachment(content, maintype=main, subtype=sub, filename=name)
    return made.as_bytes(policy=made.policy.clone(linesep="\r\n"))


def _refused(host: Host) -> None:
    """Junk that came by SMTP, put where refused mail is kept."""
    with smtplib.SMTP(host.address, host.ports["smtp"]) as stranger:
        letter = (
            'From: "Lottery desk@north.test" <win@n0rth.test>\r\nTo: dora@north.test\r\nReply-To: x@elsewhere.test\r\n'
            "Subject: You have won 恭喜中奖\r\n\r\nClaim it now: https://n0rth.test/claim\r\n"
        )
        stranger.sendmail("win@n0rth.test", ["dora@north.test"], letter.encode())
    client = imaplib.IMAP4(host.address, host.ports["imap"])
    client.login("dora@north.test", "posthouse")
    client.create("Rejects")
    client.select("Junk")
    client.uid("MOVE", "1:*", "Rejects")
    client.logout()
