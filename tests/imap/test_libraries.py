"""The IMAP libraries that Python programs use, against a real socket."""

from __future__ import annotations

import asyncio
import base64
import imaplib
from collections.abc import Callable

import aioimaplib
import imapclient
from scramp import ScramClient

from tests.imap.conftest import PASSWORD, Post

ALICE = "alice@example.test"
FIRST = b"From: bob@elsewhere.test\r\nTo: alice@example.test\r\nSubject: first\r\n\r\nHello\r\n"
SECOND = "From: bob@elsewhere.test\r\nSubject: second\r\n\r\n你好\r\n".encode()


async def in_thread(work: Callable[[], None]) -> None:
    await asyncio.wait_for(asyncio.to_thread(work), 20)


async def test_imaplib(post: Post) -> None:
    await post.fill(FIRST, SECOND)

    def work() -> None:
        with imaplib.IMAP4("127.0.0.1", post.port) as imap:
            assert "IMAP4REV1" in imap.capabilities
            imap.login(ALICE, PASSWORD)
            imap.enable("UTF8=ACCEPT")
            assert imap.select("INBOX") == ("OK", [b"2"])
            assert imap.search(None, "SUBJECT", "first") == ("OK", [b"1"])
            status, data = imap.fetch("1", "(FLAGS BODY.PEEK[])")
            assert isinstance(data[0], tuple)
            assert (status, data[0][1]) == ("OK", FIRST)
            assert imap.store("1", "+FLAGS", "\\Deleted")[1] == [b"1 (FLAGS (\\Deleted))"]
            assert imap.expunge() == ("OK", [b"1"])
            assert imap.append("Sent", "(\\Seen)", imaplib.Time2Internaldate(1.7e9), FIRST)[0] == "OK"
            assert imap.status("Sent", "(MESSAGES)") == ("OK", [b"Sent (MESSAGES 1)"])
            assert imap.create("Work/深圳")[0] == "OK"
            assert imap.copy("1", '"Work/深圳"')[0] == "OK"
            assert imap.uid("MOVE", "2", "Trash")[0] == "OK"
            assert imap.close()[0] == "OK"

    await in_thread(work)


async def test_imapclient(post: Post) -> None:
    await post.fill(FIRST, SECOND)

    def work() -> None:
        with imapclient.IMAPClient("127.0.0.1", post.port, ssl=False) as imap:
            imap.login(ALICE, PASSWORD)
            imap.id_({"name": "probe"})
            assert imap.namespace().personal == (("", "/"),)
            assert imap.find_special_folder(b"\\Sent") == "Sent"
            assert imap.select_folder("INBOX")[b"EXISTS"] == 2
            assert imap.search(["TEXT", "你好"], "UTF-8") == [2]
            fetched = imap.fetch([1, 2], ["ENVELOPE", "BODYSTRUCTURE", "FLAGS", "RFC822.SIZE"])
            assert fetched[1][b"ENVELOPE"].subject == b"first"
            assert fetched[2][b"RFC822.SIZE"] == len(SECOND)
            assert imap.add_flags([1], [imapclient.FLAGGED]) == {1: (imapclient.FLAGGED,)}
            imap.create_folder("目录")
            assert "目录" in [name for _, _, name in imap.list_folders()]
            imap.subscribe_folder("目录")
            assert "目录" in [name for _, _, name in imap.list_sub_folders()]
            imap.move([2], "目录")
            assert imap.folder_status("目录", ["MESSAGES"]) == {b"MESSAGES": 1}
            imap.rename_folder("目录", "别的")
            imap.delete_folder("别的")
            imap.idle()
            assert imap.idle_check(timeout=0) == []
            imap.idle_done()
            imap.unselect_folder()

    await in_thread(work)


async def test_aioimaplib_idles(post: Post) -> None:
    imap = aioimaplib.IMAP4("127.0.0.1", post.port)
    await imap.wait_hello_from_server()
    assert (await imap.login(ALICE, PASSWORD)).result == "OK"
    assert (await imap.select("INBOX")).result == "OK"
    idle = await imap.idle_start(timeout=20)
    await post.fill(FIRST)
    assert b"1 EXISTS" in await imap.wait_server_push(10)
    imap.idle_done()
    await asyncio.wait_for(idle, 10)
    assert (await imap.logout()).result == "OK"


async def test_scram(post: Post) -> None:
    client = await post.connect()
    scram = ScramClient(["SCRAM-SHA-256"], ALICE, PASSWORD)
    first = base64.b64encode(scram.get_client_first().encode())
    client.send(b"a AUTHENTICATE SCRAM-SHA-256 %b\r\n" % first)
    line = await client.line()
    assert line.startswith(b"+ ")
    scram.set_server_first(base64.b64decode(line[2:]).decode())
    client.send(base64.b64encode(scram.get_client_final().encode()) + b"\r\n")
    line = await client.line()
    assert line.startswith(b"+ "), line
    scram.set_server_final(base64.b64decode(line[2:]).decode())
    client.send(b"\r\n")
    assert (await client.line()).startswith(b"a OK [CAPABILITY ")
