"""Pigeonhole, Dovecot's Sieve: what its `sieve-test` would do with a message, and the same of ours, in the same words.

`Pigeonhole.does` runs a process for each script, `ours` runs `posthouse/sieve`; both give a `Done`, whose actions are
lines as a person would write them, so that a difference can be read.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from posthouse.message.headers import Headers
from posthouse.sieve.actions import Action, Discard, FileInto, Keep, Notify, Redirect, Reject, Vacation
from posthouse.sieve.facts import Facts
from posthouse.sieve.faults import SieveError
from posthouse.sieve.questions import MailboxExists, Question
from posthouse.sieve.run import run
from posthouse.sieve.validate import compile_script

SENDER, RECIPIENT = "coyote@desert.example.org", "roadrunner+news@acme.example.com"
_MORE: Final = ["editheader", "vacation-seconds", "spamtest", "spamtestplus", "virustest", "special-use"]
EXTENSIONS: Final = " ".join(f"+{name}" for name in [*_MORE, "mboxmetadata", "servermetadata"])
"""What Pigeonhole has, but offers only when told to."""

CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = /dev/stderr
mail_location = maildir:{folder}/mail
mail_home = {folder}
first_valid_uid = 1
first_valid_gid = 1
{owner}
plugin {{
  recipient_delimiter = +
  sieve_max_redirects = 5
  sieve_vacation_min_period = 0
  sieve_vacation_max_period = 90d
}}
"""
_ACTION: Final = re.compile(r"^ \* (.*)\n((?:(?! \* |\Z).*\n?)*)", re.MULTILINE)
_FLAGS: Final = re.compile(r"add IMAP flags: (.*)")
_REASON: Final = re.compile(r"START MESSAGE\n(.*)\nEND MESSAGE", re.DOTALL)


class Done(msgspec.Struct, frozen=True):
    """What came of a script."""

    actions: tuple[str, ...] = ()
    """The implicit keep among them. In no order: only copies in one mailbox depend on it."""
    fault: bool = False
    """It failed while it ran, so the message is kept."""
    refused: bool = False
    """It is no script."""
    died: bool = False
    """The program ended by a signal."""
    words: str = ""
    """What was said of that; not compared."""

    def same(self, other: Done) -> bool:
        """Whether both did the same."""
        return msgspec.structs.replace(self, words="") == msgspec.structs.replace(other, words="")


class Pigeonhole:
    """`sieve-test` with a configuration of its own."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._config = folder / "dovecot.conf"
        owner = "mail_uid = nobody\nmail_gid = nogroup" if os.geteuid() == 0 else ""
        self._config.write_text(CONFIG.format(folder=folder, owner=owner))
        folder.chmod(0o777)  # it works as somebody else when it is started as root

    def does(self, script: str, message: bytes, sender: str = SENDER) -> Done:
        """What it makes of a script."""
        (self._folder / "script.sieve").write_bytes(script.encode())
        (self._folder / "message").write_bytes(message)
        ended = subprocess.run(
            [
                self._program,
                *("-C", "-c", str(self._config), "-x", EXTENSIONS),
                *("-f", sender, "-a", RECIPIENT, "-r", RECIPIENT),
                *("script.sieve", "message"),
            ],
            cwd=self._folder,
            capture_output=True,
            timeout=20,
            env={"PATH": os.environ.get("PATH", ""), "TZ": "UTC"},
            check=False,
        )
        if ended.returncode < 0:
            return Done(died=True)
        said = ended.stderr.decode(errors="replace")
        assert "ermission" not in said, said
        if "failed to compile" in said:
            return Done(refused=True, words=said)
        if "final result: failed" in said:
            return Done(actions=("file INBOX",), fault=True, words=said)
        assert ended.returncode == 0 and "final result: success" in said, (ended, script)
        performed, implied = ended.stdout.decode(errors="replace").split("\nImplicit keep:\n")
        found = _ACTION.findall(performed + "\n") + _ACTION.findall(implied)
        return Done(tuple(sorted(_line(*each) for each in found)))


def _line(action: str, details: str) -> str:
    if action.startswith("store message in folder: "):
        flags = _FLAGS.search(details)
        return _file(action.removeprefix("store message in folder: "), flags[1].split() if flags else ())
    if action.startswith("redirect message to: "):
        return f"redirect {action.removeprefix('redirect message to: ').strip('<>')}"
    if action.startswith("reject message with reason: "):
        return f"reject {action.removeprefix('reject message with reason: ').strip()}"
    if action == "send vacation message:":
        reason = _REASON.search(details)
        assert reason is not None, details
        return (
            f"vacation {_detail(details, 'seconds')} {_detail(details, 'from')} "
            f"{_detail(details, 'subject')}: {reason[1]}"
        )
    if action.startswith("send notification"):
        return f"notify {_detail(details, 'importance')} {_detail(details, 'from')} {_detail(details, 'subject')}"
    return action


def _detail(details: str, name: str) -> str:
    found = re.search(rf"=> {name} *: (.*)", details)
    return found[1] if found else "-"


def _file(mailbox: str, flags: Any) -> str:
    shown = sorted({flag.lower() for flag in flags})
    return f"file {mailbox}" + (f" ({' '.join(shown)})" if shown else "")


MAILBOXES: Final = frozenset({"INBOX"})
"""What the account of `sieve-test` has."""


def ours(script: str, message: bytes, sender: str = SENDER, **facts: Any) -> Done:
    """What posthouse/sieve makes of it."""
    try:
        compiled = compile_script(script.encode())
    except SieveError as error:
        return Done(refused=True, words=error.public)
    known: Mapping[str, Any] = {
        "sender": sender,
        "recipient": RECIPIENT,
        "address": RECIPIENT,
        "now": time.time(),
        **facts,
    }
    running = run(compiled, Facts(headers=Headers.scan(message), content=message, size=len(message), **known))
    try:
        question = next(running)
        while True:
            question = running.send(_answer(question))
    except StopIteration as end:
        outcome = end.value
    return Done(_delivered(outcome.actions), fault=bool(outcome.fault), words=outcome.fault)


def _delivered(actions: Iterable[Action]) -> tuple[str, ...]:
    """What delivery makes of actions: the inbox has several names, and is filed into once, with the last flags."""
    lines: dict[str, str] = {}
    for action in actions:
        line = _ours(action)
        inbox = isinstance(action, Keep) or (
            isinstance(action, FileInto) and action.mailbox.upper() == "INBOX"
        )
        lines["INBOX" if inbox else line] = line
    return tuple(sorted(lines.values()))


def _answer(question: Question) -> object:
    if isinstance(question, MailboxExists):
        return question.name.upper() in MAILBOXES
    return None


def _ours(action: Action) -> str:
    match action:
        case Keep(flags=flags):
            return _file("INBOX", flags)
        case FileInto(mailbox=mailbox, flags=flags):
            return _file("INBOX" if mailbox.upper() == "INBOX" else mailbox, flags)
        case Redirect(address=address):
            return f"redirect {address}"
        case Reject(reason=reason):
            return f"reject {reason.strip()}"
        case Vacation(seconds=seconds, from_address=from_address, subject=subject, reason=reason):
            return f"vacation {seconds} {from_address or '-'} {subject or '-'}: {reason}"
        case Notify(importance=importance, from_address=from_address, message=message):
            return f"notify {importance} {from_address or '-'} {message or '-'}"
        case Discard():
            return "discard"
    raise AssertionError(action)
