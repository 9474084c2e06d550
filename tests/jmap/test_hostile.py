"""Whatever arguments a method gets, it answers in words: never serverFail, never another account's data."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from posthouse.jmap.method import Method
from posthouse.jmap.methods import METHODS
from tests.jmap.conftest import Client, letter

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

KEYS = (
    *("ids", "properties", "sinceState", "maxChanges", "ifInState", "create", "update", "destroy", "filter"),
    *("sort", "position", "anchor", "anchorOffset", "limit", "calculateTotal", "sinceQueryState", "upToId"),
    *("collapseThreads", "bodyProperties", "fetchAllBodyValues", "maxBodyValueBytes", "emails", "blobIds"),
    *("emailIds", "typeNames", "identityId", "send", "data", "fromAccountId", "onSuccessUpdateEmail"),
    *("onSuccessDestroyEmail", "onDestroyRemoveEmails", "sortAsTree", "filterAsTree", "offset", "length"),
    *(
        "name",
        "parentId",
        "role",
        "sortOrder",
        "isSubscribed",
        "mailboxIds",
        "keywords",
        "receivedAt",
        "subject",
    ),
    *("from", "to", "bodyStructure", "textBody", "htmlBody", "attachments", "bodyValues", "partId", "blobId"),
    *(
        "type",
        "subParts",
        "header:X",
        "header:Date:asDate",
        "header:To:asAddresses:all",
        "emailId",
        "envelope",
    ),
    *(
        "mailFrom",
        "rcptTo",
        "email",
        "parameters",
        "undoStatus",
        "isEnabled",
        "fromDate",
        "toDate",
        "operator",
    ),
    *(
        "conditions",
        "inMailbox",
        "text",
        "header",
        "before",
        "hasKeyword",
        "minSize",
        "property",
        "isAscending",
    ),
    *("keyword", "disposition", "forEmailId", "deviceClientId", "url", "keys", "expires", "types", "value"),
    *("mailboxIds/F1", "keywords/$seen", "keywords/", "a/b/c", "", "#ids", "resultOf", "path", "data:asText"),
)


class Chance:
    """Values of every kind, many of them nearly right."""

    def __init__(self, seed: int, words: tuple[str, ...]) -> None:
        self._random = random.Random(seed)
        self._words = words

    def value(self, depth: int = 0) -> Any:
        """Anything."""
        kind = self._random.randrange(12 if depth < 4 else 8)
        if kind < 3:
            return self._random.choice(self._words)
        if kind == 3:
            return self._random.choice((0, 1, -1, 2**31, 2**53, 10**30, 1.5, 1e300))
        if kind == 4:
            return self._random.choice((True, False, None))
        if kind == 5:
            return self._random.choice(
                ("", "\0", "\ud7ff", "a" * 3000, "é", "../..", "%00", "*", "AND", "NOT", "=")
            )
        if kind in {6, 7}:
            return self._random.choice(("2026-11-02T06:13:20Z", "text/plain", "a@b.test", "receivedAt", "0"))
        if kind in {8, 9}:
            return [self.value(depth + 1) for _ in range(self._random.randrange(4))]
        return self.object(depth + 1)

    def arguments(self, method: Method) -> dict[str, Any]:
        """Some of a method's own arguments, with values of their types as often as not."""
        if method.arguments is None:
            return self.object()
        found: dict[str, Any] = {}
        for field in msgspec.structs.fields(method.arguments):
            if field.encode_name == "accountId" or (not field.required and self._random.random() < 0.6):
                continue
            # A wrong password costs seconds, more each time: `tests/web/test_own_account.py` tries those.
            found[field.encode_name] = 7 if field.encode_name == "password" else self.typed(str(field.type))
        return found

    def typed(self, kind: str) -> Any:
        """A value that such a field may take; now and then any other."""
        if self._random.random() < 0.1:
            return self.value()
        if kind.startswith(("dict", "typing.Optional[dict")) or " dict[" in kind or "dict[" in kind[:30]:
            return {self._random.choice(self._words): self.object(1) for _ in range(2)}
        if "list[str]" in kind:
            return self._random.sample(self._words, 3)
        if "Comparator" in kind:
            return [{"property": self._random.choice(("receivedAt", "subject", "name", "sentAt", "x"))}]
        if "bool" in kind:
            return self._random.random() < 0.5
        if "int" in kind:
            return self._random.choice((0, 1, 7, -1))
        return self._random.choice((*self._words, "0", "5"))

    def object(self, depth: int = 0) -> dict[str, Any]:
        """An object with some of the keys."""
        keys = self._random.sample(KEYS, self._random.randrange(5))
        keys += self._random.sample(self._words, self._random.randrange(2))
        return {key: self.value(depth) for key in keys}


@pytest.mark.parametrize("seed", range(6))
async def test_no_arguments_break_a_method(alice: Client, bob: Client, seed: int) -> None:
    mine, theirs = await alice.add(letter("Mine")), await bob.add(letter("Theirs secret"))
    thread = (await alice.get(mine, properties=["threadId"]))[0]["threadId"]
    inbox = await alice.mailbox("inbox")
    words = (
        mine,
        theirs,
        thread,
        inbox,
        f"B{mine[1:]}",
        f"B{theirs[1:]}-1",
        "I0",
        "S1",
        "singleton",
        "#a",
        "a",
    )
    chance = Chance(seed, words)
    for _ in range(12):
        calls = []
        for name, method in METHODS.items():
            arguments = chance.arguments(method)
            if not name.startswith(("Core/", "PushSubscription/")):
                arguments["accountId"] = alice.account_id
            calls.append([name, arguments, "x"])
        for start in range(0, len(calls), 32):
            answer = await alice.request(calls[start : start + 32])
            for name, arguments, _call in answer["methodResponses"]:
                if name == "error":
                    assert arguments["type"] not in {"serverFail", "serverUnavailable"}, arguments
            text = str([each for each in answer["methodResponses"] if each[0] != "Core/echo"])
            assert "Theirs secret" not in text
    assert (await bob.get(theirs, properties=["subject"]))[0]["subject"] == "Theirs secret"
