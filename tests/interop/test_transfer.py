"""Imports from and exports to an IMAP server, with both houses open to the network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.dovecot import PASSWORD, USER, Dovecot, facts_of
from tests.interop.local import ACCOUNTS, LocalHouse

pytestmark = [pytest.mark.slow]
ALICE, BOB = ACCOUNTS
COUNT = 30


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalHouse, LocalHouse]]:
    """The old provider, with alice's mail, and the new one."""
    made = [LocalHouse(tmp_path_factory.mktemp(name)) for name in ("old", "new")]
    for house in made:
        house.configure()
        house.start()
    client = made[0].imap(ALICE)
    client.create('"Work/&ZeVnLA-"')
    for number in range(COUNT):
        text = f"Subject: {number}\r\n\r\nText.\r\n".encode()
        flags = "(\\Seen $Label1)" if number % 2 else "(\\Flagged)"
        client.append("INBOX", flags, f'" 9-Sep-2001 01:46:{number:02} +0000"', text)
    client.append("Sent", "", '" 9-Sep-2001 01:46:40 +0000"', b"Subject: sent\r\n\r\nx\r\n")
    client.append(
        '"Work/&ZeVnLA-"', "", '" 9-Sep-2001 01:46:40 +0000"', b"Subject: " + b"x" * 100_000 + b"\r\n\r\n"
    )
    client.select("INBOX")
    client.store("3", "+FLAGS", "(\\Deleted)")
    client.expunge()
    client.logout()
    yield made[0], made[1]
    for house in made:
        house.stop()


def shown(house: LocalHouse, user: str) -> dict[str, list[object]]:
    """Mailbox → UIDVALIDITY, and all facts of its messages."""
    client = house.imap(user)
    found: dict[str, list[object]] = {}
    for name in ("INBOX", "Sent", '"Work/&ZeVnLA-"'):
        kind, count = client.select(name, readonly=True)
        if kind != "OK" or count == [b"0"]:
            continue
        facts = client.fetch("1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")[1]
        validity = client.response("UIDVALIDITY")[1]
        found[name] = [validity, sorted(map(str, facts))]
    client.logout()
    return found


def url(house: LocalHouse, user: str) -> str:
    return f"imap://{user.replace('@', '%40')}@127.0.0.1:{house.ports['imap']}"


def test_everything_comes_over_with_its_uids(houses: tuple[LocalHouse, LocalHouse]) -> None:
    old, new = houses
    words = ("import", url(old, ALICE), ALICE, "--password-stdin", "--insecure", "--json")
    done = new.command(*words, text=ACCOUNTS[ALICE] + "\n")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["imported"] == COUNT + 1
    assert shown(new, ALICE) == shown(old, ALICE)
    old.append(ALICE, "a late one")
    done = new.command(*words, text=ACCOUNTS[ALICE] + "\n")
    assert json.loads(done.stdout)["imported"] == 1
    assert shown(new, ALICE) == shown(old, ALICE)


def test_everything_goes_back(houses: tuple[LocalHouse, LocalHouse]) -> None:
    old, new = houses
    words = (
        "export",
        ALICE,
        url(old, BOB),
        "--password-stdin",
        "--insecure",
        "--json",
        "--folder",
        "Work/日本",
    )
    for count in (1, 0):
        done = new.command(*words, text=ACCOUNTS[BOB] + "\n")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["exported"] == count
    name = '"Work/&ZeVnLA-"'
    assert shown(old, BOB)[name][1] == shown(new, ALICE)[name][1]


@pytest.mark.parametrize(
    ("place", "password", "text"),
    [
        ("imap://alice%40example.test@127.0.0.1:1", "x", "cannot connect"),
        ("imap://127.0.0.1", "x", "write imaps://user@host"),
        ("", "wrong", "cannot log in: ["),
    ],
)
def test_what_fails_is_said(
    houses: tuple[LocalHouse, LocalHouse], place: str, password: str, text: str
) -> None:
    old, new = houses
    place = place or url(old, ALICE)
    done = new.command("import", place, ALICE, "--password-stdin", "--insecure", text=password + "\n")
    assert done.returncode == 1
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_a_certificate_that_nobody_vouches_for_is_refused(
    houses: tuple[LocalHouse, LocalHouse], tmp_path: Path
) -> None:
    old, new = houses
    done = new.command("import", url(old, ALICE), ALICE, "--password-stdin", text="wonderland\n")
    assert done.returncode == 1
    assert "CERTIFICATE_VERIFY_FAILED" in done.stderr


