"""The browser's side of the tour: JMAP over HTTPS (RFC 8620, 8621), as a webmail speaks it, shown as it goes."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import urllib.request
from typing import Any, Final

from posthouse import limits
from posthouse.playground.conversation import Say

_USING: Final = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]
_MAIL: Final = "urn:ietf:params:jmap:mail"


class Browser:
    """One person logged in to one host's JMAP."""

    def __init__(self, address: str, port: int, user: str, password: str, say: Say) -> None:
        self._base = f"https://{address}:{port}"
        secret = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {secret}", "Content-Type": "application/json"}
        self._say = say
        self._account = ""

    async def open(self) -> None:
        """Learn where the account is. OSError when it cannot be had."""
        session = await self._ask("GET", "/jmap/session", None)
        self._account = session["primaryAccounts"][_MAIL]

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """One method call; its arguments and its answer are said."""
        self._say(f"   C: {name} {json.dumps(arguments, ensure_ascii=False)}")
        body = {"using": _USING, "methodCalls": [[name, {"accountId": self._account} | arguments, "0"]]}
        answer = await self._ask("POST", "/jmap", json.dumps(body).encode())
        found: dict[str, Any] = answer["methodResponses"][0][1]
        return found

    async def flagged(self) -> dict[str, Any] | None:
        """Subject, keywords and id of the flagged email, as a list of the flagged shows it; None: there is none."""
        query = {"filter": {"hasKeyword": "$flagged"}, "limit": 1}
        ids = (await self.call("Email/query", query))["ids"]
        if not ids:
            return None
        got = await self.call("Email/get", {"ids": ids, "properties": ["id", "subject", "keywords"]})
        email: dict[str, Any] = got["list"][0]
        self._say(f"   S: {json.dumps({k: email[k] for k in ('subject', 'keywords')}, ensure_ascii=False)}")
        return email

    async def _ask(self, method: str, path: str, body: bytes | None) -> Any:
        return await asyncio.to_thread(self._ask_now, method, path, body)

    def _ask_now(self, method: str, path: str, body: bytes | None) -> Any:
        context = ssl.create_default_context()
        context.check_hostname = False  # the playground's certificates are self-made
        context.verify_mode = ssl.CERT_NONE
        request = urllib.request.Request(self._base + path, body, self._headers, method=method)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(request, timeout=limits.PLAYGROUND_REPLY) as answer:
            return json.load(answer)
