"""Posthouse as an administrator runs it, inside a test's namespace: a configuration file, commands, `serve`."""

from __future__ import annotations

import email
import email.message
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.interop.namespace import ROOT, Namespace

CONFIG = """\
hostname = "{hostname}"
data = "data"
[listen]
smtp = "{address}:25"
submission = "{address}:587"
submissions = "{address}:465"
imap = "{address}:143"
imaps = "{address}:993"
pop3 = "{address}:110"
pop3s = "{address}:995"
{extra}
"""

FETCH = """
import imaplib, json, ssl, sys
address, user, password, what = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
client = imaplib.IMAP4_SSL(address, 993, ssl_context=context)
client.login(user, password)
count = int(client.select("INBOX", readonly=True)[1][0])
out = []
if what != "count" and count:
    for part in client.fetch("1:*", what)[1]:
        if isinstance(part, tuple):
            out.append(part[1].decode("latin-1"))
client.logout()
print(json.dumps(count if what == "count" else out))
"""


class Posthouse:
    """One post office at one address."""

    def __init__(self, namespace: Namespace, folder: Path, hostname: str, address: str) -> None:
        self.namespace = namespace
        self.folder = folder
        self.hostname = hostname
        self.address = address
        self.passwords: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        namespace.add_address(address)

    def configure(self, domains: list[str], accounts: dict[str, str], extra: str = "") -> None:
        """Write the file, add domains and accounts with the commands."""
        text = CONFIG.format(hostname=self.hostname, address=self.address, extra=extra)
        (self.folder / "posthouse.toml").write_text(text)
        for domain in domains:
            self.command("domain", "add", domain)
        for address, password in accounts.items():
            self.command("account", "add", address, "--password", password)
        self.passwords |= accounts

    def command(self, *words: str) -> str:
        """Run `posthouse …` and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "posthouse", "-c", str(self.folder / "posthouse.toml"), *words],
            capture_output=True,
            text=True,
            timeout=60,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr + done.stdout
        return done.stdout

    def start(self) -> None:
        """Serve, and wait until every listener accepts."""
        ready = self.folder / "ready"
        ready.unlink(missing_ok=True)
        words = [sys.executable, "-m", "posthouse", "-c", str(self.folder / "posthouse.toml")]
        self.process = self.namespace.spawn(
            *words, "serve", "--ready-file", str(ready), log=self.folder / "log", cwd=self.folder
        )
        self.namespace.wait_for(ready.exists, f"{self.hostname} ready")

    def stop(self) -> None:
        """End it as systemd would."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(30)

    def _fetch(self, user: str, what: str) -> object:
        done = self.namespace.run(sys.executable, "-c", FETCH, self.address, user, self.passwords[user], what)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def count(self, user: str) -> int:
        """How many messages the user's INBOX holds, as IMAP tells."""
        found = self._fetch(user, "count")
        assert isinstance(found, int)
        return found

    def header_values(self, user: str, name: str) -> list[str]:
        """One header of every message in INBOX."""
        found = self._fetch(user, f"(BODY.PEEK[HEADER.FIELDS ({name})])")
        assert isinstance(found, list)
        return [text.partition(":")[2].strip() for text in found]

    def messages(self, user: str) -> list[email.message.Message]:
        """Every message in INBOX."""
        found = self._fetch(user, "(BODY.PEEK[])")
        assert isinstance(found, list)
        return [email.message_from_string(text) for text in found]

    def queue_length(self) -> int:
        """How many messages wait to leave."""
        return len(json.loads(self.command("queue", "list", "--json")))
