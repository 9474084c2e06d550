"""Debian's Dovecot on loopback ports of its own, over Maildirs in a folder; it needs root to part its users."""

from __future__ import annotations

import imaplib
import os
import pwd
import subprocess
import time
from pathlib import Path

from tests.interop.namespace import free_port

USER, PASSWORD = "ann", "secret"
OWNER = "nobody"

CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
instance_name = {name}
protocols = imap
listen = 127.0.0.1
disable_plaintext_auth = no
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home/%n
}}
mail_location = maildir:{folder}/home/%n/Maildir
mail_server_admin = mailto:postmaster@example.test
mail_attribute_dict = file:{folder}/home/%n/attributes
first_valid_uid = 1
first_valid_gid = 1
ssl = no
protocol imap {{
  imap_metadata = yes
}}
namespace inbox {{
  inbox = yes
  mailbox Gesendet {{
    special_use = \\Sent
    auto = create
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
"""


class Dovecot:
    """One server; `start`, `stop`."""

    def __init__(self, program: str, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def maildir(self) -> Path:
        """The user's mail."""
        return self.folder / "home" / USER / "Maildir"

    def own(self) -> None:
        """Give all mail to its owner."""
        owner = pwd.getpwnam(OWNER)
        for place, folders, files in os.walk(self.folder / "home"):
            for path in (place, *(os.path.join(place, name) for name in (*folders, *files))):
                os.chown(path, owner.pw_uid, owner.pw_gid)

    def start(self) -> None:
        """Serve."""
        owner = pwd.getpwnam(OWNER)
        self.folder.chmod(0o755)  # Dovecot's users must get through
        (self.folder / "home").mkdir(exist_ok=True)
        self.own()
        config = self.folder / "dovecot.conf"
        config.write_text(
            CONFIG.format(
                folder=self.folder,
                name=f"posthouse-{self.port}",
                password=PASSWORD,
                uid=owner.pw_uid,
                gid=owner.pw_gid,
                port=self.port,
            )
        )
        self._process = subprocess.Popen([self._program, "-F", "-c", str(config)])
        deadline = time.monotonic() + 20
        while True:
            try:
                self.client().logout()
                return
            except (OSError, imaplib.IMAP4.error):
                log = self.folder / "log"
                assert time.monotonic() < deadline, log.read_text() if log.exists() else "no log"
                time.sleep(0.05)

    def client(self) -> imaplib.IMAP4:
        """Logged in."""
        client = imaplib.IMAP4("127.0.0.1", self.port)
        client.login(USER, PASSWORD)
        return client

    def shown(self) -> dict[str, list[object]]:
        """Mailbox → UIDVALIDITY, and all facts of its messages."""
        return facts_of(self.client())

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)


def facts_of(client: imaplib.IMAP4) -> dict[str, list[object]]:
    """Mailbox → UIDVALIDITY, and (UID, date, flags, text) of its messages; for mailboxes that have some."""
    found: dict[str, list[object]] = {}
    for line in client.list()[1]:
        assert isinstance(line, bytes)
        name = line.rpartition(b'" ')[2].decode() if b'" ' in line else line.split()[-1].decode()
        kind, count = client.select(name, readonly=True)
        if kind != "OK" or count == [b"0"]:
            continue
        validity = client.response("UIDVALIDITY")[1]
        facts = []
        for part in client.fetch("1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[])")[1]:
            if isinstance(part, tuple):
                head = part[0].decode()
                uid = head.partition("UID ")[2].split()[0].rstrip(")")
                flags = sorted(set(head.partition("FLAGS (")[2].partition(")")[0].split()) - {"\\Recent"})
                date = time.mktime(imaplib.Internaldate2tuple(part[0]))  # type: ignore[arg-type]
                facts.append((int(uid), date, flags, part[1]))
        found[name.strip('"')] = [validity, sorted(facts)]
    client.logout()
    return found
