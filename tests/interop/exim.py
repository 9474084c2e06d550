"""Debian's Exim, unpacked and not installed, with a configuration and a spool of the test's own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.interop.namespace import Namespace, make_user, reachable

CONFIGURATION = """\
primary_hostname = {hostname}
exim_path = {root}/usr/sbin/exim4
local_interfaces = {address}
daemon_smtp_ports = 25
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/exim.pid
never_users =
keep_environment =
smtp_accept_max_per_connection = 1000
message_size_limit = 50M
domainlist ours = {domain}
acl_smtp_rcpt = check
begin acl
check:
  accept hosts = {address}
  accept domains = +ours
         local_parts = {users}
  deny message = relay not permitted
begin routers
far:
  driver = dnslookup
  domains = ! +ours
  transport = out
  no_more
near:
  driver = accept
  local_parts = {users}
  transport = keep
begin transports
out:
  driver = smtp
  interface = {address}
keep:
  driver = appendfile
  directory = {folder}/mail/$local_part_data
  maildir_format
  user = Debian-exim
  group = Debian-exim
begin retry
* * F,1h,1s
"""


class Exim:
    """One Exim for one domain; its mailboxes are Maildirs below `folder/mail`.

    The daemon only accepts; `run_queue` delivers as root, because an Exim that has dropped root may not use a
    configuration file of ours.
    """

    def __init__(self, root: Path, namespace: Namespace, folder: Path) -> None:
        self.root = root
        self.namespace = namespace
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, hostname: str, domain: str, address: str, users: list[str]) -> None:
        """Write the configuration and run the daemon, with a queue run each second, inside the namespace."""
        make_user("Debian-exim")
        reachable(self.folder)
        for name in ("spool", "log", "mail"):
            (self.folder / name).mkdir(exist_ok=True)
            subprocess.run(["chown", "Debian-exim:Debian-exim", str(self.folder / name)], check=True)
        configuration = self.folder / "exim.conf"
        configuration.write_text(
            CONFIGURATION.format(
                folder=self.folder,
                root=self.root,
                hostname=hostname,
                domain=domain,
                address=address,
                users=" : ".join(users),
            )
        )
        self.namespace.add_address(address)
        self.process = self.namespace.spawn(
            str(self.root / "usr/sbin/exim4"),
            "-C",
            str(configuration),
            "-bdf",
            "-odq",
            log=self.folder / "out",
        )
        self.namespace.wait_for(lambda: self.namespace.is_listening(address, 25), "Exim")

    def submit(self, sender: str, recipient: str, text: str) -> None:
        """Hand a message to it as a local program would."""
        subprocess.run(
            self.namespace.command(
                *(str(self.root / "usr/sbin/exim4"), "-C", str(self.folder / "exim.conf")),
                "-f",
                sender,
                recipient,
            ),
            input=text.encode(),
            check=True,
            timeout=30,
            env=os.environ,
        )

    def run_queue(self) -> None:
        """Deliver what waits."""
        words = self.namespace.command(
            str(self.root / "usr/sbin/exim4"), "-C", str(self.folder / "exim.conf"), "-qqff"
        )
        subprocess.run(words, check=True, timeout=60)

    def mail_of(self, user: str) -> list[Path]:
        """The messages in a user's Maildir."""
        folder = self.folder / "mail" / user / "new"
        return list(folder.iterdir()) if folder.exists() else []

    def queued(self) -> int:
        """How many messages wait in its spool."""
        return len(list((self.folder / "spool" / "input").rglob("*-H")))

    def log(self) -> str:
        """Its main log."""
        path = self.folder / "log" / "mainlog"
        return path.read_text(errors="replace") if path.exists() else ""
