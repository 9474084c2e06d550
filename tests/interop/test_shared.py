"""Programs at a mailbox that somebody else shares: mbsync and curl read and change it, imaplib gives the rights."""

from __future__ import annotations

import imaplib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.conftest import run
from tests.interop.local import ACCOUNTS, LocalHouse
from tests.interop.mirror import Mirror

pytestmark = [pytest.mark.interop, pytest.mark.slow]

ALICE, BOB = "alice@example.test", "bob@example.test"
CLUB = f'"Other Users/{ALICE}/Club"'
Find = Callable[[str], str]


@pytest.fixture
def alice(house: LocalHouse) -> Iterator[imaplib.IMAP4]:
    """alice, who has a mailbox of two messages for bob to see."""
    client = house.imap(ALICE)
    client.create("Club")
    for subject in ("first", "second"):
        raw = f"From: {ALICE}\r\nTo: {BOB}\r\nSubject: {subject}\r\n\r\nText of {subject}.\r\n".encode()
        assert client.append("Club", None, None, raw)[0] == "OK"  # type: ignore[arg-type]
    assert client.setacl("Club", BOB, "lrsw")[0] == "OK"
    yield client
    client.logout()


def test_mbsync_keeps_it_in_step(
    house: LocalHouse, alice: imaplib.IMAP4, program: Find, tmp_path: Path
) -> None:
    near = tmp_path / "near"
    near.mkdir()
    near_side = Mirror(near, program("mbsync"), BOB, ACCOUNTS[BOB], patterns='"Other Users/*"')
    near_side.run("127.0.0.1", house.ports["imap"])
    folder = near / "Other Users" / ALICE / "Club"
    files = {path.read_text().partition("Subject: ")[2].split()[0]: path for path in folder.glob("[cn]*/*")}
    assert sorted(files) == ["first", "second"]
    (folder / "cur").mkdir(exist_ok=True)
    files["second"].rename(folder / "cur" / f"{files['second'].name.partition(':')[0]}:2,FS")
    near_side.run("127.0.0.1", house.ports["imap"])
    alice.select("Club")
    assert alice.search(None, "FLAGGED", "SEEN")[1] == [b"2"]
    alice.append("Club", None, None, b"Subject: third\r\n\r\nText.\r\n")  # type: ignore[arg-type]
    near_side.run("127.0.0.1", house.ports["imap"])
    assert len(list(folder.glob("[cn]*/*"))) == 3


def test_curl_reads_it(house: LocalHouse, alice: imaplib.IMAP4, program: Find) -> None:
    url = f"imap://127.0.0.1:{house.ports['imap']}"
    login = ("-s", "--user", f"{BOB}:{ACCOUNTS[BOB]}")
    path = f"Other%20Users/{ALICE}/Club"
    assert CLUB in run(program("curl"), *login, f"{url}/").stdout
    assert "Text of second." in run(program("curl"), *login, f"{url}/{path};UID=2").stdout
    alice.deleteacl("Club", BOB)
    assert run(program("curl"), *login, f"{url}/{path};UID=2").returncode != 0
    assert CLUB not in run(program("curl"), *login, f"{url}/").stdout


def test_imaplib_sees_who_may_what(house: LocalHouse, alice: imaplib.IMAP4) -> None:
    assert alice.getacl("Club") == ("OK", [f"Club {ALICE} lrswipkxteacd {BOB} lrsw".encode()])
    bob = house.imap(BOB)
    assert bob.myrights(CLUB) == ("OK", [f"{CLUB} lrsw".encode()])
    assert bob.namespace() == ("OK", [b'(("" "/")) (("Other Users/" "/")) NIL'])
    assert bob.select(CLUB) == ("OK", [b"2"])
    assert bob.store("1", "+FLAGS", "(\\Deleted)")[0] == "NO"
    bob.logout()
