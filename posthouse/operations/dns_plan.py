"""The DNS records that a domain of ours needs: for others to bring mail, to believe ours, and for programs to find us.

MX (RFC 5321 §5.1), SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 9989), TLS reports (RFC 8460 §3), MTA-STS (RFC 8461
§3.1), SRV (RFC 6186, RFC 8314 §5.1, RFC 5804 §1.8), TLSA (RFC 7672 §3.1), CAA (RFC 8659) and PTR. Pure: keys,
certificate and addresses come in.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from posthouse.accounts.directory import DMARC_REPORTS, TLS_REPORTS
from posthouse.store.model import Domain, DomainKind

PREFERENCE: Final = 10
BACKUP_PREFERENCE: Final = 20
SERVICES: Final = ("submissions", "submission", "imaps", "imap", "pop3s", "pop3", "sieve")
"""SRV names (RFC 6186 §3, RFC 8314 §5.1, RFC 5804 §1.8) that are also our listeners' names."""

_STRING: Final = 255  # RFC 1035 §3.3: octets of one character-string

_AUTHORITIES: Final = {
    "Let's Encrypt": "letsencrypt.org",
    "Google Trust Services": "pki.goog",
    "ZeroSSL": "sectigo.com",
    "Sectigo Limited": "sectigo.com",
    "DigiCert Inc": "digicert.com",
    "Actalis S.p.A.": "actalis.it",
    "GlobalSign nv-sa": "globalsign.com",
    "Buypass AS-983163327": "buypass.com",
}
"""An issuer's organization → its name in CAA records."""


class DnsRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One record to publish."""

    name: str
    """With the final dot."""
    type: str
    value: str
    why: str
    kind: str
    """What it is for: "MX", "SPF", "DKIM", …; also the word by which a finding about it is muted."""


class KeyRecord(msgspec.Struct, frozen=True):
    """A DKIM key to publish."""

    selector: str
    text: str
    state: str


class PlanFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the records are made of."""

    hostname: str
    name: str
    """By which people's programs find us: the load balancer's of a cluster, else our host name."""
    mail_hosts: tuple[str, ...]
    """Those that take others' mail."""
    policy_hosts: tuple[str, ...]
    """Those that the MTA-STS policy names."""
    senders: tuple[str, ...]
    """Those that send to others."""
    ports: Mapping[str, int]
    """Listener name → port, of those that are served."""
    addresses: tuple[str, ...] = ()
    """Our public addresses, as far as they are known."""
    keys: tuple[KeyRecord, ...] = ()
    certificate_digest: str = ""
    """SHA-256 of the certificate's public key, hexadecimal; empty: there is no certificate yet."""
    own_certificate: bool = False
    """Whether the administrator gave one: a policy that demands a good certificate needs one."""
    backups: tuple[str, ...] = ()
    """Other hosts that take mail for our domains while we are away."""
    issuer: str = ""
    """The organization that issued the certificate; empty: we did."""
    sources: tuple[str, ...] = ()
    """Public addresses that we send from, whatever our name leads to."""
    relay: str = ""
    """The host through which everything goes out; empty: it goes to other people's hosts directly."""


def plan_records(domain: Domain, facts: PlanFacts) -> tuple[DnsRecord, ...]:
    """All records for a domain, in the order in which one would explain them."""
    if domain.kind is DomainKind.BACKUP:
        why = "a number above the primary's: its mail comes to us while that is away"
        return tuple(
            _record(domain.name, "MX", f"{BACKUP_PREFERENCE} {host}.", why, "MX") for host in facts.mail_hosts
        )
    return (
        *_mail(domain.name, facts),
        *_trust(domain.name, facts),
        *_reports(domain.name),
        *_transport(domain.name, facts),
        *_services(domain.name, facts),
        *_reverse(facts),
    )


def _record(name: str, kind_of_record: str, value: str, why: str, kind: str) -> DnsRecord:
    return DnsRecord(name=f"{name}.", type=kind_of_record, value=value, why=why, kind=kind)


def text_value(text: str) -> str:
    """A text as zone files have it: strings of at most 255 octets, which are joined when read."""
    pieces = [text[start : start + _STRING] for start in range(0, len(text), _STRING)]
    return " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces)


def _mail(name: str, facts: PlanFacts) -> Iterator[DnsRecord]:
    for host in facts.mail_hosts:
        yield _record(name, "MX", f"{PREFERENCE} {host}.", "others deliver its mail to us", "MX")
    for host in facts.backups:
        why = "its mail waits there while we are away"
        yield _record(name, "MX", f"{BACKUP_PREFERENCE} {host}.", why, "MX")
    own = ("mx", *(f"a:{host}" for host in facts.senders if host not in facts.mail_hosts))
    yield _record(name, "TXT", text_value(_spf(own, facts)), *_ABOUT_SPF[bool(facts.relay)])
    for host in facts.senders:
        if host.endswith(f".{name}"):
            # RFC 7208 §2.4: bounces have no sender; then the host's own name is asked.
            yield _record(
                host, "TXT", text_value(_spf(("a",), facts)), "bounces are our host's own mail", "SPF"
            )


