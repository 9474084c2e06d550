"""The process: limits, allocator, event loop, signals, logging, privileges; what is served is `app`'s.

SIGTERM and SIGINT drain and stop (a second one cuts the draining short; one more leaves all as it is, like a crash),
SIGHUP rereads the configuration. `ready` is printed, and the ready file written (pid and addresses, JSON), when every
listener accepts; systemd is told, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import json
import logging
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Final, Self

import msgspec

from posthouse import limits
from posthouse.app import App
from posthouse.config import Config, ConfigError, load
from posthouse.errors import PosthouseError, told_to_administrators
from posthouse.operations.logs import start_logging
from posthouse.privileges import Privileges

log: Final = logging.getLogger(__name__)

# mallopt(3): what is larger goes to mmap; how much free memory stays at the top of the heap.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What `posthouse serve` was asked."""

    config: Config
    config_file: Path
    roles: tuple[str, ...] = ()
    ready_file: Path | None = None
    pid_file: Path | None = None
    until_eof: bool = False
    """Also stop when standard input ends: whoever started us is gone."""


def supervise(run: Run) -> int:
    """Serve until told to stop. The result is the exit code."""
    early = Early()  # before all that takes time
    start_logging(run.config.log, os.environ)
    tune_allocator()
    raise_file_limit(run.config.limits.connections + limits.SPARE_FILES)
    privileges = Privileges(run.config.run_as)
    with contextlib.ExitStack() as ended:
        try:
            pid_file = ended.enter_context(PidFile(run.pid_file)) if run.pid_file is not None else None
            privileges.lay_down(run.config.data)
            os.umask(0o077)
            runner = ended.enter_context(asyncio.Runner(loop_factory=loop_factory()))
            runner.run(_serve(run, privileges, pid_file, early))
        except (PosthouseError, OSError) as fault:
            log.error("not started: %s", told_to_administrators(fault))
            return 2 if isinstance(fault, ConfigError) else 1
    return 0


class Early:
    """Whether a SIGHUP came while we start: a renewed certificate may be there that was not read any more."""

    def __init__(self) -> None:
        self.hung_up = False
        signal.signal(signal.SIGHUP, self._heard)

    def _heard(self, _number: int, _frame: object) -> None:
        self.hung_up = True


class PidFile:
    """Opened while we may, written once we serve, gone when we end; that of another server is left alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("a")
        self._ours = False

    def __enter__(self) -> Self:
        return self

    def write(self) -> None:
        """Say who serves."""
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()
        self._ours = True

    def __exit__(self, *_: object) -> None:
        with self._file:
            if self._ours or self._file.tell() == 0:
                self._file.truncate(0)
                with contextlib.suppress(OSError):  # a folder in which only root may remove
                    self._path.unlink()


def loop_factory() -> type[asyncio.AbstractEventLoop]:
    """The event loop that we serve with."""
    import uvloop  # the only thing that needs it

    return uvloop.Loop


def _stop_at_eof(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    """Standard input can be read: what comes is passed over, its end ends us."""
    if not os.read(0, 4096):
        loop.remove_reader(0)
        ended.set()


async def _serve(run: Run, privileges: Privileges, pid_file: PidFile | None, early: Early) -> None:
    app = App(run.config, roles=run.roles, privileges=privileges)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def hang_up() -> None:
        task = loop.create_task(_reload(app, run))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if run.until_eof:
        loop.add_reader(0, _stop_at_eof, loop, ended)
    await app.start()
    try:
        if pid_file is not None:
            pid_file.write()
        tune_collector()
        loop.add_signal_handler(signal.SIGHUP, hang_up)
        if early.hung_up:
            hang_up()
        _tell_ready(run, app)
        await ended.wait()
    finally:
        log.info("stopping")
        _notify_systemd("STOPPING=1")
        if run.ready_file is not None:
            run.ready_file.unlink(missing_ok=True)
        await _stop(app)


async def _stop(app: App) -> None:
    """Stop in good order, unless somebody will not wait for it."""
    loop, hurry = asyncio.get_running_loop(), asyncio.Event()
    stopping = asyncio.ensure_future(app.stop(hurry))

    def told_again() -> None:
        if app.config.drain and not hurry.is_set():
            hurry.set()
        else:
            stopping.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_again)
    try:
        await stopping
    except asyncio.CancelledError:
        log.warning("broken off while stopping")
    else:
        log.info("stopped")


async def _reload(app: App, run: Run) -> None:
    try:
        config = await asyncio.to_thread(load, run.config_file, os.environ)
        await app.reload(config)
    except (PosthouseError, OSError) as fault:
        log.error("reload failed, the old configuration stays: %s", fault)
    else:
        start_logging(config.log, os.environ)


def _tell_ready(run: Run, app: App) -> None:
    for name, bound in app.addresses.items():
        log.info("listening name=%s address=%s", name, ",".join(bound))
    if run.ready_file is not None:
        beside = run.ready_file.with_name(run.ready_file.name + ".new")
        beside.write_text(json.dumps({"pid": os.getpid(), "addresses": app.addresses}) + "\n")
        beside.replace(run.ready_file)
    _notify_systemd("READY=1")
    with contextlib.suppress(OSError):  # nobody need listen
        sys.stdout.write("ready\n")
        sys.stdout.flush()


def _notify_systemd(state: str) -> None:
    """sd_notify(3), when we are a service of Type=notify."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(state.encode(), "\0" + path[1:] if path.startswith("@") else path)


# --- tuning ------------------------------------------------------------------------------------------


def tune_allocator() -> bool:
    """Keep freed memory for the next message instead of giving it back; says whether this system has the means.

    Without it every message of a megabyte is mapped, faulted in and unmapped again, which costs more than its
    delivery.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False  # not glibc
    return bool(
        mallopt(_M_MMAP_THRESHOLD, limits.MALLOC_MMAP) and mallopt(_M_TRIM_THRESHOLD, limits.MALLOC_TRIM)
    )


def tune_collector() -> None:
    """What is alive now stays: never look at it again; and look at the rest less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(limits.GC_THRESHOLD, 20, 50)


def raise_file_limit(wanted: int) -> int:
    """Allow as many open files as the hard limit gives, up to what is wanted. The result is what holds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted or soft == resource.RLIM_INFINITY:
        return soft
    if os.geteuid() == 0 and hard != resource.RLIM_INFINITY and hard < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return wanted
    best = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (best, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
