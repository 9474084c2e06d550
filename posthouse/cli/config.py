"""`posthouse config`: check, show, describe the configuration."""

from __future__ import annotations

import os
import re
from typing import Any

import click

from posthouse.cli.session import Noun, Session, take_session


@click.group(cls=Noun)
def config() -> None:
    """Check, show, describe the configuration."""


@config.command("check")
@take_session
def check(session: Session) -> None:
    """Read the configuration as `serve` would. Exit code 2 when it cannot be used."""
    from posthouse.config import find
    from posthouse.operations.certificates import load_pair
    from posthouse.outbound.relay import parse_relay

    path = find(session.config_file, os.environ)
    tls = session.config.tls
    parse_relay(session.config.outbound.relay)
    if tls.certificate is not None and tls.key is not None:
        load_pair(tls.certificate, tls.key)
    session.show({"file": str(path)}, lambda: click.echo(f"{path}: fine"))


@config.command("show")
@take_session
def show(session: Session) -> None:
    """The configuration in force, defaults and all; secrets are not shown."""
    values = dict(_flat(session.config))
    session.show(values, lambda: click.echo("\n".join(f"{key} = {value}" for key, value in values.items())))


_SECRETS = frozenset({"eab_hmac", "secret"})
"""Keys whose value nobody should read over a shoulder."""


def _flat(struct: Any, path: str = "") -> list[tuple[str, Any]]:
    import msgspec

    found: list[tuple[str, Any]] = []
    for key in struct.__struct_fields__:
        value = getattr(struct, key)
        if isinstance(value, msgspec.Struct):
            found += _flat(value, f"{path}{key}.")
        elif isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
            found.append((path + key, msgspec.to_builtins(value)))
        elif key in _SECRETS and value:
            found.append((path + key, "…"))
        elif isinstance(value, str) and "://" in value:
            found.append((path + key, _without_password(value)))
        else:
            found.append(
                (path + key, value if isinstance(value, int | float | list | tuple) else str(value or ""))
            )
    return found


def _without_password(url: str) -> str:
    """An address without what only its owner should know: of a relay, a database, an object store."""
    from urllib.parse import urlsplit

    password = urlsplit(url).password
    shown = url if password is None else url.replace(f":{password}@", ":…@", 1)
    return re.sub(r"(?i)([?&](?:ssl)?password=)[^&#]*", r"\1…", shown)  # where PostgreSQL takes it too


@config.command("describe")
@click.option("--markdown", is_flag=True, help="As a page (docs/config.md).")
@take_session
def describe(session: Session, markdown: bool) -> None:
    """Every key with its default and meaning: a commented file to start from."""
    from posthouse.cli.describe import as_file, as_page, keys

    if session.as_json:
        import msgspec

        session.show(msgspec.to_builtins(keys()), lambda: None)
        return
    click.echo(as_page() if markdown else as_file(), nl=False)
