"""`posthouse store`: growing up, and back."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from posthouse.cli.session import Noun, Session, octets, take_session

if TYPE_CHECKING:
    from posthouse.store.moving.move import Moved, Mover


@click.group(cls=Noun)
def store() -> None:
    """Where mail is kept."""


@store.command("move")
@click.argument("target", metavar="URL")
@click.option("--blobs", metavar="URL", default="", help='With a cluster: "s3://…" for large bodies.')
@take_session
def move(session: Session, target: str, blobs: str) -> None:
    """Copy all mail to another store: postgresql://… of an empty database, or sqlite:PATH.

    UIDs, UIDVALIDITY, mod-sequences and all numbers stay, so no mail program downloads anything again. From the
    embedded store this goes on while mail is served; then changes are refused (mail is deferred, reading goes on) for
    the short last part, until the server is started again with the new `store.url`. Cut off, it goes on where it was.
    """
    from rich.console import Console
    from rich.progress import Progress, TaskID

    with Progress(console=Console(stderr=True)) as bar:
        tasks: dict[str, TaskID] = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        moved = _move(session, target, blobs, progress)
    session.show(
        {"accounts": moved.accounts, "messages": moved.messages, "octets": moved.octets,
         "seconds": round(moved.seconds, 2), "pause": round(moved.pause, 2)},
        lambda: _tell(moved, target, blobs),
    )  # fmt: skip


def _tell(moved: Moved, target: str, blobs: str) -> None:
    click.echo(
        f"{moved.messages} messages of {moved.accounts} accounts, {octets(moved.octets)}, in {moved.seconds:.1f} s;"
        f" nothing could be changed for {moved.pause:.1f} s. Everything was compared and is there."
    )
    click.echo("Now write this into the configuration and start the server again:\n")
    click.echo(f'[store]\nurl = "{target}"' + (f'\nblobs = "{blobs}"' if blobs else ""))


def _move(session: Session, target: str, blobs: str, progress: object) -> Moved:
    from posthouse.config import CLUSTER_URLS
    from posthouse.store.moving.move import Mover

    config = session.config
    away, there = config.store.url.startswith(CLUSTER_URLS), target.startswith(CLUSTER_URLS)
    if away == there or not (there or target.startswith("sqlite:")):
        raise click.UsageError(
            "from the embedded store to postgresql://…, or from a cluster to sqlite:PATH; nothing else is a move"
        )
    with _Sides(session, target, blobs) as (source, goal):
        mover = Mover(source, goal, progress)  # type: ignore[arg-type]  # a Progress
        if away:
            mover.copy_while_serving()
            return mover.finish()
        return _from_a_running_house(session, mover)


def _from_a_running_house(session: Session, mover: Mover) -> Moved:
    """Copy beside the server; it refuses changes for the last part and, when all is well, until it is restarted."""
    from posthouse.operations.control import socket_path
    from posthouse.store.sqlite.lock import StoreLock

    data = session.config.data
    mover.copy_while_serving()
    if not Path(socket_path(data)).exists():
        path = data / session.config.store.url.removeprefix("sqlite:")
        lock = StoreLock(path.with_name(path.name + ".lock"))
        try:
            return mover.finish()
        finally:
            lock.release()
    session.one("store.freeze")
    try:
        return mover.finish()
    except BaseException:
        with contextlib.suppress(Exception):  # a server that has ended is not frozen; what went wrong is told
            session.one("store.thaw")
        raise


class _Sides:
    """Both sides, open."""

    def __init__(self, session: Session, target: str, blobs: str) -> None:
        self._session = session
        self._target = target
        self._blobs = blobs

    def __enter__(self) -> tuple[object, object]:
        from posthouse.config import CLUSTER_URLS
        from posthouse.store.moving.cluster import ClusterSource, ClusterTarget, objects_of
        from posthouse.store.moving.embedded import EmbeddedSource, EmbeddedTarget

        config = self._session.config
        cache = config.data / "run" / "moving"
        blobs = config.data / "blobs"
        if self._target.startswith(CLUSTER_URLS):
            path = config.data / config.store.url.removeprefix("sqlite:")
            self._source = EmbeddedSource(path, config.data / config.store.blobs.removeprefix("packs:"))
            self._goal = ClusterTarget(self._target, objects_of(self._blobs, cache))
        else:
            objects = config.store.blobs if config.store.blobs.startswith("s3:") else ""
            self._source = ClusterSource(config.store.url, objects_of(objects, cache))  # type: ignore[assignment]
            path = Path(config.data / self._target.removeprefix("sqlite:"))
            self._goal = EmbeddedTarget(path, blobs)  # type: ignore[assignment]
        return self._source, self._goal

    def __exit__(self, *_: object) -> None:
        self._source.close()
        self._goal.close()
