"""Debian's Postfix, unpacked and not installed, with a configuration and a queue of the test's own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

from tests.interop.namespace import Namespace, make_user, reachable

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = {root}/usr/sbin
daemon_directory = {root}/usr/lib/postfix/sbin
shlib_directory = {root}/usr/lib/postfix
import_environment = MAIL_CONFIG TZ LANG=C LD_LIBRARY_PATH
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/log/postfix.log
maillog_file_prefixes = {folder}/log
inet_interfaces = {address}
inet_protocols = ipv4
smtp_bind_address = {address}
myhostname = {hostname}
mydestination =
mynetworks = {address}/32
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{ {mailboxes} }}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
message_size_limit = 52428800
mailbox_size_limit = 0
virtual_mailbox_limit = 0
alias_maps =
alias_database =
smtputf8_enable = yes
smtp_host_lookup = dns
minimal_backoff_time = 1s
maximal_backoff_time = 5s
queue_run_delay = 1s
{extra}
"""

SERVICES = """\
smtp      inet  n  -  n  -  -  smtpd
pickup    unix  n  -  n  60 1  pickup
cleanup   unix  n  -  n  -  0  cleanup
qmgr      unix  n  -  n  300 1 qmgr
tlsmgr    unix  -  -  n  1000? 1 tlsmgr
rewrite   unix  -  -  n  -  -  trivial-rewrite
bounce    unix  -  -  n  -  0  bounce
defer     unix  -  -  n  -  0  bounce
trace     unix  -  -  n  -  0  bounce
verify    unix  -  -  n  -  1  verify
flush     unix  n  -  n  1000? 0 flush
proxymap  unix  -  -  n  -  -  proxymap
smtp      unix  -  -  n  -  -  smtp
relay     unix  -  -  n  -  -  smtp
showq     unix  n  -  n  -  -  showq
error     unix  -  -  n  -  -  error
retry     unix  -  -  n  -  -  error
discard   unix  -  -  n  -  -  discard
virtual   unix  -  n  n  -  -  virtual
anvil     unix  -  -  n  -  1  anvil
scache    unix  -  -  n  -  1  scache
postlog   unix-dgram n - n  -  1  postlogd
"""

QUEUES = "active bounce corrupt defer deferred flush hold incoming private saved trace maildrop public pid"


class Postfix:
    """One Postfix for one domain; its mailboxes are Maildirs below `folder/mail`."""

    def __init__(self, root: Path, namespace: Namespace, folder: Path) -> None:
        self.root = root
        self.namespace = namespace
        self.folder = folder

    def start(self, *, hostname: str, domain: str, address: str, users: list[str], extra: str = "") -> None:
        """Write the configuration and start the master process inside the namespace."""
        _make_users()
        owner = pwd.getpwnam("postfix")
        reachable(self.folder)
        for name in ("queue", "data", "log", "mail", "etc"):
            (self.folder / name).mkdir(exist_ok=True)
        for name in QUEUES.split():
            (self.folder / "queue" / name).mkdir(mode=0o700, exist_ok=True)
            if name != "pid":
                os.chown(self.folder / "queue" / name, owner.pw_uid, -1)
        for name, mode in (("maildrop", 0o730), ("public", 0o710)):
            shutil.chown(self.folder / "queue" / name, group="postdrop")
            (self.folder / "queue" / name).chmod(mode)
        for name in ("data", "mail"):
            os.chown(self.folder / name, owner.pw_uid, owner.pw_gid)
        mailboxes = " ".join(f"{{ {user}@{domain} = {user}/ }}" for user in users)
        (self.folder / "etc" / "main.cf").write_text(
            MAIN.format(
                folder=self.folder,
                root=self.root,
                address=address,
                hostname=hostname,
                domain=domain,
                mailboxes=mailboxes,
                uid=owner.pw_uid,
                gid=owner.pw_gid,
                extra=extra,
            )
        )
        (self.folder / "etc" / "master.cf").write_text(SERVICES)
        self.namespace.add_address(address)
        master = self.root / "usr/lib/postfix/sbin/master"
        environment = os.environ | {"LD_LIBRARY_PATH": str(self.root / "usr/lib/postfix")}
        subprocess.run(
            self.namespace.command(str(master), "-c", str(self.folder / "etc"), "-w"),
            check=True,
            env=environment,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
        self.namespace.wait_for(lambda: self.namespace.is_listening(address, 25), "Postfix")

    def mail_of(self, user: str) -> list[Path]:
        """The messages in a user's Maildir."""
        folder = self.folder / "mail" / user / "new"
        return list(folder.iterdir()) if folder.exists() else []

    def queued(self) -> int:
        """How many messages still wait in its queue."""
        queues = ("incoming", "active", "deferred", "maildrop")
        return sum(
            len([p for p in (self.folder / "queue" / name).rglob("*") if p.is_file()]) for name in queues
        )

    def log(self) -> str:
        """Its log."""
        path = self.folder / "log" / "postfix.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def stop(self) -> None:
        """End the master process that `start` made."""
        pidfile = self.folder / "queue" / "pid" / "master.pid"
        if not pidfile.exists():
            return
        pid = int(pidfile.read_text())
        try:
            os.kill(pid, signal.SIGTERM)
            self.namespace.wait_for(lambda: not Path(f"/proc/{pid}").exists(), "Postfix's end", 15)
        except ProcessLookupError:
            pass


def _make_users() -> None:
    """The user and groups that the package would have made."""
    subprocess.run(["groupadd", "-rf", "postdrop"], check=True)
    make_user("postfix")