_ABOUT_SPF: Final = (
    ("only its mail hosts send in its name", "SPF"),
    ("its mail goes through the relay: add what the relay's owner says, then end it with -all", "SPF"),
)


def _spf(own: tuple[str, ...], facts: PlanFacts) -> str:
    """RFC 7208: our hosts, and whatever else our mail is seen to come from."""
    terms = [*own, *(_ip_term(source) for source in facts.sources)]
    if not facts.relay:
        return f"v=spf1 {' '.join(terms)} -all"
    # The relay sends from addresses that only its owner knows: until they are in it, nothing may be refused (§8.5).
    terms.append(_ip_term(facts.relay) if _is_ip(facts.relay) else f"a:{facts.relay}")
    return f"v=spf1 {' '.join(terms)} ~all"


def _ip_term(address: str) -> str:
    return f"ip{ipaddress.ip_address(address).version}:{address}"


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _trust(name: str, facts: PlanFacts) -> Iterator[DnsRecord]:
    about = {
        "active": "proves that we signed its mail",
        "next": "a new key: publish it, then it is used",
        "retired": "an old key: keep it until mail signed by it has arrived",
    }
    for key in facts.keys:
        place = f"{key.selector}._domainkey.{name}"
        yield _record(place, "TXT", text_value(key.text), about[key.state], "DKIM")
    # RFC 9989 §7.4: not p=reject for a domain whose people may write to mailing lists.
    policy = text_value(f"v=DMARC1; p=quarantine; rua=mailto:{DMARC_REPORTS}@{name}")
    why = "suspect what is neither from us nor signed (begin with p=none where others still send in its name)"
    yield _record(f"_dmarc.{name}", "TXT", policy, why, "DMARC")


def _reports(name: str) -> Iterator[DnsRecord]:
    text = text_value(f"v=TLSRPTv1; rua=mailto:{TLS_REPORTS}@{name}")
    yield _record(f"_smtp._tls.{name}", "TXT", text, "others tell us when TLS to us fails", "TLSRPT")


def _transport(name: str, facts: PlanFacts) -> Iterator[DnsRecord]:
    if "https" in facts.ports and facts.own_certificate:
        # RFC 8461 §3.1: another id tells senders to read the policy anew.
        hosts = " ".join((*facts.policy_hosts, "enforce", *facts.backups))
        version = hashlib.sha256(hosts.encode()).hexdigest()[:12]
        text = text_value(f"v=STSv1; id={version}")
        yield _record(f"_mta-sts.{name}", "TXT", text, "there is a policy: TLS to us must be good", "MTA-STS")
        yield _record(f"mta-sts.{name}", "CNAME", f"{facts.name}.", "where that policy is read", "MTA-STS")
    if facts.certificate_digest and facts.hostname in facts.mail_hosts:
        place = f"_25._tcp.{facts.hostname}"
        value = f"3 1 1 {facts.certificate_digest}"
        yield _record(
            place, "TLSA", value, "proves our certificate, where the zone is signed (DNSSEC)", "TLSA"
        )
    if (authority := _AUTHORITIES.get(facts.issuer)) is not None:
        why = "nobody else may issue certificates for our host"
        yield _record(facts.hostname, "CAA", f'0 issue "{authority}"', why, "CAA")


def _services(name: str, facts: PlanFacts) -> Iterator[DnsRecord]:
    for service in SERVICES:
        if (port := facts.ports.get(service)) is None:
            continue
        first = int(f"{service}s" in SERVICES)  # RFC 8314 §5.1: TLS from the first byte preferred
        value = f"{first} 1 {port} {facts.name}."
        yield _record(
            f"_{service}._tcp.{name}", "SRV", value, "mail programs find us by the address alone", "SRV"
        )
    if (port := facts.ports.get("https")) is not None:
        # RFC 8620 §2.2
        yield _record(
            f"_jmap._tcp.{name}", "SRV", f"0 1 {port} {facts.name}.", "JMAP programs find us", "SRV"
        )
        yield _record(
            f"_autodiscover._tcp.{name}", "SRV", f"0 1 {port} {facts.name}.", "Outlook finds us", "SRV"
        )
        yield _record(f"autoconfig.{name}", "CNAME", f"{facts.name}.", "Thunderbird finds us", "AUTOCONFIG")


def _reverse(facts: PlanFacts) -> Iterator[DnsRecord]:
    for address in facts.addresses if facts.hostname in facts.senders else ():
        if not ipaddress.ip_address(address).is_loopback:
            name = ipaddress.ip_address(address).reverse_pointer
            why = "set by whoever gave you the address; large receivers insist"
            yield _record(name, "PTR", f"{facts.hostname}.", why, "PTR")


def zone_text(name: str, records: tuple[DnsRecord, ...]) -> str:
    """The records of the domain's own zone to paste, and those of other zones as comments."""
    width = max(len(record.name) for record in records)
    lines = []
    for record in records:
        line = f"{record.name:<{width}}  IN  {record.type:<5}  {record.value}"
        inside = record.name == f"{name}." or record.name.endswith(f".{name}.")
        lines.append(line if inside else f"; in its own zone: {line}")
    return "\n".join(lines) + "\n"
