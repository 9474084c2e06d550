"""Backup, restore and verify by the commands, without a server; `tests/app/test_backup.py` has one running."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import apsw
import pyotp
import pytest

from posthouse import limits
from posthouse.accounts.factors import Factors, is_second_factor
from posthouse.accounts.sieve_scripts import SieveScripts
from posthouse.cli.backup import copy_configuration
from posthouse.cli.session import Session
from posthouse.config import Config
from posthouse.errors import StoreUnavailable
from posthouse.house import House
from posthouse.operations.backup import Backups, read_manifest
from posthouse.operations.returning import Returning
from posthouse.store.credentials import AddCredential, Credential, CredentialKind
from posthouse.store.interface import PutItem
from posthouse.store.metadata import SetMetadata
from tests.kits.metadata import values_of
from tests.operations.shell import ALICE, BOB, Shell

LARGE = b"x" * 40_000


def fill(shell: Shell, tmp_path: Path, first: int = 0, count: int = 6, user: str = ALICE) -> None:
    """Messages small and large into INBOX and Work."""
    for name in ("INBOX", "Work"):
        text = b"".join(
            b"From x Sun Sep  9 01:46:40 2001\nMessage-ID: <%s.%d@x.test>\nSubject: %d\n\n%s\n\n"
            % (name.encode(), n, n, LARGE if n % 2 else b"small")
            for n in range(first, first + count)
        )
        place = tmp_path / f"mbox-{first}" / f"{name}.mbox"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(text)
    shell("import", str(tmp_path / f"mbox-{first}"), user)


def exported(shell: Shell, user: str, place: Path) -> dict[str, bytes]:
    """File name (with flags, UID and UIDVALIDITY) → message."""
    shell("export", user, str(place))
    return {
        str(path.relative_to(place)): path.read_bytes()
        for path in place.rglob("*")
        if path.parent.name == "cur"
    }


def contents(files: dict[str, bytes]) -> list[bytes]:
    return sorted(files.values())


def test_what_was_made_is_remembered(shell: Shell, tmp_path: Path) -> None:
    assert json.loads(shell("backup", "--json")) == []
    shell("backup", str(tmp_path / "one"))
    shell("backup", str(tmp_path / "two"))
    shell("backup", str(tmp_path / "one"))
    rows = json.loads(shell("backup", "--json"))
    assert sorted(row["folder"] for row in rows) == [str(tmp_path / "one"), str(tmp_path / "two")]
    assert {row["accounts"] for row in rows} == {2}


def test_everything_comes_back(shell: Shell, tmp_path: Path) -> None:
    fill(shell, tmp_path)
    shell("sendmail", "-f", ALICE, "x@far.test", text="Subject: out\n\nx\n")
    before = exported(shell, ALICE, tmp_path / "before")
    secret = (tmp_path / "data" / "login.key").read_bytes()
    folder = tmp_path / "backup"
    assert "were written now" in shell("backup", str(folder))
    assert (folder.stat().st_mode & 0o777, (folder / "posthouse.toml").read_text()) == (
        0o700,
        shell.file.read_text(),
    )
    assert shell("verify", "--backup", str(folder)).endswith("everything is as it should be\n")
    fill(shell, tmp_path, first=100)

    assert "is not empty" in shell("restore", str(folder), code=1)
    output = shell("restore", str(folder), "--replace")
    assert "2 accounts" in output
    assert "is held" in output
    after = exported(shell, ALICE, tmp_path / "after")
    assert contents(after) == contents(before)
    assert not set(after) & set(before), (
        "a new UIDVALIDITY everywhere: clients have seen UIDs given after the backup"
    )
    (row,) = json.loads(shell("queue", "list", "--json"))
    assert row["recipients"][0]["state"] == "held", "it may have been sent since"
    shell("queue", "release", "--all")
    assert (tmp_path / "data" / "login.key").read_bytes() == secret
    assert shell("verify").endswith("everything is as it should be\n")
    (aside,) = tmp_path.glob("data.before-*")
    assert (aside / "mail.db").exists(), "nothing is overwritten"

    shutil.rmtree(tmp_path / "data")
    shell("restore", str(folder), "--same")
    assert exported(shell, ALICE, tmp_path / "same") == before
    assert json.loads(shell("queue", "list", "--json"))[0]["recipients"][0]["state"] == "waiting"


def test_a_second_backup_writes_what_is_new(shell: Shell, tmp_path: Path) -> None:
    fill(shell, tmp_path, count=20)
    folder = tmp_path / "backup"
    shell("backup", str(folder))
    again = json.loads(shell("backup", str(folder), "--json"))
    segments = sum(path.stat().st_size for path in (folder / "blobs").iterdir())
    assert again["written"] == again["octets"] - segments, "only the database"
    assert segments > 20 * len(LARGE)
    fill(shell, tmp_path, first=100)
    shell("backup", str(folder))
    assert shell("verify", "--backup", str(folder)).endswith("everything is as it should be\n")


def test_a_backup_that_was_cut_off_leaves_the_one_before(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from posthouse.store.sqlite import backup

    fill(shell, tmp_path)
    folder = tmp_path / "backup"
    shell("backup", str(folder))
    before = exported(shell, ALICE, tmp_path / "before")
    fill(shell, tmp_path, first=100)
    shell("account", "remove", BOB, "--yes")
    with monkeypatch.context() as patch:
        patch.setattr(backup, "put_in_place", _full)
        assert "could not be made" in shell("backup", str(folder), code=1)
    assert shell("verify", "--backup", str(folder)).endswith("everything is as it should be\n")
    shutil.rmtree(tmp_path / "data")
    shell("restore", str(folder), "--same")
    assert exported(shell, ALICE, tmp_path / "after") == before
    assert BOB in shell("account", "list")


def test_a_backup_that_was_cut_off_at_its_files_can_be_restored(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, key = tmp_path / "backup", tmp_path / "data" / "login.key"
    secret = key.read_bytes()
    (tmp_path / "data" / "old.pem").write_text("old")
    shell("backup", str(folder))
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copy2", _full)
        shell("backup", str(folder), code=1)
    moved = tmp_path / "moved"
    (tmp_path / "data").rename(moved)
    shell("restore", str(folder), "--same")
    assert (key.read_bytes(), (tmp_path / "data" / "old.pem").read_text()) == (secret, "old")
    (tmp_path / "data" / "old.pem").unlink()
    shell("backup", str(folder))
    assert [path.name for path in (folder / "files").rglob("*.pem*") if path.name.startswith("old")] == []


def test_a_backup_counts_when_everything_of_it_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, place = tmp_path / "data", tmp_path / "backup"
    for name in ("login.key", "dkim/s1.pem"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(name)
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}").removeprefix(f"{place}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    backups = Backups(
        None,
        None,
        data=data,
        hostname="a.test",
        own=("mail.db",),
        now=lambda: 1.0,
        expected=True,  # type: ignore[arg-type]
    )
    place.mkdir()
    backups._finish(place, 1, 2)
    manifest = next(i for i, name in enumerate(synced) if ".backup.json." in name)
    for name in ("/files/login.key.part", "/files", "/files/dkim/s1.pem.part", "/files/dkim"):
        assert synced.index(name) < manifest, synced
    assert synced[manifest + 1] == "", "the folder that the manifest stands in"
    assert read_manifest(place).files == ("dkim/s1.pem", "login.key")


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_one_account_one_mailbox_one_message(shell: Shell, tmp_path: Path) -> None:
    fill(shell, tmp_path)
    before = exported(shell, ALICE, tmp_path / "before")
    folder = tmp_path / "backup"
    shell("backup", str(folder))

    shell("restore", str(folder), "--account", ALICE, "--message", "<Work.3@x.test>", "--to", BOB)
    assert next(iter(shell.counts(BOB))).startswith("Restored 20")
    assert list(shell.counts(BOB).values()) == [1]
    said = shell("restore", str(folder), "--account", ALICE, "--folder", "Work")
    assert said.startswith('below the mailbox "Restored 20')
    counts = shell.counts(ALICE)
    assert (counts.pop("INBOX"), counts.pop("Work")) == (6, 6), "what is there stays"
    assert list(counts.values()) == [6]
    words = ("restore", str(folder), "--account", ALICE, "--folder", "Work")
    assert "6 were taken before" in shell(*words)
    assert "restored 6" in shell(*words, "--again")

    shell("account", "remove", ALICE, "--yes")
    assert "restored 12 messages" in shell("restore", str(folder), "--account", ALICE)
    assert exported(shell, ALICE, tmp_path / "after") == before, "with UIDs, flags and dates"
    shown = json.loads(shell("account", "show", ALICE, "--json"))
    assert shown["address"] == ALICE


def test_an_account_comes_back_as_it_was(shell: Shell, tmp_path: Path) -> None:
    from posthouse.store.sqlite.archive import Archive

    shell("account", "set", ALICE, "--admin", "--name", 'Alice "A", B')
    shell("account", "quota", ALICE, "2GB")
    shell("account", "disable", ALICE)
    folder, again = tmp_path / "backup", tmp_path / "again"
    shell("backup", str(folder))
    shell("account", "remove", ALICE, "--yes")
    shell("restore", str(folder), "--account", ALICE)
    shell("backup", str(again))
    before, after = (Archive(place).account(ALICE) for place in (folder, again))
    assert before is not None and after is not None
    assert before.disabled
    assert before.scram
    for name in set(before.__struct_fields__) - {"account_id", "created_at"}:
        assert getattr(after, name) == getattr(before, name), name


async def _furnish_logins(tmp_path: Path) -> tuple[str, str]:
    """Give ALICE one of everything that logs in; (a code on paper, an app password)."""
    house = await House.open(Config(hostname="mx.north.test", data=tmp_path / "data"))
    try:
        account = await house.store.account(ALICE)
        assert account is not None
        factors = Factors(house.store)
        secret = (await factors.begin_totp(account)).secret
        codes = await factors.confirm_totp(account, pyotp.TOTP(secret).now())
        assert codes is not None
        for kind in (CredentialKind.PASSKEY, CredentialKind.TOKEN, CredentialKind.SESSION):
            for name, ends in (("good", 0), ("ended", 1)):
                await house.store.apply(
                    AddCredential(
                        account_id=account.account_id,
                        kind=kind,
                        key=b"\xff" + name.encode(),
                        data=b"{}",
                        created_at=1,
                        expires_at=ends,
                        most=9,
                    )
                )
        for number, octets in ((1, 10), (7, 200_000), (8, 200_000)):
            card = PutItem(
                account_id=account.account_id,
                kind="ContactCard",
                item_id=number,
                data=b"\xff" * octets,
                new=True,
            )
            await house.store.apply(card)
        scripts = SieveScripts(house.store, bytes.decode)
        await scripts.put(account.account_id, "rules", b"keep;")
        await scripts.activate(account.account_id, "rules")
        people = house.administration.run("app-password.add", {"address": ALICE, "name": "Phone"})
        (made,) = [item async for item in people]
    finally:
        await house.close()
    return codes[0], made["password"]


def test_an_account_comes_back_with_all_that_logs_it_in_but_browsers(shell: Shell, tmp_path: Path) -> None:
    code, app_password = asyncio.run(_furnish_logins(tmp_path))
    folder = tmp_path / "backup"
    shell("backup", str(folder))
    shell("account", "remove", ALICE, "--yes")
    said = shell("restore", str(folder), "--account", ALICE)
    assert (
        f"{ALICE} is back with its password, its second factor, 1 app password, 1 passkey, 1 token, as of"
        in said
    )

    async def look() -> None:
        house = await House.open(Config(hostname="mx.north.test", data=tmp_path / "data"))
        try:
            account = await house.store.account(ALICE)
            assert account is not None
            assert not account.disabled
            held = await house.store.credentials(account.account_id)
            assert any(map(is_second_factor, held)), "a password alone does not do"
            assert await Factors(house.store).check_code(account, code)
            assert sorted(each.kind.value for each in held) == ["passkey", "recovery", "token", "totp"]
            login = await house.directory.authenticate(ALICE, app_password, "")
            assert login.account.address == ALICE
            cards = await house.store.items(account.account_id, "ContactCard")
            assert [(card.item_id, len(card.data)) for card in cards] == [(1, 10), (7, 200_000), (8, 200_000)]
            scripts = SieveScripts(house.store, bytes.decode)
            assert await scripts.active(account.account_id) == "keep;"
            await scripts.put(account.account_id, "more", b"stop;")
        finally:
            await house.close()

    asyncio.run(look())
    assert "is back" not in shell("restore", str(folder), "--account", ALICE), "what is there stays as it is"


def test_what_programs_noted_of_mailboxes_comes_back_with_the_account(shell: Shell, tmp_path: Path) -> None:
    values = {"/private/comment": b"\xff\0", "/shared/vendor/a/b": b""}

    async def at(house: House, name: str) -> tuple[int, int]:
        account = await house.store.account(ALICE)
        assert account is not None
        mailbox = await house.store.mailbox(account.account_id, name) if name else None
        return account.account_id, 0 if mailbox is None else mailbox.mailbox_id

    async def note() -> None:
        house = await House.open(Config(hostname="mx.north.test", data=tmp_path / "data"))
        for name in ("Work", ""):
            account_id, number = await at(house, name)
            await house.store.apply(SetMetadata(account_id=account_id, mailbox_id=number, values={**values}))
        await house.close()

    async def look() -> None:
        house = await House.open(Config(hostname="mx.north.test", data=tmp_path / "data"))
        for name in ("Work", ""):
            assert await values_of(house.store, *await at(house, name)) == values
        await house.close()

    asyncio.run(note())
    folder = tmp_path / "backup"
    shell("backup", str(folder))
    shell("account", "remove", ALICE, "--yes")
    shell("restore", str(folder), "--account", ALICE)
    asyncio.run(look())


def test_an_account_whose_second_factor_cannot_come_back_does_not_come_back_without(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(_furnish_logins(tmp_path))
    folder = tmp_path / "backup"
    shell("backup", str(folder))
    shell("account", "remove", ALICE, "--yes")
    seen: list[bool] = []

    async def fails(self: Returning, _credential: Credential) -> bool:
        account = await self._store.account(ALICE)
        assert account is not None
        seen.append(account.disabled)
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(Returning, "_taken", fails)
    shell("restore", str(folder), "--account", ALICE, code=1)
    assert seen == [True], "meanwhile nobody gets in"
    assert ALICE not in shell("account", "list")


def test_an_account_whose_return_is_broken_off_does_not_stay_by_half(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next time it would be taken for one that is there, and never be let in again."""
    asyncio.run(_furnish_logins(tmp_path))
    folder = tmp_path / "backup"
    shell("backup", str(folder))
    shell("account", "remove", ALICE, "--yes")
    one = Session.one

    def cut_off(self: Session, command: str, body: bytes = b"", **arguments: Any) -> Any:
        if command == "account.return":
            raise KeyboardInterrupt
        return one(self, command, body, **arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Session, "one", cut_off)
        shell("restore", str(folder), "--account", ALICE, code=1)
    assert ALICE not in shell("account", "list")
    assert f"{ALICE} is back with its password" in shell("restore", str(folder), "--account", ALICE)


