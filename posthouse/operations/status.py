"""`posthouse status`: is the house in order? One line for each check, with the fix in words.

Every check is isolated: one that fails by itself says so in its own line and hides no other.
"""

from __future__ import annotations

import asyncio
import hashlib
import resource
import shutil
import stat
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from posthouse import limits
from posthouse.net.certificates import names_of
from posthouse.operations.acme.renewal import Standing
from posthouse.operations.backup import Backups
from posthouse.operations.domain_records import DomainRecords
from posthouse.operations.findings import Finding, Level, fine, look, wrong
from posthouse.operations.host_check import check_hosts
from posthouse.operations.household import Household
from posthouse.smtp.replies import DAMAGED
from posthouse.store.interface import Store
from posthouse.store.model import RecipientState

GIB: Final = 1024**3


class HouseFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the checks must know of the configuration."""

    household: Household
    data: Path
    certificate: Path
    own_certificate: bool
    """Whether the administrator gave one (else it is self-signed, made by us)."""
    connections: int
    standing: Callable[[], Standing | None] = lambda: None
    """How it stands with the authority that is to give a certificate."""


class HouseStatus:
    """The checks. `listening` tells what is bound now: empty when no server runs in this process.

    `probe_objects`: why the object store cannot be used, empty: it can be, None: there is none.
    """

    def __init__(
        self,
        store: Store,
        records: DomainRecords,
        facts: HouseFacts,
        backups: Backups,
        *,
        listening: Callable[[], Mapping[str, list[str]]],
        probe_objects: Callable[[], Awaitable[str | None]],
        started_at: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._records = records
        self._facts = facts
        self._backups = backups
        self._listening = listening
        self._probe_objects = probe_objects
        self._started_at = started_at
        self._now = now
        # Made anew whenever the certificate is loaded: what stands there later is not what is shown.
        self._shown = _digest(facts.certificate) if facts.own_certificate else b""

    async def status(self) -> list[Finding]:
        """All checks, in a fixed order."""
        checks: tuple[tuple[str, Callable[[], Awaitable[list[Finding]]]], ...] = (
            ("server", self._server),
            ("hosts", self._hosts),
            ("data folder", self._data),
            ("object store", self._objects),
            ("certificate", self._certificate),
            ("people", self._people),
            ("queue", self._queue),
            ("files", self._files),
            ("backup", self._backup),
            ("DNS", self._dns),
        )
        found = await asyncio.gather(*(self._isolated(name, check) for name, check in checks))
        return [finding for findings in found for finding in findings]

    async def _isolated(self, name: str, check: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
        try:
            async with asyncio.timeout(limits.STATUS_CHECK):
                return await check()
        except TimeoutError:
            return [look(name, f"no answer within {limits.STATUS_CHECK:g} s", "try again")]
        except Exception as fault:
            text = f"the check itself failed: {type(fault).__name__}: {fault}"
            return [wrong(name, text, "the log may say more")]

    async def _server(self) -> list[Finding]:
        listening = self._listening()
        if not listening:
            return [wrong("server", "is not running", "start it: posthouse serve")]
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self._started_at))
        findings = [fine("server", f"runs since {since}")]
        findings += [fine(name, f"listens on {', '.join(bound)}") for name, bound in listening.items()]
        served = [*listening, *(name for host in self._facts.household.alive() for name in host.ports)]
        for name, why in (("smtp", "no mail comes in"), ("submission", "nobody can send")):
            if not any(other.startswith(name) for other in served):
                findings.append(look(name, f"not configured: {why}", f"set listen.{name}"))
        return findings

    async def _hosts(self) -> list[Finding]:
        return check_hosts(self._facts.household)

    async def _data(self) -> list[Finding]:
        folder = self._facts.data
        mode = stat.S_IMODE((await asyncio.to_thread(folder.stat)).st_mode)
        findings = [fine("data folder", f"{folder}")]
        if mode & 0o077:
            findings = [wrong("data folder", f"{folder} can be read by others", f"chmod 700 {folder}")]
        disk = await asyncio.to_thread(shutil.disk_usage, folder)
        text = f"{disk.free / GIB:.1f} GB of {disk.total / GIB:.1f} GB free"
        if disk.free < limits.DISK_WRONG:
            findings.append(wrong("disk", text, "make room: mail is deferred when it is full"))
        elif disk.free < limits.DISK_LOOK:
            findings.append(look("disk", text, "make room soon"))
        else:
            findings.append(fine("disk", text))
        return findings

    async def _objects(self) -> list[Finding]:
        why = await self._probe_objects()
        if why is None:
            return []
        if why:
            fix = "store.blobs: does the bucket exist, may its key read, write, delete and list?"
            return [wrong("object store", f"large mail is deferred: {why}", fix)]
        return [fine("object store", "takes objects and gives them back")]

    async def _certificate(self) -> list[Finding]:
        return [await asyncio.to_thread(self._check_certificate)]

    def _check_certificate(self) -> Finding:
        from cryptography import x509  # only here, and slow to import

        path, standing = self._facts.certificate, self._facts.standing()
        if standing is not None and standing.fault:
            return self._renewal_failed(standing)
        if not path.exists():
            return look("certificate", "none yet", "one is made at the first start")
        leaf = x509.load_pem_x509_certificate(path.read_bytes())
        days = (leaf.not_valid_after_utc - datetime.fromtimestamp(self._now(), UTC)).days
        names = names_of(leaf)
        if self._shown and self._listening() and _digest(path) != self._shown:
            return wrong("certificate", f"{path} is new, the old one is still shown", "send SIGHUP")
        if leaf.not_valid_before_utc.timestamp() > self._now():
            text = f"{path} is not good before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
            return wrong("certificate", text, "is the clock right?")
        if days < 0:
            return wrong("certificate", f"{path} ended {-days} days ago", "renew it, then send SIGHUP")
        if standing is not None and not self._facts.own_certificate:
            return look(
                "certificate", f"none yet of {standing.directory}", "it is ordered once the server runs"
            )
        for name in self._names_shown():
            if not _covers(names, name):
                text = f"{path} is for {', '.join(names)}, not {name}"
                return wrong("certificate", text, f"get one for {name}")
        if standing is not None:
            return _renewed_by(standing, names, days)
        if days < limits.CERTIFICATE_LOOK_DAYS:
            return look("certificate", f"{path} ends in {days} days", "renew it, then send SIGHUP")
        if not self._facts.own_certificate:
            text = "self-signed: mail programs will ask their users"
            return look("certificate", text, "set tls.acme, or tls.certificate and tls.key")
        return fine("certificate", f"{', '.join(names)}, {days} days left")

    def _renewal_failed(self, standing: Standing) -> Finding:
        """Orders fail: wrong as soon as the certificate in use does not bridge the time any more."""
        text = f"could not be had of {standing.directory}: {standing.fault}"
        fix = "mend it, then: posthouse certificate renew"
        late = not self._facts.own_certificate or standing.renew_at < self._now() - limits.ACME_LATE
        return (wrong if late else look)("certificate", text, fix)

    def _names_shown(self) -> list[str]:
        """By which others come to the doors open here: servers by our own, people's programs by the house's."""
        household, doors = self._facts.household, self._listening()
        come_in = [household.hostname] if "smtp" in doors or not doors else []
        return [*come_in, *([household.name] if set(doors) - {"smtp", "lmtp", "health"} else [])]

    async def _people(self) -> list[Finding]:
        domains, accounts = await self._store.domains(), await self._store.accounts()
        if not domains:
            return [look("people", "no domain", "posthouse domain add example.org")]
        if not accounts:
            return [look("people", "no account", f"posthouse account add you@{domains[0].name}")]
        return [fine("people", f"domains: {len(domains)}, accounts: {len(accounts)}")]

    async def _queue(self) -> list[Finding]:
        waiting = await self._store.queue(limit=limits.QUEUE_LOOK)
        if not waiting:
            return [fine("queue", "empty")]
        held = sum(r.state is RecipientState.HELD for message in waiting for r in message.recipients)
        hours = (self._now() - waiting[0].created_at) / 3600
        more = "at least " if len(waiting) >= limits.QUEUE_LOOK else ""
        text = f"{more}{len(waiting)} messages, the oldest {hours:.1f} hours old"
        findings = [fine("queue", text)]
        if hours > 4 or more:
            findings = [look("queue", text, "posthouse queue list shows the last replies")]
        damaged = sum(DAMAGED.text in r.last_reply for message in waiting for r in message.recipients)
        if damaged:
            text = f"messages for {damaged} recipients are damaged in the store"
            findings.append(wrong("queue", text, "posthouse verify says more; are all disks there?"))
        if held:
            findings.append(look("queue", f"{held} recipients are held", "posthouse queue release ID"))
        return findings

    async def _backup(self) -> list[Finding]:
        if not self._backups.expected:
            return []  # a cluster's database and bucket have their own
        made = await self._backups.backup_list()
        fix = "posthouse backup DIR, every night"
        if not made:
            return [look("backup", "none was ever made", fix)] if await self._store.accounts() else []
        days = (self._now() - made[0].made_at) / 86400
        text = f"the last is {days:.1f} days old, in {made[0].folder}"
        return [look("backup", text, fix) if days > limits.BACKUP_LOOK_DAYS else fine("backup", text)]

    async def _files(self) -> list[Finding]:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = self._facts.connections + limits.SPARE_FILES
        if soft != resource.RLIM_INFINITY and soft < wanted and self._listening():
            text = f"{soft} open files allowed, {wanted} wanted for limits.connections"
            return [look("files", text, "raise LimitNOFILE, or lower limits.connections")]
        return []

    async def _dns(self) -> list[Finding]:
        domains = (await self._store.domains())[: limits.STATUS_DOMAINS]
        checks = [self._records.domain_check(name=domain.name) for domain in domains]
        found = await asyncio.gather(*checks) if checks else [await self._records.check_host()]
        seen: dict[tuple[str, str], Finding] = {}
        for findings in found:
            for finding in findings:
                seen.setdefault((finding.subject, finding.text), finding)
        order = (Level.WRONG, Level.LOOK, Level.FINE)
        return sorted(seen.values(), key=lambda finding: order.index(finding.level))


def _digest(path: Path) -> bytes:
    """Of a file; empty: it is not there, or not to be read."""
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return b""


def _renewed_by(standing: Standing, names: tuple[str, ...], days: int) -> Finding:
    at = time.strftime("%Y-%m-%d", time.localtime(standing.renew_at))
    left_out = [one for one in standing.left_out if one.name not in names]
    text = f"{', '.join(names)}, {days} days left, renewed about {at}"
    if not left_out:
        return fine("certificate", text)
    text = f"{text}; left out: " + "; ".join(f"{one.name} {one.why}" for one in left_out)
    return fine("certificate", text)


def _covers(names: tuple[str, ...], hostname: str) -> bool:
    """Whether one of the names is the host, or a wildcard over it."""
    host = hostname.lower()
    wild = "*." + host.partition(".")[2]
    return any(name.lower() in (host, wild) for name in names)
