"""Imports and exports by the commands themselves: every form there and back, cut off and gone on with."""

from __future__ import annotations

import json
import mailbox
import os
import re
import socket
import threading
import time
from pathlib import Path

import pytest

from posthouse import limits
from posthouse.operations.transfer import carry
from posthouse.operations.transfer.mbox import MboxSource
from posthouse.operations.transfer.model import FolderInfo, TransferFault
from tests.machine import slowness
from tests.operations.shell import ALICE, BOB, Shell

THEN = 1_000_000_000


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
    assert shell("import", str(place), ALICE) == "INBOX: 0 (3 were taken before)\nimported 0 messages\n"
    place.write_bytes(MBOX + b"\nFrom x Sun Sep  9 01:46:40 2001\nSubject: four\n\nFourth.\n")
    assert json.loads(shell("import", str(place), ALICE, "--json"))["imported"] == 1
    assert shell.counts(ALICE) == {"INBOX": 4}
    assert "imported 4" in shell("import", str(place), ALICE, "--again", "--into", "Once more")
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
    said = shell("import", str(tmp_path / "mail"), ALICE, "--folder", "Wrok", code=1)
    assert "no mailbox Wrok there, but: INBOX" in said
    said = shell("export", ALICE, str(tmp_path / "out"), "--folder", "Wrok", code=1)
    assert "no mailbox Wrok there, but: Archive, Drafts, INBOX" in said
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
    assert time.process_time() - began < 20 * slowness()


# --- bad input ----------------------------------------------------------------------------------------------


def test_links_and_pipes_are_no_messages(shell: Shell, tmp_path: Path) -> None:
    """Root imports what users have laid out: nothing that they may not read comes to them by it."""
    secret = tmp_path / "secret"
    secret.write_bytes(MBOX)
    maildir = tmp_path / "md"
    mailbox.Maildir(maildir, create=True).add(b"Subject: real\n\nx\n")
    (maildir / "cur" / "link").symlink_to(secret)
    os.mkfifo(maildir / "cur" / "pipe")
    (maildir / "cur" / "folder").mkdir()
    assert "imported 1 messages" in shell("import", str(maildir), ALICE)
    boxes = tmp_path / "boxes"
    boxes.mkdir()
    (boxes / "link.mbox").symlink_to(secret)
    os.mkfifo(boxes / "pipe.mbox")
    (boxes / "real.mbox").write_bytes(MBOX)
    assert "imported 3 messages" in shell("import", str(boxes), ALICE)
    assert shell.counts(ALICE) == {"INBOX": 1, "real": 3}


def test_an_export_follows_no_links(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "mail").write_bytes(MBOX)
    shell("import", str(tmp_path / "mail"), ALICE)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "INBOX.mbox").symlink_to(victim)
    shell("export", ALICE, str(tmp_path / "out"), "--format", "mbox", code=1)
    assert victim.read_text() == "precious"


def test_names_and_keywords_that_imap_cannot_show(shell: Shell, tmp_path: Path) -> None:
    place = tmp_path / "boxes"
    for name in ("a*b%c", "tab\there", "inbox"):
        (place / "deep").mkdir(parents=True, exist_ok=True)
        (place / "deep" / f"{name}.mbox").write_bytes(
            MBOX.replace(b"$Label1\nX-IM", b'x"y)(\\z {1} \xff\nX-IM')
        )
    assert "imported 9" in shell("import", str(place), ALICE)
    assert set(shell.counts(ALICE)) == {"deep/a_b_c", "deep/tab_here", "deep/inbox"}
    shell("export", ALICE, str(tmp_path / "out"), "--folder", "deep/a_b_c")
    keywords = (tmp_path / "out" / ".deep.a_b_c" / "dovecot-keywords").read_text()
    assert "x_y___z" in keywords
    assert not set('"()\\{') & set(keywords)


