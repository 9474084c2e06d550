"""Imports and exports by the commands themselves: every form there and back, cut off and gone on with."""

from __future__ import annotations

import json
import mailbox
import os
import re
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from posthouse import limits
from posthouse.cli import main
from posthouse.operations.transfer import carry
from posthouse.operations.transfer.mbox import MboxSource
from posthouse.operations.transfer.model import FolderInfo, TransferFault

ALICE, BOB = "alice@north.test", "bob@north.test"
THEN = 1_000_000_000


class Shell:
    """Runs commands on one configuration, without a server."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "posthouse.toml"
        self.file.write_text('hostname = "mx.north.test"\n')
        self("domain", "add", "north.test")
        for address in (ALICE, BOB):
            self("account", "add", address, "--password", "secret")

    def __call__(self, *words: str, code: int = 0) -> str:
        done: Result = CliRunner().invoke(main, ["-c", str(self.file), *words])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, (words, done.output)
        return done.output

    def counts(self, address: str) -> dict[str, int]:
        """Mailbox → messages."""
        shown = json.loads(self("account", "show", address, "--json"))
        return {name: total for name, total, _ in shown["mailboxes"] if total}


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setattr(limits, "ARGON2_MEMORY", 8)
    monkeypatch.setattr(limits, "ARGON2_PASSES", 1)
    monkeypatch.setattr(limits, "SCRAM_ITERATIONS", 4096)
    return Shell(tmp_path)


MBOX = b"""\
From ann@far.test Sun Sep  9 01:46:40 2001
Subject: one
Status: RO
X-Status: AF
X-Keywords: work $Label1
X-IMAPbase: 77 20 work $Label1
X-UID: 5

First.
>From the beginning.
>>From deeper.

From bob@far.test Sun Sep  9 01:46:41 2001
Subject: two
X-UID: 9

From nobody: not a separator, it has no date
Second.
From here neither.

From nowhere Sun, 9 Sep 2001 01:46:42 +0000
Subject: three

