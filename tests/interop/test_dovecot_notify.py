"""NOTIFY (RFC 5465): who believes every line ends each step knowing the same of us as of Dovecot.

Lines differ: Dovecot tells some twice and adds RECENT, and with `.` between levels a child is renamed as others are.
What they say of counts, names, subscriptions and the selected mailbox is compared.
"""

from __future__ import annotations

import copy
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.interop.dovecot import PASSWORD, USER, Dovecot
from tests.interop.local import ACCOUNTS, LocalHouse

pytestmark = [pytest.mark.slow]
ALICE, BOB = ACCOUNTS
NEWS = "Subject: news\r\n\r\n!\r\n"
QUIET = 1.5
"""Seconds without a line after which nothing more is expected: Dovecot gathers changes for half a second."""


class Believer:
    """A client that notes what it is told."""

    def __init__(self, port: int, user: str, password: str, *, notes: bool) -> None:
        self._notes = notes
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._rest = b""
        self.counts: dict[str, dict[str, int]] = {}
        self.names: dict[str, bool] = {}
        self.messages: list[tuple[int, frozenset[str]]] = []
        self._line(10)
        assert self.ask(f"LOGIN {user} {password}").startswith("OK")

    def _line(self, seconds: float) -> str | None:
        deadline = time.monotonic() + seconds
        while b"\r\n" not in self._rest:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                octets = self._socket.recv(65536)
            except TimeoutError:
                return None
            assert octets, "closed"
            self._rest += octets
        line, _, self._rest = self._rest.partition(b"\r\n")
        return line.decode()

    def ask(self, command: str) -> str:
        """Send a command, note what comes, and give the end."""
        self._socket.sendall(f"t {command}\r\n".encode())
        while True:
            line = self._line(10)
            assert line is not None
            if line.startswith("t "):
                return line[2:]
            self._note(line)

    def listen(self) -> None:
        """Note what comes by itself until nothing comes."""
        while (line := self._line(QUIET)) is not None:
            self._note(line)

    def _note(self, line: str) -> None:
        words = line.split()
        if not self._notes:
            return
        if words[1] == "STATUS":
            pairs = line.partition("(")[2].rstrip(")").split()
            known = {name: int(value) for name, value in zip(pairs[::2], pairs[1::2], strict=True)}
            wanted = {
                name: value for name, value in known.items() if name in ("MESSAGES", "UIDNEXT", "UNSEEN")
            }
            self.counts.setdefault(words[2].strip('"'), {}).update(wanted)
        elif words[1] == "LIST":
            found = re.match(r'\* LIST \((.*?)\) "." (\S+)(?: \("OLDNAME" \((\S+)\)\))?$', line)
            assert found, line
            attributes, name, old = found.groups()
            if old is not None:
                self.names.pop(old, None)
                self.counts[name] = self.counts.pop(old, {})
            self.names[name] = "\\Subscribed" in attributes
            if "\\NonExistent" in attributes:
                del self.names[name]
                self.counts.pop(name, None)
        elif words[-1] == "EXISTS":
            self.messages += [(0, frozenset())] * (int(words[1]) - len(self.messages))
        elif words[-1] == "EXPUNGE":
            del self.messages[int(words[1]) - 1]
        elif words[2:3] == ["FETCH"]:
            found = re.search(r"UID (\d+)", line)
            flags = re.search(r"FLAGS \(([^)]*)\)", line)
            assert flags, line
            place = int(words[1]) - 1
            # RFC 5465 §5.1 asks for the UID, which Dovecot leaves out where flags changed
            uid = self.messages[place][0] if found is None else int(found[1])
            self.messages[place] = (uid, frozenset(flags[1].split()) - {"\\Recent"})

    def state(self) -> object:
        """Everything that it believes of mailboxes of the test."""
        # We tell of an empty mailbox too, for its UIDVALIDITY.
        used = {name: counts for name, counts in self.counts.items() if counts.get("UIDNEXT", 1) > 1}
        ours = {name: counts for name, counts in used.items() if name.startswith("x")}
        names = {name: subscribed for name, subscribed in self.names.items() if name.startswith("x")}
        return copy.deepcopy((ours, names, self.messages))

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def pairs(dovecot: Dovecot, house: LocalHouse) -> Iterator[list[tuple[Believer, Believer]]]:
    """Of each server, who is told and who does something."""
    ours = house.ports["imap"]
    made = [
        (Believer(*login, notes=True), Believer(*login, notes=False))
        for login in ((dovecot.port, USER, PASSWORD), (ours, ALICE, ACCOUNTS[ALICE]))
    ]
    yield made
    for pair in made:
        for client in pair:
            client.close()


