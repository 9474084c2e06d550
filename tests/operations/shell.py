"""Commands on a house without a server, with two accounts."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from posthouse.cli import main

ALICE, BOB = "alice@north.test", "bob@north.test"


class Shell:
    """Runs commands on one configuration, without a server."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "posthouse.toml"
        self.file.write_text('hostname = "mx.north.test"\n')
        self("domain", "add", "north.test")
        for address in (ALICE, BOB):
            self("account", "add", address, "--password", "secret")

    def __call__(self, *words: str, text: str = "", code: int = 0) -> str:
        done: Result = CliRunner().invoke(main, ["-c", str(self.file), *words], input=text)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, (words, done.output)
        return done.output

    def counts(self, address: str) -> dict[str, int]:
        """Mailbox → messages."""
        shown = json.loads(self("account", "show", address, "--json"))
        return {name: total for name, total, _ in shown["mailboxes"] if total}
