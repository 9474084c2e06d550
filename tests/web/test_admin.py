"""Administration over JMAP: the commands' own answers, and nobody but administrators."""

from __future__ import annotations

from typing import Any

import pytest

from posthouse.jmap.admin import COMMANDS
from posthouse.jmap.capabilities import ADMIN
from tests.house import TestHouse
from tests.web import test_own_account
from tests.web.test_own_account import Owner


@pytest.fixture
async def admin(house: TestHouse, monkeypatch: pytest.MonkeyPatch) -> Owner:
    monkeypatch.setattr(test_own_account, "USING", ["urn:ietf:params:jmap:core", ADMIN])
    return await Owner(house).enter("admin@example.test", "steward")


@pytest.mark.parametrize("name", COMMANDS)
async def test_only_administrators(house: TestHouse, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(test_own_account, "USING", ["urn:ietf:params:jmap:core", ADMIN])
    alice = await Owner(house).enter()
    assert await alice.error(name) == "forbidden"
    session = (await alice.get("/.well-known/jmap")).text
    assert ADMIN not in session


async def test_every_command_is_one_of_the_administration(house: TestHouse) -> None:
    for command in COMMANDS.values():
        assert not house.app.house.administration.command(command).streams


async def result(admin: Owner, name: str, /, **arguments: Any) -> Any:
    return (await admin.call(name, **arguments))["result"]


async def test_domains(admin: Owner) -> None:
    added = await result(admin, "AdminDomain/add", name="new.test", catchAll="alice@example.test")
    assert (added["name"], added["catchAll"]) == ("new.test", "alice@example.test")
    assert [d["name"] for d in await result(admin, "AdminDomain/list")] == [
        "backup.test",
        "example.test",
        "new.test",
    ]
    records = await result(admin, "AdminDomain/records", name="new.test")
    assert records["records"][0]["type"] == "MX"
    assert "MX" in records["zone"]
    assert await admin.error("AdminDomain/add", name="new.test") == "conflict"
    assert await admin.error("AdminDomain/remove", name="other.test") == "notFound"
    assert await admin.error("AdminDomain/add", name="new.test", wrong=1) == "invalidArguments"
    await admin.call("AdminDomain/remove", name="new.test")


async def test_accounts_and_aliases(admin: Owner) -> None:
    added = await result(
        admin, "AdminAccount/add", address="dora@example.test", password="explorer", quota=1000
    )
    assert (added["quota"], added["admin"]) == (1000, False)
    changed = await result(admin, "AdminAccount/set", address="dora@example.test", disabled=True)
    assert changed["disabled"] is True
    shown = await result(admin, "AdminAccount/show", address="dora@example.test")
    assert shown["mailboxes"][0][0] == "INBOX"
    await admin.call("AdminAlias/add", address="info@example.test", targets=["dora@example.test"])
    aliases = await result(admin, "AdminAlias/list", domain="example.test")
    assert {"address": "info@example.test", "targets": ["dora@example.test"]} in aliases
    await admin.call("AdminAlias/remove", address="info@example.test")
    await admin.call("AdminAccount/remove", address="dora@example.test")
    assert await admin.error("AdminAccount/show", address="dora@example.test") == "notFound"


async def test_status_queue_and_log(house: TestHouse, admin: Owner) -> None:
    findings = await result(admin, "AdminStatus/get")
    assert {f["level"] for f in findings} <= {"fine", "look", "wrong"}
    assert await result(admin, "AdminQueue/list") == []
    assert await admin.error("AdminQueue/change", action="retry", ids=[9]) == "notFound"
    assert await admin.error("AdminQueue/change", action="burn") == "invalidArguments"
    assert await result(admin, "AdminTimeline/latest", after=2**40) == []
