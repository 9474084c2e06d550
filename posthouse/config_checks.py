"""What a configuration of the right types can still not be: each with its key, for the reader to name file and line."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from posthouse.limits import ACME_DNS_WAIT, MILTERS, MILTERS_TOTAL
from posthouse.name_servers import NameServer

if TYPE_CHECKING:
    from posthouse.config import Config, Milter, Store
    from posthouse.config_tls import AcmeDns, Tls

CLUSTER_URLS: Final = ("postgresql://", "postgres://")
"""Beginnings of the address of a cluster's database."""
_HOST = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE
)
_PORT_MAX: Final = 65535
_LISTENER = re.compile(r"unix:.+|(?:\[[0-9a-fA-F:.]+(?:%\w+)?\]|[^\[\]:/\s]*):\d{1,5}")


def _is_address(text: str, schemes: tuple[str, ...]) -> bool:
    """Whether this is the address of a host, in one of the schemes."""
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that are not closed, a port that is none
        return False


def _is_listener(text: str) -> bool:
    if not _LISTENER.fullmatch(text):
        return False
    # A larger number would be cut to 16 bits: another port than the one that is written there.
    return text.startswith("unix:") or int(text.rpartition(":")[2]) <= _PORT_MAX


def _store_problems(store: Store) -> Iterator[tuple[str, str]]:
    cluster = store.url.startswith(CLUSTER_URLS)
    if not cluster and not store.url.startswith("sqlite:"):
        yield "store.url", 'store.url: write "sqlite:PATH" or "postgresql://user@host/name"'
    if store.blobs.startswith("s3:"):
        if not cluster:
            yield "store.blobs", 'store.blobs: "s3:…" goes with store.url = "postgresql://…"'
        elif not _is_address(store.blobs, ("s3",)):
            yield "store.blobs", 'store.blobs: write "s3://bucket?endpoint=https://…"'
    elif not store.blobs.startswith("packs:"):
        yield "store.blobs", 'store.blobs: write "packs:FOLDER" or "s3://bucket?endpoint=https://…"'


def _tls_problems(tls: Tls, cluster: bool) -> Iterator[tuple[str, str]]:
    if (tls.certificate is None) != (tls.key is None):
        yield "tls", "tls: certificate and key go together"
    if not (given := tls.acme.directory):
        return
    if tls.certificate is not None:
        yield "tls.certificate", "tls: either a certificate and its key, or acme, which gets one"
    if cluster:
        yield "tls.acme", "tls.acme: not for a cluster, whose nodes need one certificate: give each its files"
    if not _is_address(given, ("https",)):  # RFC 8555 §6.1
        yield "tls.acme.directory", 'tls.acme.directory: write "https://…"'
    for name in tls.acme.names:
        if not _HOST.fullmatch(name) or name.rpartition(".")[2].isdigit():
            yield "tls.acme.names", f'tls.acme.names: "{name}" is no host name'
    contact = tls.acme.contact.removeprefix("mailto:")
    if contact and not re.fullmatch(r"[!-?A-~]+@[!-?A-~]+", contact):
        yield "tls.acme.contact", f'tls.acme.contact: "{contact}" is no mail address'
    if bool(tls.acme.eab_kid) != bool(tls.acme.eab_hmac):
        yield "tls.acme", "tls.acme: eab_kid and eab_hmac go together"
    yield from _acme_dns_problems(tls.acme.dns)


def _acme_dns_problems(given: AcmeDns) -> Iterator[tuple[str, str]]:
    if given.server and given.command:
        yield "tls.acme.dns", "tls.acme.dns: either a server or a command"
    if bool(given.key) != bool(given.secret):
        yield "tls.acme.dns", "tls.acme.dns: key and secret go together"
    if given.key and not given.server:
        yield "tls.acme.dns.key", "tls.acme.dns.key: it signs what a server is told, and none is named"
    if given.server:
        try:
            NameServer.parse(given.server)
        except ValueError as fault:
            yield "tls.acme.dns.server", f"tls.acme.dns.server: {fault}"
    try:
        base64.b64decode(given.secret, validate=True)
    except ValueError:
        yield "tls.acme.dns.secret", "tls.acme.dns.secret: this is no base64"
    if given.wait > ACME_DNS_WAIT:
        yield "tls.acme.dns.wait", f"tls.acme.dns.wait: at most {ACME_DNS_WAIT:.0f} seconds"


