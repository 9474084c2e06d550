"""`posthouse restore`: everything, one account, or one message from a backup."""

from __future__ import annotations

import contextlib
import csv
import io
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from msgspec import structs

from posthouse.cli.session import Session, Verb, take_session
from posthouse.cli.transfer import show_steps

if TYPE_CHECKING:
    from posthouse.operations.backup import Manifest
    from posthouse.operations.transfer.archive import ArchiveSource
    from posthouse.operations.transfer.carry import Plan


@click.command(cls=Verb)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--account", "address", metavar="ADDRESS", default="", help="Only this account's mail.")
@click.option(
    "--message", metavar="ID", default="", help="With --account: only messages with this Message-ID."
)
@click.option("--folder", "folders", metavar="NAME", multiple=True, help="With --account: only this mailbox.")
@click.option("--to", metavar="ADDRESS", default="", help="With --account: put it into this account.")
@click.option("--in-place", is_flag=True, help="With --account: each mailbox under its own name.")
@click.option("--again", is_flag=True, help="With --account: restore again what was restored before.")
@click.option("--replace", is_flag=True, help="Everything: move what is in the data folder aside.")
@click.option(
    "--same", is_flag=True, help="Everything: nothing has happened since (a move to another machine)."
)
@take_session
def restore(
    session: Session,
    /,
    folder: Path,
    address: str,
    message: str,
    folders: tuple[str, ...],
    to: str,
    in_place: bool,
    again: bool,
    replace: bool,
    same: bool,
) -> None:
    """Restore everything from the backup in DIR while no server runs; or, at any time, one account or message.

    An account that is gone comes back as it was, with all that logs it in. One that is there gets what is restored in a
    mailbox "Restored DATE", unless --in-place. Everything: mail programs see new UIDs and queued mail is held,
    unless --same.
    """
    if address:
        from posthouse.operations.transfer.carry import Plan

        if replace or same:
            raise click.UsageError("--replace and --same are for restoring everything")
        salt = str(time.time()) if again else ""
        plan = Plan(address=to, folders=frozenset(folders), over_quota=True, again=salt)
        _account(session, folder, address, plan, message=message, in_place=in_place)
        return
    if message or folders or to or in_place or again:
        raise click.UsageError("--message, --folder, --to, --in-place and --again go with --account")
    _everything(session, folder, replace=replace, same=same)


def _everything(session: Session, folder: Path, *, replace: bool, same: bool) -> None:
    from posthouse.operations.restore import Places, restore_all

    config = session.config
    if not config.store.url.startswith("sqlite:"):
        _into_cluster(session, folder, replace=replace, same=same)
        return
    places = Places(
        data=config.data,
        database=config.data / config.store.url.removeprefix("sqlite:"),
        blobs=config.data / config.store.blobs.removeprefix("packs:"),
    )
    _told(session, restore_all(folder, places, same=same, replace=replace, now=time.time()), same=same)


def _into_cluster(session: Session, folder: Path, *, replace: bool, same: bool) -> None:
    """The database is empty or made empty by its own tools: nothing of a cluster's is moved aside by us."""
    from posthouse.operations.backup import read_manifest
    from posthouse.operations.restore import restore_files
    from posthouse.store.moving.keeping import restore_into_cluster

    if replace:
        raise click.UsageError("--replace is for the embedded store: give the cluster an empty database")
    config = session.config
    manifest = read_manifest(folder)
    objects = config.store.blobs if config.store.blobs.startswith("s3:") else ""
    work = config.data / "run" / "restoring"
    restore_into_cluster(folder, config.store.url, objects, work, same=same, now=int(time.time()))
    restore_files(folder, manifest, config.data)
    _told(session, manifest, same=same)


def _told(session: Session, manifest: Manifest, *, same: bool) -> None:
    made = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(manifest.made_at))
    result = {"made_at": manifest.made_at, "hostname": manifest.hostname, "accounts": manifest.accounts}

    def tell() -> None:
        click.echo(f"restored {manifest.hostname} as of {made}, {manifest.accounts} accounts")
        if not same:
            click.echo("mail that waited to be sent is held: posthouse queue list, queue release --all")

    session.show(result, tell)


