"""The configuration file as frozen values: one small TOML file (docs/config.md).

Unknown keys are errors that name the nearest known one. Secrets may be written `{file = "…"}` or
`{env = "…"}`. Durations are text such as "5m" and become seconds; sizes are text such as "50MB" and become
octets. Only `app`, `cli` and `supervisor` may import `Config` itself; everyone else receives the struct it needs.

The values come first, then `find` and `load`; `config_reader` turns the text into the values, `config_checks` says
which of them cannot be.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from posthouse import limits
from posthouse.config_checks import CLUSTER_URLS as CLUSTER_URLS  # noqa: PLC0414  # it is part of this module
from posthouse.config_checks import problems
from posthouse.config_reader import ConfigError as ConfigError  # noqa: PLC0414  # it is part of this module
from posthouse.config_reader import ConfigReader, Octets, Seconds
from posthouse.config_tls import Tls

Count = Annotated[int, msgspec.Meta(ge=1)]
Times = Annotated[int, msgspec.Meta(ge=0)]
Days = Annotated[int, msgspec.Meta(ge=0, le=limits.RETENTION_DAYS)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Listen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where we listen; each "address:port", "[v6]:port" or "unix:PATH", or a list of them. Empty: not offered.

    A Unix socket's path is relative to the data folder.
    """

    smtp: tuple[str, ...] = ()
    """Mail from other servers (RFC 5321), port 25."""
    submission: tuple[str, ...] = ()
    """Mail from our own people, with login (RFC 6409), port 587."""
    submissions: tuple[str, ...] = ()
    """The same with TLS from the first byte (RFC 8314), port 465."""
    lmtp: tuple[str, ...] = ()
    """Mail from programs that we trust, with an answer for each recipient (RFC 2033)."""
    imap: tuple[str, ...] = ()
    """Reading mail in step with the server (RFC 9051), port 143."""
    imaps: tuple[str, ...] = ()
    """The same with TLS from the first byte, port 993."""
    pop3: tuple[str, ...] = ()
    """Fetching mail (RFC 1939), port 110."""
    pop3s: tuple[str, ...] = ()
    """The same with TLS from the first byte, port 995."""
    sieve: tuple[str, ...] = ()
    """ManageSieve: filter scripts are put and chosen there (RFC 5804), port 4190."""
    http: tuple[str, ...] = ()
    """The browser and JMAP (RFC 8620) without TLS, port 80: for a proxy before us."""
    https: tuple[str, ...] = ()
    """The same with TLS, port 443."""
    health: tuple[str, ...] = ()
    """For a load balancer and Prometheus: `GET /health` (alive), `/ready` (send people here), `/metrics`."""


class Auth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may log in how."""

    plaintext: Literal["never", "loopback", "always"] = "loopback"
    """A password without TLS: "never", "loopback" (only from this machine), "always"."""
    default_domain: str = ""
    """Login names without @ belong to this domain."""
    password_hash: Literal["argon2id", "scram-sha-256"] = "argon2id"
    """How new passwords are hashed: "argon2id" or "scram-sha-256" (PBKDF2 alone, for small machines)."""
    unauthenticate: bool = False
    """Whether one IMAP or ManageSieve connection may log in again as somebody else (RFC 8437, RFC 5804 §2.14.1): for
    programs that work for many people, and not behind an IMAP proxy that looks at the first login only."""


class Store(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where mail is kept; paths are relative to the data folder."""

    url: str = "sqlite:mail.db"
    """"sqlite:PATH", or "postgresql://user:password@host1,host2/name": the database of a cluster, the same for all of
    its nodes. Behind a pooler in transaction mode notices between nodes are slower: give the database's own address."""
    blobs: str = "packs:blobs"
    """"packs:FOLDER": large messages, appended to segment files. A cluster keeps them in its database, or with
    "s3://key:secret@bucket/prefix?endpoint=https://…" in an object store (further: region, encryption, kms_key)."""
    deleted: Seconds = 14 * 86400
    """Seconds for which mail that was deleted for good can be brought back, by its owner in the webmail or by
    `posthouse message undelete`; 0: it is gone at once. It takes space, but of no quota; a full disk ends it."""
    trash_days: Days = 0
    """Days after which mail is deleted from the Trash of everybody who has said nothing else of it, counted from when
    it came there; 0: it stays. Flagged messages stay."""
    junk_days: Days = 0
    """The same for Junk, whose mail cannot be brought back."""
    timeline: Seconds = 30 * 86400
    """Seconds that the story of a message is kept for `posthouse message log`; 0: for ever."""