def _milter_problems(milters: tuple[Milter, ...]) -> Iterator[tuple[str, str]]:
    if len(milters) > MILTERS:
        yield "milter", f"milter: at most {MILTERS} filters"
    for one in milters:
        kind, _, place = one.socket.partition(":")
        if not (kind == "inet" and _is_listener(place) and place[0] not in ":u") and not (
            kind == "unix" and place.startswith("/")
        ):
            problem = f'"{one.socket}" is not "inet:HOST:PORT" or "unix:/PATH"'
            yield "milter.socket", f"milter.socket: {problem}"
        if not one.roles:
            yield "milter.roles", f"milter.roles: {one.socket} would never be asked"
        if not 0 < one.timeout <= MILTERS_TOTAL:
            yield "milter.timeout", f"milter.timeout: more than 0 and at most {MILTERS_TOTAL:g} seconds"
        if not one.name.isprintable():
            yield "milter.name", "milter.name: it has a character that cannot be shown"


def problems(config: Config) -> Iterator[tuple[str, str]]:
    """(key, what is wrong) for values of the right type that still cannot be."""
    if not _HOST.fullmatch(config.hostname):
        yield "hostname", f'hostname: "{config.hostname}" is no host name'
    if config.public_name and not _HOST.fullmatch(config.public_name):
        yield "public_name", f'public_name: "{config.public_name}" is no host name'
    for name in config.inbound.backups:
        if not _HOST.fullmatch(name):
            yield "inbound.backups", f'inbound.backups: "{name}" is no host name'
    if not 1 <= config.workers <= 64:
        yield "workers", "workers: from 1 to 64"
    if config.workers > 1 and config.store.url.startswith(CLUSTER_URLS):
        yield "workers", "workers: over PostgreSQL all processes are equal; start another `posthouse serve`"
    for name in config.listen.__struct_fields__:
        for address in getattr(config.listen, name):
            if not _is_listener(address):
                problem = f'"{address}" is not "address:port", "[v6]:port" or "unix:PATH"'
                yield f"listen.{name}", f"listen.{name}: {problem}"
    yield from _store_problems(config.store)
    yield from _tls_problems(config.tls, config.store.url.startswith(CLUSTER_URLS))
    if not config.outbound.retry:
        yield "outbound.retry", "outbound.retry: at least one duration"
    if not all(config.outbound.retry):
        yield "outbound.retry", "outbound.retry: without a pause mail would be tried again and again at once"
    default = config.auth.default_domain
    if default.isascii() and default and not _HOST.fullmatch(default):
        yield "auth.default_domain", f'auth.default_domain: "{default}" is no domain'
    if config.junk.rspamd and not _is_address(config.junk.rspamd, ("http", "https")):
        yield "junk.rspamd", 'junk.rspamd: write "http://host:11333"'
    if config.junk.clamav and not _is_listener(config.junk.clamav):
        yield "junk.clamav", 'junk.clamav: write "unix:PATH" or "host:port"'
    if 0 < config.junk.refuse_at < config.junk.junk_at:
        yield "junk.refuse_at", "junk.refuse_at: below junk.junk_at nothing would ever be junk"
    yield from _milter_problems(config.milter)
    public = config.web.url
    if public and (not _is_address(public, ("http", "https")) or "?" in public or "#" in public):
        yield "web.url", 'web.url: write "https://mail.example.org"'
    if config.outbound.relay and not _is_address(config.outbound.relay, ("smtp", "smtps")):
        yield "outbound.relay", 'outbound.relay: write "smtp://user:password@host:port" or "smtps://…"'
    network = partial(ipaddress.ip_network, strict=False)
    for key, values, read in (
        ("inbound.trusted", config.inbound.trusted, network),
        ("outbound.source", config.outbound.source, ipaddress.ip_address),
        ("proxies", config.proxies, network),
        ("xclient", config.xclient, network),
        ("dns.servers", config.dns.servers, NameServer.parse),
    ):
        for value in values:
            try:
                read(value)
            except ValueError as fault:
                yield key, f"{key}: {fault}"
