"""What every command shares: the configuration, the way to the house, and how results are shown.

A command is done by the running server, through its control socket; when none runs, the store is opened here, with
its lock, and closed again. Both ways run the same `Administration`.
"""

from __future__ import annotations

import json
import os
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from posthouse import limits
from posthouse.operations.logs import without_controls

if TYPE_CHECKING:
    from posthouse.cli.local import LocalHouse
    from posthouse.config import Config


class Session:
    """One invocation of the command line."""

    def __init__(self, config_file: str | None) -> None:
        self.config_file = config_file
        self.as_json = False
        self._config: Config | None = None
        self._house: LocalHouse | None = None
        self._holding = False

    @property
    def config(self) -> Config:
        """The configuration, read when first asked for. ConfigError."""
        if self._config is None:
            from posthouse.config import find, load

            self._config = load(find(self.config_file, os.environ), os.environ)
        return self._config

    @property
    def configuration(self) -> Path:
        """The configuration file in use. ConfigError when there is none."""
        from posthouse.config import find

        return find(self.config_file, os.environ)

    def use_file(self, place: Path) -> None:
        """From now on this is the configuration file."""
        self.config_file, self._config = str(place), None

    # --- asking the house ----------------------------------------------------------------------------

    def one(self, command: str, body: bytes = b"", **arguments: Any) -> Any:
        """The one result of a command."""
        return list(self.each(command, body, **arguments))[-1]

    def each(self, command: str, body: bytes = b"", **arguments: Any) -> Iterator[Any]:
        """Each result of a command as it comes: by the running server, else by the store itself."""
        from posthouse.operations.control_client import ControlClient, ControlFailed

        deadline = time.monotonic() + limits.STARTING
        while self._house is None:
            try:
                client = ControlClient.connect(self.config.data)
            except PermissionError:
                raise ControlFailed(
                    "Forbidden", f"{self.config.data} is another user's: become that user, or root"
                ) from None
            if client is not None:
                try:
                    yield from client.run(command, arguments, body)
                finally:
                    client.close()
                return
            self._open_house(deadline)
        try:
            yield from self._house.run(command, arguments, body)
        finally:
            if not self._holding:
                self._close_house()

    def _open_house(self, deadline: float) -> None:
        """Open the store here; while somebody else has it, leave that for the next try. StoreInUse."""
        from posthouse.cli.local import LocalHouse
        from posthouse.store.sqlite.lock import StoreInUse

        try:
            self._house = LocalHouse(self.config)
        except StoreInUse:
            # a server is just starting (it has the lock, and will have its socket) or just stopping
            if time.monotonic() > deadline:
                raise
            time.sleep(limits.STARTING_POLL)

    def _close_house(self) -> None:
        if self._house is not None:
            self._house.close()
            self._house = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within: where no server runs the store stays open from the first command on, for many of them."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
            self._close_house()

    # --- showing -------------------------------------------------------------------------------------

    def show(self, value: Any, text: Callable[[], None]) -> None:
        """The value as JSON where asked for, else what `text` prints."""
        if self.as_json:
            click.echo(json.dumps(value, ensure_ascii=False, indent=2))
        else:
            text()

    def table(self, rows: Sequence[dict[str, Any]], columns: Mapping[str, Callable[[Any], str]]) -> None:
        """Rows as JSON, as a table on a terminal, or as aligned text on a pipe. `columns`: key → how to write."""
        if self.as_json:
            click.echo(json.dumps(list(rows), ensure_ascii=False, indent=2))
            return
        heads = [key.replace("_", " ") for key in columns]
        cells = [[without_controls(write(row[key])) for key, write in columns.items()] for row in rows]
        if sys.stdout.isatty():
            _rich_table(heads, cells)
        elif cells:
            _plain_table(heads, cells)


WIDEST = 64
"""Characters to which columns are filled up on a pipe; what is longer runs over."""


def _rich_table(heads: list[str], cells: list[list[str]]) -> None:
    from rich.box import SIMPLE_HEAD  # slow to import, so only for a terminal
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*heads, box=SIMPLE_HEAD, pad_edge=False)
    for row in cells:
        table.add_row(*map(Text, row))
    Console().print(table)


def _plain_table(heads: list[str], cells: list[list[str]]) -> None:
    # One long value (a key in the DNS) must not push everything else out of sight.
    widths = [min(max(map(columns_of, column)), WIDEST) for column in zip(heads, *cells, strict=True)]
    for row in (heads, *cells):
        filled = (cell + " " * (width - columns_of(cell)) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(filled).rstrip())


def columns_of(text: str) -> int:
    """How many columns of a terminal a text takes: Chinese characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


class Verb(click.Command):
    """A command that can answer in JSON."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(
                ["--json"], is_flag=True, expose_value=False, callback=_want_json, help="Answer in JSON."
            )
        )


class Noun(click.Group):
    """A group of verbs."""

    command_class = Verb
    group_class = type  # groups within it are of the same kind


def _want_json(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_object(Session).as_json = True  # type: ignore[union-attr]  # `main` made it


take_session = click.make_pass_decorator(Session)


def say(text: str, *, err: bool = False) -> None:
    """A line with words of strangers in it: what would steer the terminal is shown, not done."""
    click.echo(without_controls(text), err=err)


# --- how values are written ---------------------------------------------------------------------------


def plain(value: Any) -> str:
    """Text; lists with commas, nothing as nothing."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def moment(at: float) -> str:
    """A time in the local zone, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) if at else ""


def octets(count: int) -> str:
    """A size for people."""
    if not count:
        return "0"
    size = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TB"


def quota(count: int) -> str:
    """A quota for people."""
    return octets(count) if count else "unlimited"


def read_size(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """An option's or argument's size, as "2GB"; None: not given."""
    from posthouse.units import size

    if value is None:
        return None
    try:
        return size(value)
    except ValueError as fault:
        raise click.BadParameter(str(fault)) from fault


def read_duration(_: click.Context, __: click.Parameter, value: str | None) -> float:
    """An option's duration, as "3d", in seconds; 0: not given."""
    from posthouse.units import duration

    if value is None:
        return 0.0
    try:
        return duration(value)
    except ValueError as fault:
        raise click.BadParameter(str(fault)) from fault


def yes(value: bool) -> str:
    """`yes`, or nothing."""
    return "yes" if value else ""


# --- passwords ----------------------------------------------------------------------------------------


def password_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--password`, `--password-stdin`: for commands that set one."""
    function = click.option("--password", help="The password (others on this machine may see it).")(function)
    return click.option("--password-stdin", is_flag=True, help="Read it from standard input.")(function)


def read_password(password: str | None, password_stdin: bool) -> str:
    """The password as given, from standard input, or asked for on the terminal."""
    if password is not None and password_stdin:
        raise click.UsageError("--password and --password-stdin exclude each other")
    if password is not None:
        return password
    if password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise click.UsageError("give --password or --password-stdin")
    asked = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return str(asked)


def read_file(path: str) -> bytes:
    """A file's octets, or standard input's for `-`."""
    return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