def test_what_cannot_be_is_said(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    shell("backup", str(folder))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter").touch()
    assert "is not empty and no backup" in shell("backup", str(tmp_path / "other"), code=1)
    assert "no backup there" in shell("restore", str(tmp_path / "other"), "--replace", code=1)
    assert "in the data folder" in shell("backup", str(tmp_path / "data" / "backup"), code=1)
    assert "no account" in shell("restore", str(folder), "--account", "x@north.test", code=1)
    shell("account", "remove", ALICE, "--yes")
    words = ("restore", str(folder), "--account", ALICE)
    assert "no mailbox Wrok there" in shell(*words, "--folder", "Wrok", code=1)
    assert ALICE not in shell("account", "list"), "nothing is made for a wrong name"
    shell(*words, "--folder", "INBOX")
    assert "add it first" in shell("restore", str(folder), "--account", ALICE, "--to", "x@north.test", code=2)
    shell("restore", str(folder), "--message", "<x@y>", code=2)
    shell("restore", str(folder), "--account", ALICE, "--same", code=2)
    shell("verify", "--fix", "--backup", str(folder), code=2)
    manifest = (folder / "backup.json").read_text()
    for name in ("../escape", "/etc/escape", "tls/../../escape"):
        (folder / "backup.json").write_text(manifest.replace('"login.key"', f'"{name}"'))
        assert "out of the data folder" in shell("restore", str(folder), "--replace", code=1)
    (folder / "backup.json").unlink()
    assert "never finished" in shell("restore", str(folder), "--replace", code=1)


# --- verify -------------------------------------------------------------------------------------------------


def break_it(tmp_path: Path, *statements: str) -> None:
    db = apsw.Connection(str(tmp_path / "data" / "mail.db"))
    for statement in statements:
        db.execute(statement)
    db.close()


@pytest.mark.parametrize(
    ("kind", "statement"),
    [
        ("wrong counts", "UPDATE mailbox SET total = total + 3, size = 7 WHERE name = 'INBOX'"),
        ("email in no mailbox", "DELETE FROM placement WHERE uid = 2"),
        ("placement without email", "DELETE FROM email WHERE email_id = (SELECT min(email_id) FROM email)"),
        ("wrong owners of bytes", "INSERT INTO blob_share SELECT min(blob_id), 7 FROM blob"),
        (
            "destination that the queue has forgotten",
            "DELETE FROM queue_destination",
        ),
    ],
)
def test_what_can_be_mended_is(shell: Shell, tmp_path: Path, kind: str, statement: str) -> None:
    fill(shell, tmp_path)
    shell("sendmail", "-f", ALICE, "x@far.test", text="Subject: out\n\nx\n")
    assert shell("verify", "--json") == "[]\n"
    break_it(tmp_path, statement)
    assert kind in shell("verify", code=1)
    fixed = shell("verify", "--fix", code=1 if kind == "placement without email" else 0)
    assert f"✓ {kind}" in fixed
    left = json.loads(shell("verify", "--json", code=1 if kind == "placement without email" else 0))
    assert [flaw["kind"] for flaw in left] == (
        ["bytes that nobody has"] if kind == "placement without email" else []
    )
    shown = json.loads(shell("account", "show", ALICE, "--json"))
    assert sum(total for _, total, _ in shown["mailboxes"]) == shown["messages"]


def test_damaged_bytes_are_named_and_harm_nobody_else(shell: Shell, tmp_path: Path) -> None:
    fill(shell, tmp_path)
    folder = tmp_path / "backup"
    shell("backup", str(folder))
    for blobs in (tmp_path / "data" / "blobs", folder / "blobs"):
        (segment,) = blobs.glob("*.seg")
        raw = bytearray(segment.read_bytes())
        raw[1000] ^= 1
        segment.write_bytes(raw)
    (flaw,) = json.loads(shell("verify", "--json", code=1))
    assert flaw["kind"] == "damaged message"
    assert flaw["what"].startswith(f"{ALICE} INBOX uid 2: the bytes are not those")
    (flaw,) = json.loads(shell("verify", "--fix", "--json", code=1))
    assert flaw["mended"] is False
    (flaw,) = json.loads(shell("verify", "--backup", str(folder), "--json", code=1))
    assert "not those that were stored" in flaw["what"]
    said = shell("restore", str(folder), "--account", ALICE, "--to", BOB, "--in-place", code=1)
    assert "left out: INBOX uid 2: the bytes are not those" in said
    assert shell.counts(BOB) == {"INBOX": 5, "Work": 6}, "damage is not passed on"


@pytest.mark.parametrize("form", ["maildir", "mbox"])
@pytest.mark.parametrize(
    ("uid", "reason"),
    [(2, "the bytes are not those that were stored"), (6, "the bytes are not those that were stored")],
)
def test_an_export_leaves_out_what_is_damaged_and_says_so(
    shell: Shell, tmp_path: Path, form: str, uid: int, reason: str
) -> None:
    fill(shell, tmp_path)
    (segment,) = (tmp_path / "data" / "blobs").glob("*.seg")
    raw = bytearray(segment.read_bytes())
    raw[1000 + (uid // 2 - 1) * (len(LARGE) + 100)] ^= 1
    segment.write_bytes(raw)
    whole = tmp_path / "out"
    said = shell("export", ALICE, str(whole), "--format", form, code=1)
    assert f"left out: INBOX uid {uid}: {reason}" in said
    assert "INBOX: 5" in said
    assert "exported 11 messages" in said, "the rest is exported"
    assert shell("import", str(whole), BOB).endswith("imported 11 messages\n")
    assert shell.counts(BOB) == {"INBOX": 5, "Work": 6}


def test_an_export_names_messages_whose_segment_or_email_is_gone(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(shell, tmp_path)
    (segment,) = (tmp_path / "data" / "blobs").glob("*.seg")
    segment.unlink()
    db = apsw.Connection(str(tmp_path / "data" / "mail.db"))
    db.execute("DELETE FROM email WHERE email_id = (SELECT email_id FROM placement WHERE uid = 1 LIMIT 1)")
    db.close()
    monkeypatch.setattr(limits, "TRANSFER_BATCH", 1)  # a batch with nothing to give is not the end
    said = shell("export", ALICE, str(tmp_path / "out"), code=1)
    assert "exported 5 messages" in said
    assert "left out: INBOX uid 1: only its place in the mailbox is left" in said
    assert all(f"left out: {name} uid {uid}: " in said for name in ("INBOX", "Work") for uid in (2, 4, 6))


def test_a_copy_of_the_configuration_that_was_cut_off_is_no_hindrance(shell: Shell, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    shell("backup", str(backup))
    (backup / ".posthouse.toml.4711").write_text("host")  # what a command that was killed leaves
    shell("backup", str(backup))
    assert (backup / "posthouse.toml").read_bytes() == shell.file.read_bytes()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give the command for somebody else")
def test_what_root_copies_its_owner_can_renew(tmp_path: Path) -> None:
    """docs/install.md: root makes a backup before an upgrade, the house's own user one every night."""
    made = tmp_path / "backup"
    made.mkdir()
    os.chown(made, 12_345, 12_345)
    configuration = tmp_path / "posthouse.toml"
    configuration.write_text('hostname = "mx.north.test"\n')
    copy_configuration(configuration, made)
    copy = (made / "posthouse.toml").stat()
    assert (copy.st_uid, copy.st_gid, stat.S_IMODE(copy.st_mode)) == (12_345, 12_345, 0o600)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give the command for somebody else")
def test_what_root_restores_on_a_new_machine_is_its_owners(shell: Shell, tmp_path: Path) -> None:
    """The folder of the house is there, as docs/install.md makes it; that of its data is not."""
    backup, house = tmp_path / "backup", tmp_path / "srv"
    shell("backup", str(backup))
    house.mkdir()
    os.chown(house, 12_345, 12_345)
    shell.file = house / "posthouse.toml"
    shutil.copy(backup / "posthouse.toml", shell.file)
    shell("restore", str(backup))
    places = [house / "data", *(house / "data").rglob("*")]
    assert {place.lstat().st_uid for place in places} == {12_345}