def _account(
    session: Session, folder: Path, address: str, plan: Plan, *, message: str, in_place: bool
) -> None:
    """Import from the backup. The plan's address: into this account, or (empty) the one that it was."""
    from posthouse.accounts.addresses import normalize_address
    from posthouse.operations.backup import read_manifest
    from posthouse.operations.transfer.archive import ArchiveSource
    from posthouse.operations.transfer.carry import carry_in, check_folders

    manifest = read_manifest(folder)
    source = ArchiveSource(folder, normalize_address(address), message_id=message)
    try:
        check_folders(plan.folders, {each.name for each in source.folders()})
        with session.held():
            there = {row["address"] for row in session.one("account.list")}
            target = normalize_address(plan.address) if plan.address else source.account.address
            fresh = target not in there
            more: dict[str, Any] = {}
            date = time.strftime("%Y-%m-%d", time.localtime(manifest.made_at))
            if fresh:
                if plan.address:
                    raise click.UsageError(f"no account {target}: add it first")
                more["account"] = _bring_back(session, source)
                if not session.as_json:
                    click.echo(_logins(target, more["account"], date))
            into = "" if fresh or in_place else f"Restored {date}"
            plan = structs.replace(plan, address=target, into=into)
            if into and not session.as_json:
                click.echo(f'below the mailbox "{into}" of {target}:')
            show_steps(session, carry_in(source, session, plan), "restored", **more)
            if fresh:
                for mailbox, entry, value in source.annotations():
                    noted = {"mailbox": mailbox, "entry": entry, "value": msgspec.to_builtins(value)}
                    session.one("account.return-annotation", address=target, **noted)
    finally:
        source.close()


def _bring_back(session: Session, source: ArchiveSource) -> dict[str, Any]:
    """Make the account as it was, with all that logs its owner in; what of that came back."""
    from posthouse.accounts.passwords import SCRAM
    from posthouse.operations.returning import ITEM_KINDS

    account = source.account
    cells = {
        "address": account.address,
        "hash": account.password,
        "scram": f"{SCRAM}{account.scram}" if account.scram else "",
        "name": account.display_name,
        "quota": account.quota,
        "admin": "yes" if account.admin else "no",
        "disabled": "yes",  # until its second factor is there
    }
    text = io.StringIO()
    rows = csv.DictWriter(text, cells)
    rows.writeheader()
    rows.writerow(cells)
    done = session.one("account.import", text.getvalue().encode())
    if done["refused"]:
        raise click.ClickException(f"{account.address}: {done['refused'][0]['reason']}")
    try:
        for kind in ITEM_KINDS:
            for some in source.items(kind):
                items = [{"item_id": each.item_id, "data": msgspec.to_builtins(each.data)} for each in some]
                session.one("account.return-items", address=account.address, kind=kind, items=items)
        returned: dict[str, Any] = session.one(
            "account.return",
            address=account.address,
            disabled=account.disabled,
            app_passwords=msgspec.to_builtins(source.app_passwords),
            credentials=msgspec.to_builtins(source.credentials),
        )
    except BaseException:
        # Broken off too: half an account would be taken for a whole one the next time.
        with contextlib.suppress(Exception):  # what went wrong first is told
            session.one("account.remove", address=account.address)
        raise
    return returned


def _logins(address: str, returned: dict[str, Any], date: str) -> str:
    """What logs in to an account that has come back, in one line."""
    parts = ["its password"]
    if returned["second_factor"]:
        parts.append("its second factor")
    for key, one in (("app_passwords", "app password"), ("passkeys", "passkey"), ("tokens", "token")):
        if returned[key]:
            parts.append(f"{returned[key]} {one}{'s' if returned[key] != 1 else ''}")
    said = f"{address} is back with {', '.join(parts)}, as of {date}; browsers must log in again"
    if returned["taken"]:
        said += f"; {returned['taken']} passkeys belong to another account by now"
    return said