def append(mailbox: str, flags: str = "") -> str:
    return f"APPEND {mailbox} ({flags}) {{{len(NEWS)}+}}\r\n{NEWS}"


EVERY = "(MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange)"
RENAME = "RENAME xnew xold"
STEPS = (
    *(append("xa"), append("xa", "\\Seen"), append("INBOX"), append("xb"), "CREATE xnew", "SUBSCRIBE xnew"),
    *("UNSUBSCRIBE xnew", RENAME, append("xold"), "DELETE xold", "SUBSCRIBE xa"),
    *("SELECT INBOX", "STORE 1 +FLAGS (\\Flagged)", append("INBOX", "\\Seen"), "STORE 2 +FLAGS (\\Deleted)"),
    *(
        "EXPUNGE",
        "COPY 1 xb",
        "MOVE 1 xa",
        "SELECT xa",
        "STORE 1 +FLAGS (\\Seen)",
        "STORE 1:* +FLAGS (\\Deleted)",
    ),
    *("EXPUNGE", append("INBOX"), "UNSELECT", append("INBOX")),
)


def walk(port: int, user: str, password: str, selected: str) -> list[object]:
    """What is believed after each step at one server."""
    told, other = Believer(port, user, password, notes=True), Believer(port, user, password, notes=False)
    try:
        for name in ("xa", "xb"):
            assert other.ask(f"CREATE {name}").startswith("OK")
        assert told.ask("SELECT INBOX").startswith("OK")
        message = "(MessageNew (uid flags) MessageExpunge FlagChange)"
        wish = f"NOTIFY SET STATUS ({selected} {message}) (personal {EVERY})"
        assert told.ask(wish).startswith("OK")
        told.listen()  # Dovecot tells some once more
        told.names.clear()
        states = []
        for step in STEPS:
            assert other.ask(step).startswith("OK"), step
            if step is not RENAME:  # of which Dovecot hears with the next change only
                told.listen()
            if selected == "selected-delayed":
                assert told.ask("NOOP").startswith("OK")
            states.append(told.state())
        return states
    finally:
        told.close()
        other.close()


def test_both_tell_the_same(dovecot: Dovecot, house: LocalHouse) -> None:
    """With both wishes at once, each on an account of its own: the steps are mostly waiting for silence."""
    wishes = {"selected": (USER, ALICE), "selected-delayed": ("ben", BOB)}
    with ThreadPoolExecutor(2 * len(wishes)) as threads:
        walks = {
            wish: (
                threads.submit(walk, dovecot.port, there, PASSWORD, wish),
                threads.submit(walk, house.ports["imap"], here, ACCOUNTS[here], wish),
            )
            for wish, (there, here) in wishes.items()
        }
    for wish, (there, here) in walks.items():
        for step, theirs, ours in zip(STEPS, there.result(), here.result(), strict=True):
            assert ours == theirs or step is RENAME, (wish, step)


REFUSED = (
    *("NOTIFY", "NOTIFY SOME", "NOTIFY SET (selected (MessageNew))", "NOTIFY SET (selected (FlagChange))"),
    *("NOTIFY SET (personal ())", "NOTIFY SET (personal (MessageNew (uid) MessageExpunge))"),
    *(
        "NOTIFY SET (selected (AnnotationChange))",
        "NOTIFY SET (selected (MessageNew MessageExpunge AnnotationChange))",
    ),
    *(
        "NOTIFY SET (selected NONE) (selected-delayed NONE)",
        "NOTIFY NONE",
        "NOTIFY SET (mailboxes none NONE)",
    ),
)


def test_both_refuse_the_same(pairs: list[tuple[Believer, Believer]]) -> None:
    for command in REFUSED:
        theirs, ours = (told.ask(command).split()[0] for told, _ in pairs)
        assert ours == theirs, command


def test_none_is_silence_also_with_noop(pairs: list[tuple[Believer, Believer]]) -> None:
    for told, other in pairs:
        assert told.ask("SELECT INBOX").startswith("OK")
        assert told.ask("NOTIFY NONE").startswith("OK")
        before = list(told.messages)
        assert other.ask(append("INBOX")).startswith("OK")
        told.listen()
        assert told.ask("NOOP").startswith("OK")
        assert told.messages == before