# --- Dovecot ------------------------------------------------------------------------------------------------


@pytest.fixture
def dovecot(dovecot: Dovecot) -> Dovecot:
    """With some mail; the special mailbox is called as in German."""
    fill(dovecot)
    return dovecot


def fill(made: Dovecot) -> None:
    client = made.client()
    client.create("Work.2001")
    for number in range(12):
        flags = ("(\\Seen)", "(\\Answered $Label1)", "")[number % 3]
        text = f"Subject: {number}\r\n\r\nFrom here.\r\n.\r\n".encode()
        date = f'" 9-Sep-2001 01:46:{number:02} +0000"'
        client.append(("INBOX", "Work.2001")[number % 2], flags, date, text)
    client.append("Gesendet", "", '" 9-Sep-2001 01:46:40 +0000"', b"Subject: sent\r\n\r\nx\r\n")
    client.select("INBOX")
    client.store("2", "+FLAGS", "(\\Deleted)")
    client.expunge()
    client.logout()


def as_ours(shown: dict[str, list[object]]) -> dict[str, list[object]]:
    """Dovecot's names as they are here."""
    return {{"Gesendet": "Sent"}.get(name, name.replace(".", "/")): facts for name, facts in shown.items()}


@pytest.mark.interop
def test_dovecot_by_imap_and_by_its_maildir(dovecot: Dovecot, house: LocalHouse) -> None:
    before = as_ours(dovecot.shown())
    assert set(before) == {"INBOX", "Work/2001", "Sent"}
    place = f"imap://{USER}@127.0.0.1:{dovecot.port}"
    done = house.command("import", place, ALICE, "--password-stdin", "--json", text=PASSWORD + "\n")
    assert done.returncode == 0, done.stderr
    assert facts_of(house.imap(ALICE)) == before

    done = house.command("import", str(dovecot.maildir), BOB, "--json")
    assert done.returncode == 0, done.stderr
    by_files = facts_of(house.imap(BOB))
    by_files["Sent"] = by_files.pop("Gesendet")  # a folder on disk does not tell what it is for
    assert by_files == before


@pytest.mark.interop
def test_dovecot_serves_what_was_exported(dovecot: Dovecot, house: LocalHouse) -> None:
    for number in range(8):
        house.append(ALICE, f"for dovecot {number}")
    client = house.imap(ALICE)
    client.create("Work/2001")
    client.select("INBOX")
    client.store("2:3", "+FLAGS", "(\\Flagged $Label1)")
    client.copy("4:5", "Work/2001")
    client.store("1", "+FLAGS", "(\\Deleted)")
    client.expunge()
    client.logout()
    before = facts_of(house.imap(ALICE))
    shutil.rmtree(dovecot.maildir)
    done = house.command("export", ALICE, str(dovecot.maildir))
    assert done.returncode == 0, done.stderr
    dovecot.own()
    after = as_ours(dovecot.shown())
    assert after == before, "UIDs and UIDVALIDITY, too: nobody's program downloads anything again"


@pytest.mark.interop
def test_dovecot_takes_an_export_by_imap(dovecot: Dovecot, house: LocalHouse) -> None:
    house.append(ALICE, "over the wire")
    place = f"imap://{USER}@127.0.0.1:{dovecot.port}/"
    for count in (1, 0):
        done = house.command("export", ALICE, place, "--password-stdin", "--json", text=PASSWORD + "\n")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["exported"] == count
    texts = [fact[3] for fact in dovecot.shown()["INBOX"][1]]  # type: ignore[index,attr-defined]
    assert any(b"over the wire" in text for text in texts)