def test_names_that_are_no_text_keep_no_mail_out(shell: Shell, tmp_path: Path) -> None:
    """Folders of twenty years ago have names in Latin-1."""
    for number, name in enumerate((b".Entw\xfcrfe", b"Gesch\xe4ft")):
        folder = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path / "md"), name)))
        for part in ("cur", "new", "tmp"):
            (folder / part).mkdir(parents=True)
        (folder / "cur" / f"{number}.\udcff:2,S").write_bytes(b"Subject: %d\n\nx\n" % number)
    assert "imported 2 messages" in shell("import", str(tmp_path / "md"), ALICE)
    assert "imported 0 messages" in shell("import", str(tmp_path / "md"), ALICE)
    assert shell.counts(ALICE) == {"Entw_rfe": 1, "Gesch_ft": 1}
    files = tmp_path / "files"
    files.mkdir()
    Path(os.fsdecode(os.path.join(os.fsencode(files), b"Gesch\xe4ft.mbox"))).write_bytes(MBOX)
    assert "imported 3 messages" in shell("import", str(files), BOB)
    assert shell.counts(BOB) == {"Gesch_ft": 3}


def test_more_keywords_than_there_is_room_for(shell: Shell, tmp_path: Path) -> None:
    text = b"".join(
        b"From x Sun Sep  9 01:46:40 2001\nX-Keywords: %s\nSubject: s\n\n%d\n\n"
        % (b" ".join(b"k%d" % (n * 20 + i) for i in range(20)), n)
        for n in range(5)
    )
    (tmp_path / "mail").write_bytes(text)
    assert "imported 5" in shell("import", str(tmp_path / "mail"), ALICE)


@pytest.mark.parametrize(
    "raw",
    [
        b"From x 01:00\n",
        b"From x 01:00\n\n\n\n",
        b"From x 01:00\n\0\0\0\n\n\xff\xfe\n",
        b"From x 01:00\nStatus: R\nStatus: O\n x\n y\nX-UID: 99999999999999999999\nX-IMAPbase: -1 z\n\nx",
        b"From x 01:00\r\nSubject: dos\r\n\r\nx\r\n\r\nFrom y 02:00\r\nSubject: two\r\n\r\ny\r\n",
        b"From x 99:99:99 0\nX-UID: 4294967295\nX-IMAPbase: 4294967296 1\n\n" + b"y" * 100_000,
        b"From x 01:00\n" + b"X: y\n" * 20_000 + b"\n",
    ],
)
def test_odd_mbox_files_are_read_or_refused(shell: Shell, tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "mail").write_bytes(raw)
    assert "imported" in shell("import", str(tmp_path / "mail"), ALICE)
    shell("export", ALICE, str(tmp_path / "out"))
    assert shell("verify", "--json") == "[]\n"


def test_a_broken_batch_is_refused_whole(shell: Shell) -> None:
    from posthouse.cli.session import Session

    session = Session(str(shell.file))
    good = {"octets": 3, "received_at": 0, "mark": "00" * 16}
    for message in (
        {**good, "octets": 4},
        {**good, "mark": "zz"},
        {**good, "octets": -3},
        {**good, "received_at": 2**70},
        {**good, "uid": "x"},
        {**good, "more": 1},
    ):
        with pytest.raises(ValueError, match=r"transfer.put|the body|hexadecimal"):
            session.one("transfer.put", b"abc", address=ALICE, folder="INBOX", messages=[message])
    with pytest.raises(ValueError, match="level"):
        session.one("transfer.put", b"abc", address=ALICE, folder="//", messages=[good])
    assert shell.counts(ALICE) == {}


