"""`posthouse quickstart ADDRESS`: from nothing to a post office that can be started."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from pathlib import Path
from typing import Final

import click

from posthouse.cli.findings import print_findings
from posthouse.cli.session import Session, password_options, plain, take_session

LISTEN: Final = (
    ("smtp", 25),
    ("submission", 587),
    ("submissions", 465),
    ("imap", 143),
    ("imaps", 993),
    ("pop3", 110),
    ("pop3s", 995),
    ("sieve", 4190),
    ("http", 80),
    ("https", 443),
)
FILE: Final = """\
# Posthouse, made by `posthouse quickstart`. Every key: posthouse config describe
hostname = "{hostname}"
data = "data"

[listen]
{listen}

[tls]                           # with nothing here a self-signed certificate is used
{acme}
# certificate = "cert.pem"      # or your own, with its key
# key = "key.pem"

[auth]
default_domain = "{domain}"
"""

LETS_ENCRYPT: Final = "https://acme-v02.api.letsencrypt.org/directory"


@click.command()
@click.argument("address")
@click.option("--dir", "folder", metavar="DIR", default=".", help="Where posthouse.toml and data go.")
@click.option("--hostname", help="Our name in the DNS; without it mail.DOMAIN.")
@click.option(
    "--acme",
    metavar="URL",
    help="The directory of an authority that gives the certificate by itself; to name it is to agree to its terms.",
)
@click.option("--yes", is_flag=True, help="Ask nothing; make up a password when none is given.")
@password_options
@take_session
def quickstart(
    session: Session,
    address: str,
    folder: str,
    hostname: str | None,
    acme: str | None,
    yes: bool,
    password: str | None,
    password_stdin: bool,
) -> None:
    """Make a configuration, the domain, the first account (an administrator), keys; show DNS records and checks.

    Running it again keeps what is there.
    """
    local, _, domain = address.rpartition("@")
    if not local or not domain:
        raise click.BadParameter("write it as you@example.org", param_hint="ADDRESS")
    from posthouse.accounts.addresses import normalize_address
    from posthouse.message.address import normalize_domain

    address, domain = normalize_address(address), normalize_domain(domain)
    place = Path(folder).absolute() / "posthouse.toml"
    if not place.exists():
        name = normalize_domain(hostname or _hostname(domain, yes))
        _write_file(place, name, domain, _acme(acme, f"postmaster@{domain}", yes))
    else:
        click.echo(f"kept {place}")
    session.use_file(place)
    _add_domain(session, domain)
    _add_account(session, address, password, password_stdin, yes)
    _show_records(session, domain)
    click.echo("\nChecks:")
    findings = [f for f in session.one("status") if f["subject"] != "server"]
    print_findings(findings)
    click.echo(f"\nStart it with:\n  posthouse -c {place} serve")


def _hostname(domain: str, yes: bool) -> str:
    guess = f"mail.{domain}"
    here = socket.getfqdn().lower()
    if here.endswith(f".{domain}"):
        guess = here
    return guess if yes else str(click.prompt("Our host name in the DNS", default=guess))


def _acme(directory: str | None, contact: str, yes: bool) -> str:
    """The line about an authority: taken, or to be taken by whoever reads the file."""
    if directory is None and not yes and sys.stdin.isatty():
        asked = (
            "Let Let's Encrypt give the certificate? (Its terms of service hold then; it comes to port 80.)"
        )
        directory = LETS_ENCRYPT if click.confirm(asked, default=False) else None
    line = f'acme = {{directory = "{directory or LETS_ENCRYPT}", contact = "{contact}"}}'
    return line if directory else f"# {line}"


def _write_file(place: Path, hostname: str, domain: str, acme: str) -> None:
    from posthouse.config import parse

    listen = "\n".join(f'{name} = ["0.0.0.0:{port}", "[::]:{port}"]' for name, port in LISTEN)
    if not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists():
        listen = "\n".join(f'{name} = "0.0.0.0:{port}"' for name, port in LISTEN)
    text = FILE.format(hostname=hostname, listen=listen, domain=domain, acme=acme)
    parse(text, place, os.environ)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    click.echo(f"wrote {place}")


def _add_domain(session: Session, domain: str) -> None:
    names = [row["name"] for row in session.one("domain.list")]
    if domain not in names:
        session.one("domain.add", name=domain)
        click.echo(f"added the domain {domain}")


def _add_account(
    session: Session, address: str, password: str | None, password_stdin: bool, yes: bool
) -> None:
    from posthouse.cli.session import read_password

    if any(row["address"] == address for row in session.one("account.list")):
        click.echo(f"kept the account {address}")
        return
    if yes and password is None and not password_stdin:
        password = secrets.token_urlsafe(12)
        click.echo(f"password of {address}: {password}    (shown this once)")
    secret = read_password(password, password_stdin)
    session.one("account.add", address=address, password=secret, admin=True)
    click.echo(f"added the account {address}, who also gets mail for postmaster")


def _show_records(session: Session, domain: str) -> None:
    answer = session.one("domain.dns", name=domain)
    click.echo("\nPublish in the DNS:")
    session.table(answer["records"], dict.fromkeys(("name", "type", "value", "why"), plain))
    click.echo("\nThe same as zone text:")
    click.echo(answer["zone"], nl=False)