Third.
"""


def read(place: Path) -> dict[str, list[bytes]]:
    """Mailbox → whole messages of an exported Maildir, in order of UID, by the standard library."""
    found = {"INBOX": place, **{path.name[1:]: path for path in sorted(place.glob(".*")) if path.is_dir()}}
    out = {}
    for name, path in found.items():
        files = sorted((path / "cur").iterdir(), key=lambda one: int(re.findall(r"U(\d+)\.", one.name)[0]))
        if files:
            out[name] = [one.read_bytes() for one in files]
    return out


def test_an_mbox_file_comes_with_flags_dates_and_uids(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "mail").write_bytes(MBOX)
    assert shell("import", str(tmp_path / "mail"), ALICE) == "INBOX: 3\nimported 3 messages\n"
    shell("export", ALICE, str(tmp_path / "out"))
    texts = read(tmp_path / "out")["INBOX"]
    assert texts[0] == b"Subject: one\n\nFirst.\nFrom the beginning.\n>From deeper.\n"
    assert texts[1].startswith(b"Subject: two\n\nFrom nobody:")
    assert texts[1].endswith(b"\nFrom here neither.\n")
    assert texts[2] == b"Subject: three\n\nThird.\n"
    names = sorted(path.name for path in (tmp_path / "out" / "cur").iterdir())
    assert [re.sub(r"^\d+\.", "", name) for name in names if "V77U5." in name] == ["V77U5.posthouse:2,FRSab"]
    assert any(name.startswith("1000000001.V77U9.") for name in names), "its date and its UID"
    assert (tmp_path / "out" / "dovecot-keywords").read_text().split() in (
        ["0", "work", "1", "$Label1"],
        ["0", "$Label1", "1", "work"],
    )
    assert (tmp_path / "out" / "dovecot-uidlist").read_text().startswith("3 V77 N11\n5 :")


def test_a_second_import_takes_only_what_is_new(shell: Shell, tmp_path: Path) -> None:
    place = tmp_path / "mail"
    place.write_bytes(MBOX)
    shell("import", str(place), ALICE)
    assert "imported 0 messages" in shell("import", str(place), ALICE)
    place.write_bytes(MBOX + b"\nFrom x Sun Sep  9 01:46:40 2001\nSubject: four\n\nFourth.\n")
    assert json.loads(shell("import", str(place), ALICE, "--json"))["imported"] == 1
    assert shell.counts(ALICE) == {"INBOX": 4}
    assert "imported 4" in shell("import", str(place), BOB), "another account has a memory of its own"


def test_equal_messages_are_two(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "mail").write_bytes(b"From x Sun Sep  9 01:46:40 2001\nSubject: s\n\nx\n\n" * 2)
    assert "imported 2" in shell("import", str(tmp_path / "mail"), ALICE)
    assert "imported 0" in shell("import", str(tmp_path / "mail"), ALICE)


def test_a_maildir_with_subfolders_in_both_layouts(shell: Shell, tmp_path: Path) -> None:
    top = mailbox.Maildir(tmp_path / "md", create=True)
    message = mailbox.MaildirMessage("Subject: hello\n\nHello.\n")
    message.set_flags("FS")
    message.set_subdir("cur")
    key = top.add(message)
    file = next((tmp_path / "md" / "cur").iterdir())
    os.utime(file, (THEN, THEN))
    (tmp_path / "md" / "dovecot-uidlist").write_text(f"3 V1234 N43 G00\n42 W10 :{key}\n")
    mailbox.Maildir(tmp_path / "md" / ".Work.&ZeVnLA-").add(b"Subject: deep\n\nx\n")
    mailbox.Maildir(tmp_path / "md" / "plain").add(b"Subject: plain\n\nx\n")
    assert "imported 3" in shell("import", str(tmp_path / "md"), ALICE)
    assert shell.counts(ALICE) == {"INBOX": 1, "Work/日本": 1, "plain": 1}
    shell("export", ALICE, str(tmp_path / "out"))
    (name,) = [path.name for path in (tmp_path / "out" / "cur").iterdir()]
    assert name == f"{THEN}.V1234U42.posthouse:2,FS"
    assert (tmp_path / "out" / ".Work.&ZeVnLA-" / "cur").is_dir()
    assert "imported 0" in shell("import", str(tmp_path / "md"), ALICE)


@pytest.mark.parametrize("form", ["maildir", "mbox"])
def test_an_export_imported_is_the_same_mailbox(shell: Shell, tmp_path: Path, form: str) -> None:
    (tmp_path / "mail").write_bytes(MBOX)
    shell("import", str(tmp_path / "mail"), ALICE)
    shell("import", str(tmp_path / "mail"), ALICE, "--into", "Old/2001")
    out = tmp_path / "out"
    assert "exported 6" in shell("export", ALICE, str(out), "--format", form)
    assert "exported 0" in shell("export", ALICE, str(out), "--format", form)
    assert "imported 6" in shell("import", str(out), BOB)
    for address in (ALICE, BOB):
        shell("export", address, str(tmp_path / address))
    assert read(tmp_path / ALICE) == read(tmp_path / BOB)

    def names(address: str) -> list[str]:
        return sorted(
            str(path.relative_to(tmp_path / address))
            for path in (tmp_path / address).rglob("*")
            if path.parent.name == "cur"
        )

    assert names(ALICE) == names(BOB), "UIDs, UIDVALIDITY, dates and flags"


def test_an_mbox_export_that_was_cut_off_goes_on(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = b"".join(b"From x Sun Sep  9 01:46:40 2001\nSubject: %d\n\nx\n\n" % n for n in range(20))
    (tmp_path / "mail").write_bytes(text)
    shell("import", str(tmp_path / "mail"), ALICE)
    monkeypatch.setattr(limits, "TRANSFER_OCTETS", 60)
    whole = carry._got

    def cut(*arguments: object) -> object:
        if cuts and arguments[3] > 5:  # type: ignore[operator]  # UIDs
            cuts.pop()
            raise KeyboardInterrupt
        return whole(*arguments)  # type: ignore[arg-type]

    cuts = [True]
    monkeypatch.setattr(carry, "_got", cut)
    out = tmp_path / "out"
    with pytest.raises((KeyboardInterrupt, AssertionError)):
        shell("export", ALICE, str(out), "--format", "mbox", "--folder", "INBOX")
    file = out / "INBOX.mbox"
    with file.open("ab") as half:
        half.write(b"From half a mess")
    shell("export", ALICE, str(out), "--format", "mbox", "--folder", "INBOX")
    assert [message["subject"] for message in mailbox.mbox(file)] == [str(n) for n in range(20)]


def test_an_import_that_was_cut_off_goes_on(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TRANSFER_OCTETS", 60)
    good = b"".join(b"From x Sun Sep  9 01:46:40 2001\nSubject: %d\n\nx\n\n" % n for n in range(20))
    (tmp_path / "mail").write_bytes(good)
    whole = MboxSource.messages

    def cut(self: MboxSource, folder: FolderInfo, known: object) -> object:
        for number, message in enumerate(whole(self, folder, known)):  # type: ignore[arg-type]
            if number == 9:
                raise TransferFault("the disk fell out")
            yield message

    with monkeypatch.context() as patch:
        patch.setattr(MboxSource, "messages", cut)
        assert "the disk fell out" in shell("import", str(tmp_path / "mail"), ALICE, code=1)
    there = shell.counts(ALICE)["INBOX"]
    assert 0 < there < 9
    assert f"imported {20 - there} messages" in shell("import", str(tmp_path / "mail"), ALICE)
    assert shell.counts(ALICE) == {"INBOX": 20}


def test_what_cannot_be_is_said(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("Dear Ann,\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "mail").write_bytes(MBOX)
    assert "does not begin with a From line" in shell("import", str(tmp_path / "letter"), ALICE, code=1)
    assert "no mbox file" in shell("import", str(tmp_path / "empty"), ALICE, code=1)
    assert "no Maildir" in shell("import", str(tmp_path / "empty"), ALICE, "--format", "maildir", code=1)
    assert "no such file" in shell("import", str(tmp_path / "nothing"), ALICE, code=2)
    assert "no account" in shell("import", str(tmp_path / "mail"), "x@north.test", code=1)
    assert "no account" in shell("export", "x@north.test", str(tmp_path / "out"), code=1)
    shell("account", "quota", ALICE, "100")
    assert "full" in shell("import", str(tmp_path / "mail"), ALICE, code=1)
    assert shell.counts(ALICE) == {}
    assert "imported 3" in shell("import", str(tmp_path / "mail"), ALICE, "--over-quota")


@pytest.mark.parametrize("name", ["../escape", "/etc", ".hidden/..", "a/../../b"])
def test_no_mailbox_name_leaves_the_folder(name: str, tmp_path: Path) -> None:
    from posthouse.operations.transfer.maildir import MaildirTarget
    from posthouse.operations.transfer.mbox import MboxTarget

    folder = FolderInfo(name=name, place=name, uid_validity=1, uid_next=2)
    for target in (MboxTarget(tmp_path / "in" / "mbox"), MaildirTarget(tmp_path / "in" / "maildir")):
        target.open(folder)
        target.close()
    made = list(tmp_path.rglob("*"))
    assert all(path.is_relative_to(tmp_path / "in") for path in made if path != tmp_path / "in")
    assert not (tmp_path.parent / "escape").exists()
    assert not list(Path("/etc").glob("*.mbox"))


@pytest.mark.slow
def test_many_messages_take_few_commits(shell: Shell, tmp_path: Path) -> None:
    text = b"".join(b"From x Sun Sep  9 01:46:40 2001\nSubject: %d\n\nx\n\n" % n for n in range(5_000))
    (tmp_path / "mail").write_bytes(text)
    began = time.process_time()
    assert "imported 5000" in shell("import", str(tmp_path / "mail"), ALICE)
    assert time.process_time() - began < 20
