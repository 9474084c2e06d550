"""GETJMAPACCESS (RFC 9698), in a whole house: the address leads to the same mail with the same ids."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from posthouse.config import Config, Listen, Web
from posthouse.places import jmap_session_url
from tests.house import PASSWORDS, TestHouse
from tests.imap.conftest import Post
from tests.imap.shared import ALICE, Neighbours, Person


@pytest.fixture
async def known(tmp_path: Path) -> AsyncIterator[Neighbours]:
    """A house whose address in the browser is known."""
    made = Neighbours(await TestHouse.open(tmp_path, web=Web(url="https://mail.example.test/")))
    yield made
    made.close()
    await made.house.close()


def ask_jmap(port: int, path: str, body: object = None) -> Any:
    """What JMAP answers alice."""
    proof = base64.b64encode(f"{ALICE}:{PASSWORDS[ALICE]}".encode()).decode()
    head = {"authorization": f"Basic {proof}", "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(f"http://127.0.0.1:{port}{path}", data, head), timeout=10) as answer:
        return json.load(answer)


async def capabilities(client: Person) -> list[str]:
    """What a connection may use now."""
    return (await client.ok("CAPABILITY"))[0].split()


async def test_the_address_leads_to_the_same_mail_with_the_same_ids(known: Neighbours) -> None:
    await known.house.fill(ALICE, 1)
    alice = await known.person(ALICE)
    assert "JMAPACCESS" in await capabilities(alice)
    [line] = await alice.ok("GETJMAPACCESS")
    start, url, end = line.split('"')
    assert (start, end) == ("* JMAPACCESS ", "")
    assert url == "https://mail.example.test/jmap/session"
    selected = await alice.ok("SELECT INBOX")
    [mailbox] = [each.split("(")[1].split(")")[0] for each in selected if "MAILBOXID" in each]
    [fetched] = await alice.ok("FETCH 1 (EMAILID)")
    email = fetched.split("EMAILID (")[1].split(")")[0]

    port = known.house.port("http")
    session = await asyncio.to_thread(ask_jmap, port, urlsplit(url).path)
    account = session["primaryAccounts"]["urn:ietf:params:jmap:mail"]
    get = ["Email/get", {"accountId": account, "ids": [email], "properties": ["mailboxIds"]}, "0"]
    call = {"using": ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"], "methodCalls": [get]}
    answer = await asyncio.to_thread(ask_jmap, port, urlsplit(session["apiUrl"]).path, call)
    assert answer["methodResponses"][0][1]["list"] == [{"id": email, "mailboxIds": {mailbox: True}}]


async def test_it_is_offered_to_nobody_whose_credentials_do_not_open_jmap(known: Neighbours) -> None:
    administration = known.house.app.house.administration
    stranger = Person(*await asyncio.open_connection("127.0.0.1", known.house.port("imap")))
    known.clients.append(stranger)
    assert b"JMAPACCESS" not in await stranger.line()
    assert (await stranger.ask("GETJMAPACCESS"))[0].startswith("t BAD ")
    for scope, offered in (((), True), (("imap", "jmap"), True), (("imap",), False)):
        asked = {"address": ALICE, "name": "phone", "scope": list(scope)}
        [made] = [each async for each in administration.run("app-password.add", asked)]
        client = Person(*await asyncio.open_connection("127.0.0.1", known.house.port("imap")))
        known.clients.append(client)
        await client.line()
        done = (await client.ask(f'LOGIN {ALICE} "{made["password"]}"'))[-1]
        assert done.startswith("t OK ")
        assert ("JMAPACCESS" in done.split()) is offered, "the list that comes with the login"
        assert ("JMAPACCESS" in await capabilities(client)) is offered
        assert "mail.example.test" in (await client.ok("GETJMAPACCESS"))[0], "where it is, is no secret"
        if offered:
            assert "JMAPACCESS" not in (await client.ask("UNAUTHENTICATE"))[0].split()


async def test_without_an_address_there_is_nothing_to_tell(post: Post) -> None:
    alice = await post.login()
    assert b"JMAPACCESS" not in (await alice.command(b"CAPABILITY"))[0]
    assert (await alice.command(b"GETJMAPACCESS"))[0].startswith(b"t BAD ")


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, ""),
        ({"listen": Listen(http=("127.0.0.1:80",))}, ""),
        ({"listen": Listen(https=("0.0.0.0:443",))}, "https://mx.example.test/jmap/session"),
        ({"listen": Listen(https=("[::]:8443",))}, "https://mx.example.test:8443/jmap/session"),
        (
            {"listen": Listen(https=("0.0.0.0:443",)), "public_name": "mail.example.test"},
            "https://mail.example.test/jmap/session",
        ),
        ({"web": Web(url="https://mail.example.test/")}, "https://mail.example.test/jmap/session"),
    ],
)
def test_the_address_is_what_the_configuration_says(values: dict[str, Any], url: str) -> None:
    assert jmap_session_url(Config(hostname="mx.example.test", **values)) == url
