"""Sending by JMAP as a page does it, but without the pause in which it can be undone."""

from __future__ import annotations

import base64
import json
import urllib.request
from typing import Any

from tests.browser.stage import PASSWORD


def send(web: str, sender: str, recipients: list[str], subject: str, text: str) -> None:
    """One message of `sender`, kept in Sent."""
    session = _ask(f"{web}/.well-known/jmap", sender)
    account = session["primaryAccounts"]["urn:ietf:params:jmap:mail"]
    api = web + "/jmap/" + session["apiUrl"].partition("/jmap/")[2]

    def call(*calls: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        numbered = [
            [name, {"accountId": account} | values, str(place)] for place, (name, values) in enumerate(calls)
        ]
        body = json.dumps({"using": list(session["capabilities"]), "methodCalls": numbered}).encode()
        return [answer for _, answer, _ in _ask(api, sender, body)["methodResponses"]]

    mailboxes, identities = call(("Mailbox/get", {}), ("Identity/get", {}))
    sent = next(each["id"] for each in mailboxes["list"] if each["role"] == "sent")
    email = {
        "mailboxIds": {sent: True},
        "keywords": {"$seen": True},
        "from": [{"email": sender}],
        "to": [{"email": address} for address in recipients],
        "subject": subject,
        "bodyStructure": {"partId": "1", "type": "text/plain"},
        "bodyValues": {"1": {"value": text}},
    }
    envelope = {
        "mailFrom": {"email": sender, "parameters": None},
        "rcptTo": [{"email": address, "parameters": None} for address in recipients],
    }
    submission = {"emailId": "#m", "identityId": identities["list"][0]["id"], "envelope": envelope}
    made = call(
        ("Email/set", {"create": {"m": email}}), ("EmailSubmission/set", {"create": {"s": submission}})
    )
    assert made[1]["created"], made


def _ask(address: str, account: str, body: bytes | None = None) -> dict[str, Any]:
    login = base64.b64encode(f"{account}:{PASSWORD}".encode()).decode()
    headers = {"authorization": f"Basic {login}", "content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(address, body, headers)) as answer:
        said: dict[str, Any] = json.load(answer)
        return said