class Dns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which name servers we ask."""

    servers: tuple[str, ...] = ()
    """"address" or "address:port"; empty: the system's."""
    trust_ad: Literal["loopback", "never", "always"] = "loopback"
    """Whose AD bit counts as DNSSEC proof: "loopback", "never", or "always"."""
    timeout: Seconds = limits.DNS_TIMEOUT
    """Seconds for one question, all servers and tries together."""


class Outbound(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How mail leaves us."""

    port: Port = 25
    """The SMTP port of other people's servers (a playground uses another)."""
    relay: str = ""
    """"smtp://user:pass@host:587" or "smtps://…": send everything through this smarthost. With a login its
    certificate must be good, unless "?tls=any" (any certificate) or "?tls=opportunistic" stands behind it."""
    source: tuple[str, ...] = ()
    """Local addresses to send from, IPv4 and IPv6; empty: the system chooses."""
    retry: tuple[Seconds, ...] = (60, 300, 900, 1800, 3600, 7200, 14400)
    """Seconds from one attempt to the next; the last one repeats. Jitter of ±10 % is added."""
    expire: Seconds = 5 * 86400
    """Seconds in the queue after which a recipient fails (RFC 5321 §4.5.4.1: at least 4-5 days)."""
    delay_notice: Seconds = 4 * 3600
    """Seconds in the queue after which the sender is told once; 0: never."""
    suppress_after: Times = 3
    """Messages in a row that other hosts refuse because nobody has the address, after which nothing more is sent to
    it (`posthouse queue suppress`); 0: it is only suggested."""
    dane: bool = True
    """Obey the TLSA records of mail hosts (DANE, RFC 7672), where DNSSEC proves them (`dns.trust_ad`): their mail goes
    over TLS only, and only when the certificate matches."""
    mta_sts: bool = True
    """Obey the MTA-STS policies of other domains (RFC 8461): their mail goes only to the hosts that they name, with
    good certificates."""
    concurrency: Count = limits.OUTBOUND_CONCURRENCY
    """Deliveries under way at once, all destinations together."""
    per_destination: Count = limits.OUTBOUND_PER_DESTINATION
    """Connections at once to one destination domain."""


class Inbound(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How mail arrives."""

    trusted: tuple[str, ...] = ()
    """Networks (CIDR) of our own other hosts, such as a backup MX: the sender checks are theirs, and what they
    hand on may go to Junk but is never refused."""
    backups: tuple[str, ...] = ()
    """Names of other hosts that stand in MX for our domains: `domain dns` and our MTA-STS policy name them too."""
    rewrite_senders: bool = True
    """What aliases and Sieve scripts send on to other hosts leaves with a reverse-path of ours (SRS), so that SPF holds
    there too; bounces come back by us. Off: with that of its sender."""
    masked_domain: str = ""
    """The domain, one of ours, in which people's masked addresses are made; empty: in that of their account."""
    verify_cache: Seconds = 7200
    """Seconds that a backup MX remembers the primary's word on a recipient."""


class Junk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Strangers' mail: is it wanted? docs/trust.md explains the checks and their weights."""

    filter: Literal["on", "report", "off"] = "on"
    """"on": junk goes to Junk; "report": every message gets its verdict, and all goes to the inbox; "off": nothing is
    judged."""
    junk_at: float = 5.0
    """The sum of weights from which a message is junk."""
    refuse_at: float = 0.0
    """The sum from which it is refused with 550; 0: nothing is refused for its sum."""
    rejects: bool = False
    """Keep what is refused in the recipient's mailbox Rejects, from which it can be rescued."""
    rejects_kept: Seconds = 14 * 86400
    """Seconds that mail stays in Rejects."""
    address_lists: tuple[str, ...] = ()
    """Block lists of IP addresses: DNS zones (RFC 5782)."""
    domain_lists: tuple[str, ...] = ()
    """Block lists of domains, asked about the sender's and those that the text links to."""
    hash_lists: tuple[str, ...] = ()
    """Block lists of mail addresses by their SHA-1."""
    greylist: Literal["off", "dubious", "strangers"] = "off"
    """Ask to come again (RFC 6647): "dubious" mail from unknown senders, or all mail of "strangers"."""
    traps: tuple[str, ...] = ()
    """Addresses that nobody writes to but robots: unknown users to all, and who tries is suspected for a day."""
    rspamd: str = ""
    """"http://host:11333": ask rspamd too."""
    clamav: str = ""
    """"unix:PATH" or "host:port": ask ClamAV's daemon; while it cannot be asked mail is put off with 451, and
    what is larger than its StreamMaxLength is refused: let that be `limits.message_size`."""
    rate: Times = limits.RATE_ADDRESS
    """Messages a minute from one address (IPv6: one /64), ten times as many from its network; 0: unlimited. Loopback
    and `inbound.trusted` are not counted."""


class Milter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A filter that speaks the milter protocol; every message is shown to it before it is taken (docs/milter.md)."""

    socket: str
    """"inet:HOST:PORT" or "unix:/PATH": where it listens."""
    name: str = ""
    """What it is called in the timeline and in verdicts; empty: by its socket."""
    roles: tuple[Literal["mx", "submission", "lmtp"], ...] = ("mx", "submission")
    """By which doors the mail comes that it sees: "mx", "submission" (also the webmail's and `sendmail`'s), "lmtp"."""
    when_away: Literal["defer", "accept"] = "defer"
    """While it cannot be asked, or cannot be understood: "defer" mail with 451, or "accept" it without the filter."""
    timeout: Seconds = limits.MILTER_REPLY
    """Seconds for one answer."""


class Sending(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What our accounts may send to others, and when somebody else seems to use an account."""

    per_account: Times = 5_000
    """Recipients elsewhere in 24 hours from one account; 0: unlimited. More are refused with 451."""
    per_domain: Times = 0
    """The same for all accounts of one of our domains together."""
    brake: bool = True
    """Hold in the queue what an account sends in an unusual way, and tell its owner and the postmaster;
    `posthouse account release ADDRESS` lets it go."""
    usual: Count = 2_000
    """Recipients elsewhere in an hour that are never unusual in number: an office's letter to all its customers. Of
    recipients that the account never wrote to it is half as many, from a network new to it a quarter."""


class Web(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The browser's side."""

    url: str = ""
    """Our address as browsers see it, such as "https://mail.example.org", when a proxy stands before us; empty:
    what each request says."""


class MsgAuth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether senders are who they say (SPF, DKIM, DMARC), and how we prove ourselves."""

    verify: Literal["enforce", "report", "off"] = "enforce"
    """Mail from strangers: "enforce" applies their domains' DMARC policies, "report" only notes what was found,
    "off" asks nothing."""
    temporary: Literal["deliver", "defer"] = "deliver"
    """Mail whose sender the DNS can't tell now: "deliver" it marked so, or "defer" it with 451."""
    sign: bool = True
    """Sign with DKIM what leaves in the name of our domains."""
    reports: bool = True
    """Count what mail came to, and send each domain that asks its daily report (RFC 9990)."""
    tls_reports: bool = True
    """Count how TLS with other mail hosts went, and send each domain that asks its daily report (RFC 8460)."""
    failure_reports: bool = False
    """Tell domains that ask of single messages that failed, with their header (RFC 9991); not without reason off."""
    seal: bool = False
    """Seal (ARC) the mail of strangers that an alias hands on to other hosts."""
    rotate: Seconds = 0
    """Seconds after which DKIM keys are replaced (`posthouse domain rotate`); 0: by command only."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits an administrator may change; the rest are in limits.py."""

    message_size: Octets = 50 * limits.MB
    """Octets of one message (SIZE, APPENDLIMIT)."""
    recipients: Count = limits.SMTP_RECIPIENTS
    """Recipients of one transaction (RFC 5321 §4.5.3.1.8: at least 100)."""
    connections: Count = limits.CONNECTIONS
    """Open connections in all."""
    connections_per_address: Count = limits.CONNECTIONS_PER_ADDRESS
    """Open connections from one address (IPv6: one /64); loopback is not counted."""
    account_quota: Octets = 0
    """Octets for an account that has no quota of its own; 0: unlimited."""


class Testing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For a playground's hosts; never where real mail is kept."""

    clock: bool = False
    """Let the control socket move this host's clock on, so that retry schedules pass in seconds."""
    ahead: Seconds = 0
    """Seconds that the clock is ahead from the start, with `clock`."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file. Paths are absolute once loaded."""

    hostname: str
    """Our name in greetings; must lead to our addresses in the DNS. The only required key."""
    public_name: str = ""
    """The name that people's programs are told to come to, and under which we say what we found about senders
    (Authentication-Results): that of the load balancer before a cluster, the same on every node. Empty: `hostname`."""
    data: Path = Path("data")
    """Everything we keep is below this folder; relative to this file."""
    workers: Count = 1
    """Processes that take mail by SMTP beside the one with the store; 1: a single process does everything."""
    proxies: tuple[str, ...] = ()
    """Networks (CIDR) of load balancers before us: they must say whose connection it is by the PROXY protocol."""
    xclient: tuple[str, ...] = ()
    """Networks (CIDR) of filters and relays before us that may tell by XCLIENT, at the ports for SMTP, whose mail they
    hand on: every check goes by that client, and a login that they name needs no password. Empty: nobody may."""
    drain: Seconds = 0
    """Seconds after SIGTERM (a second one cuts it short) in which all is served and `/ready` says no to newcomers."""
    run_as: str = ""
    """The user to become once the ports are bound, when started as root; empty: stay."""
    log: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines that are logged (to standard error)."""
    listen: Listen = msgspec.field(default_factory=Listen)
    tls: Tls = msgspec.field(default_factory=Tls)
    auth: Auth = msgspec.field(default_factory=Auth)
    store: Store = msgspec.field(default_factory=Store)
    dns: Dns = msgspec.field(default_factory=Dns)
    outbound: Outbound = msgspec.field(default_factory=Outbound)
    inbound: Inbound = msgspec.field(default_factory=Inbound)
    msgauth: MsgAuth = msgspec.field(default_factory=MsgAuth)
    junk: Junk = msgspec.field(default_factory=Junk)
    milter: tuple[Milter, ...] = ()
    """Filters of your own, each a table `[[milter]]`; they are asked in this order."""
    sending: Sending = msgspec.field(default_factory=Sending)
    web: Web = msgspec.field(default_factory=Web)
    limits: Limits = msgspec.field(default_factory=Limits)
    testing: Testing = msgspec.field(default_factory=Testing)


# --- reading the file -----------------------------------------------------------------------------------

ENVIRONMENT: Final = "POSTHOUSE_CONFIG"
USUAL_PLACES: Final = (Path("posthouse.toml"), Path("/etc/posthouse/posthouse.toml"))


def find(given: str | Path | None, environment: Mapping[str, str]) -> Path:
    """The file to read: given, `$POSTHOUSE_CONFIG`, `./posthouse.toml`, `/etc/posthouse/posthouse.toml`."""
    named = given or environment.get(ENVIRONMENT)
    if named:
        return Path(named).absolute()
    for place in USUAL_PLACES:
        try:
            if place.is_file():
                return place.absolute()
        except PermissionError:
            if place.is_absolute():
                raise
            # we stand where our user may not look (root's home, mostly): there is nothing for us there
    tried = " or ".join(map(str, USUAL_PLACES))
    raise ConfigError(
        f"no configuration: neither -c, ${ENVIRONMENT}, nor {tried}; try `posthouse quickstart`"
    )


def load(path: Path, environment: Mapping[str, str]) -> Config:
    """Read and check a configuration file. Raises ConfigError."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"{path}: cannot be read: {fault}") from fault
    return parse(text, path, environment)


def parse(text: str, path: Path, environment: Mapping[str, str]) -> Config:
    """The same from text; `path` is where it stands (paths in it are relative to that). Raises ConfigError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise ConfigError(f"{path}: {fault}") from fault
    reader = ConfigReader(Config, text, path.absolute(), environment)
    config = reader.read(table)
    assert isinstance(config, Config)
    for key, problem in problems(config):
        reader.fail(key, problem)
    return config
