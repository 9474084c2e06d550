"""Other people's JMAP clients log in and work over HTTPS: jmapc and jmaplib from PyPI."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.house import TestHouse
from tests.jmap.conftest import Client, letter

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.interop]


def with_jmapc(host: str) -> dict[str, Any]:
    """A session of jmapc: mailboxes, a query with references, a draft, its submission."""
    import jmapc
    import requests
    from jmapc import (
        Comparator,
        EmailAddress,
        EmailBodyPart,
        EmailBodyValue,
        EmailQueryFilterCondition,
        EmailSubmission,
        MailboxQueryFilterCondition,
        Ref,
    )
    from jmapc.methods import (
        EmailGet,
        EmailQuery,
        EmailSet,
        EmailSubmissionSet,
        IdentityGet,
        MailboxGet,
        MailboxQuery,
    )

    class Trusting(jmapc.Client):
        """Takes the house's self-made certificate."""

        @property
        def requests_session(self) -> requests.Session:
            session = requests.Session()
            session.auth, session.verify, session.trust_env = self._auth, False, False
            return session

    client = Trusting.create_with_password(host=host, user="alice@example.test", password="wonderland")
    _, boxes = client.request(
        [
            MailboxQuery(filter=MailboxQueryFilterCondition(role="drafts")),
            MailboxGet(ids=Ref("/ids")),
        ],
        raise_errors=True,
    )
    drafts = boxes.response.data[0].id
    _, emails = client.request(
        [
            EmailQuery(
                filter=EmailQueryFilterCondition(text="library"),
                sort=[Comparator(property="receivedAt", is_ascending=False)],
                limit=5,
            ),
            EmailGet(ids=Ref("/ids"), fetch_all_body_values=True),
        ],
        raise_errors=True,
    )
    identity = client.request(IdentityGet(), raise_errors=True).data[0].id
    draft = jmapc.Email(
        mail_from=[EmailAddress(name="Alice", email="alice@example.test")],
        to=[EmailAddress(email="bob@example.test")],
        subject="From jmapc",
        keywords={"$draft": True},
        mailbox_ids={drafts: True},
        body_values={"body": EmailBodyValue(value="Sent by a library")},
        text_body=[EmailBodyPart(part_id="body", type="text/plain")],
    )
    results = client.request(
        [
            EmailSet(create={"draft": draft}),
            EmailSubmissionSet(
                on_success_destroy_email=["#send"],
                create={"send": EmailSubmission(email_id="#draft", identity_id=identity)},
            ),
        ],
        raise_errors=True,
    )
    assert len(results) == 3
    return {"subjects": [email.subject for email in emails.response.data]}


async def test_jmapc(alice: Client, bob: Client, house: TestHouse) -> None:
    await alice.add(letter("Of the library"))
    found = await asyncio.to_thread(with_jmapc, f"127.0.0.1:{house.port('https')}")
    assert found["subjects"] == ["Of the library"]
    (name,) = (await bob.call("Email/query"))["ids"]
    (email,) = await bob.get(name, fetchTextBodyValues=True)
    assert (email["subject"], email["bodyValues"]["1"]["value"]) == ("From jmapc", "Sent by a library")


def with_jmaplib(url: str) -> dict[str, Any]:
    """A session of jmaplib: echo, an upload, a batch with a reference, an import, a download."""
    import httpx
    from jmap.client import JMAPClient

    with httpx.Client(verify=False, trust_env=False) as http:
        auth = httpx.BasicAuth("alice@example.test", "wonderland")
        client = JMAPClient.connect(f"{url}/.well-known/jmap", auth=auth, http=http)
        client.echo(hello="there")
        raw = letter("Of the other library").replace("\n", "\r\n").encode()
        uploaded = client.upload(raw, content_type="message/rfc822")
        with client.batch() as batch:
            boxes = batch.mail.mailbox.query(filter={"role": "inbox"})
            got = batch.mail.mailbox.get(ids=boxes.ref_ids())
        (box,) = got.result.items
        emails = {"e": {"blobId": uploaded.blob_id, "mailboxIds": {box.id: True}}}
        client.call("Email/import", {"emails": emails})
        return {"octets": client.download(uploaded.blob_id), "raw": raw}


async def test_jmaplib(alice: Client, house: TestHouse) -> None:
    found = await asyncio.to_thread(with_jmaplib, f"https://127.0.0.1:{house.port('https')}")
    assert found["octets"] == found["raw"]
    (name,) = (await alice.call("Email/query", filter={"subject": "other library"}))["ids"]
    assert (await alice.get(name, properties=["subject"]))[0]["subject"] == "Of the other library"