def test_an_exported_file_that_is_gone_is_written_again(shell: Shell, tmp_path: Path) -> None:
    source, out = tmp_path / "in.mbox", tmp_path / "out"
    source.write_bytes(MBOX)
    shell("import", str(source), ALICE)
    words = ("export", ALICE, str(out), "--format", "mbox")
    assert "exported 3 messages" in shell(*words)
    whole = (out / "INBOX.mbox").read_bytes()
    (out / "INBOX.mbox").unlink()
    assert "exported 3 messages" in shell(*words)
    assert (out / "INBOX.mbox").read_bytes() == whole
    (out / "INBOX.mbox").write_bytes(whole[:100])
    shell(*words)
    assert (out / "INBOX.mbox").read_bytes() == whole
    assert "exported 0 messages" in shell(*words)


@pytest.mark.parametrize(("form", "names"), [("maildir", ("a.b", "a_b")), ("mbox", (".x", "_.x"))])
def test_two_mailboxes_of_one_name_elsewhere_are_not_mixed(
    shell: Shell, tmp_path: Path, form: str, names: tuple[str, str]
) -> None:
    for name, subject in zip(names, (b"one", b"other"), strict=True):
        (tmp_path / "in.mbox").write_bytes(b"From x Sun Sep  9 01:46:40 2001\nSubject: %b\n\nx\n" % subject)
        shell("import", str(tmp_path / "in.mbox"), ALICE, "--into", name)
    out = tmp_path / "out"
    for _ in range(2):
        said = shell("export", ALICE, str(out), "--format", form, code=1)
        (left,) = [line for line in said.splitlines() if line.startswith("left out")]
        assert all(name in left for name in names)
        assert "Trash: 0" in said, "the others are exported"
        text = b"".join(path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file())
        assert (text.count(b"Subject: one"), text.count(b"Subject: other")) == (1, 0)
    shell("export", ALICE, str(tmp_path / "more"), "--format", form, "--folder", names[1])


@pytest.mark.parametrize("text", ["[]", '{"INBOX": 5}', '{"INBOX": [1, 2, "x"]}', "no json", ""])
def test_an_export_whose_notes_are_broken_says_so(shell: Shell, tmp_path: Path, text: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".posthouse-export.json").write_text(text)
    said = shell("export", ALICE, str(tmp_path / "out"), "--format", "mbox", code=1)
    assert ".posthouse-export.json" in said


class HalfServer:
    """An IMAP server with three messages, of which it gives only the first: one is NIL, one it says nothing of."""

    ANSWERS = (
        (b"CAPABILITY", b"* CAPABILITY IMAP4rev1\r\n"),
        (b"LIST", b'* LIST () "/" INBOX\r\n'),
        (b"EXAMINE", b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n"),
        (b"SEARCH", b"* SEARCH 1 2 3\r\n"),
        (b"RFC822.SIZE", b"".join(b"* %d FETCH (UID %d RFC822.SIZE 16)\r\n" % (n, n) for n in (1, 2, 3))),
        (
            b"BODY.PEEK",
            b"* 1 FETCH (UID 1 FLAGS () BODY[] {16}\r\nSubject: x\r\n\r\nx\n)\r\n"
            b"* 2 FETCH (UID 2 FLAGS () BODY[] NIL)\r\n",
        ),
    )

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(10)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        connection, _ = self.listener.accept()
        with connection, connection.makefile("rwb") as file:
            file.write(b"* OK ready\r\n")
            file.flush()
            for line in file:
                tag = line.split()[0]
                said = next((answer for word, answer in self.ANSWERS if word in line), b"")
                file.write(said + tag + b" OK done\r\n")
                file.flush()

    @property
    def place(self) -> str:
        return f"imap://me@127.0.0.1:{self.listener.getsockname()[1]}"

    def stop(self) -> None:
        self.thread.join(10)
        self.listener.close()


def test_what_a_server_does_not_give_is_said(shell: Shell) -> None:
    server = HalfServer()
    try:
        said = shell("import", server.place, ALICE, "--password-stdin", text="x\n", code=1)
    finally:
        server.stop()
    assert "imported 1 messages" in said
    assert [line for line in said.splitlines() if line.startswith("left out")] == [
        f"left out: INBOX uid {uid}: the server does not give it" for uid in (2, 3)
    ]
