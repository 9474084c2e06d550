"""A folder is shared in one browser and used in another (RFC 9670): seen at once, with the rights given, gone again."""

from __future__ import annotations

import imaplib
from pathlib import Path

import pytest

from tests.browser.runner import needs_browser, run_suite
from tests.house import PASSWORDS, TestHouse

ALICE, BOB = "alice@example.test", "bob@example.test"
LETTER = (
    b"From: Carol <carol@example.net>\r\nTo: alice@example.test\r\nDate: Thu, 26 Nov 2026 10:00:00 +0000\r\n"
    b"Subject: %b\r\nMessage-ID: <%b@example.net>\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n%b\r\n'
    b'--b\r\nContent-Type: text/plain; name="map.txt"\r\nContent-Disposition: attachment; filename="map.txt"\r\n\r\n'
    b"north is up\r\n--b--\r\n"
)


def letter(subject: str, text: str) -> bytes:
    words = subject.encode()
    return LETTER % (words, words.replace(b" ", b"-"), text.encode())


@pytest.mark.slow
@pytest.mark.interop
async def test_sharing(tmp_path: Path) -> None:
    needs_browser()
    house = await TestHouse.open(tmp_path)

    def put(subject: str) -> None:
        with imaplib.IMAP4("127.0.0.1", house.port("imap")) as client:
            client.login(ALICE, PASSWORDS[ALICE])
            client.create("Plans")
            status, _ = client.append("Plans", "", "", letter(subject, f"About {subject}."))
            assert status == "OK"

    def flags(subject: str) -> str:
        with imaplib.IMAP4("127.0.0.1", house.port("imap")) as client:
            client.login(ALICE, PASSWORDS[ALICE])
            client.select("Plans")
            (found,) = client.search(None, "SUBJECT", f'"{subject}"')[1]
            return client.fetch(found.decode(), "(FLAGS)")[1][0].decode() if found else ""

    try:
        stage = {
            "web": f"http://127.0.0.1:{house.port('http')}",
            "people": {name: PASSWORDS[name] for name in (ALICE, BOB)},
        }
        await run_suite("sharing", stage, {"put": put, "flags": flags})
    finally:
        await house.close()
