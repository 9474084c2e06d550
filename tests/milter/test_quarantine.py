"""What readers are told of mail that a filter keeps apart: that the filter did it, and nothing of a domain's wish."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from posthouse.config import Inbound, Junk, Milter
from tests.milter.conftest import ALICE, RAW, Filtered, house_with
from tests.milter.scripted import GO_ON, Scripted, say

pytestmark = pytest.mark.slow

KEPT_APART = {"E": say("q", b"odd\0") + GO_ON}


async def verdict(house: Filtered) -> dict[str, Any]:
    """Of the one message in Alice's Junk."""
    account = house.house.accounts[ALICE].account_id
    mailbox = await house.store.mailbox(account, "Junk")
    assert mailbox is not None
    index = await house.store.index(account, mailbox.mailbox_id)
    (record,) = await house.store.verdict(account, list(index.email_ids))
    assert record is not None
    found: dict[str, Any] = msgspec.json.decode(record)
    return found


def weights(found: dict[str, Any]) -> dict[str, float]:
    return {one["check"]: one["weight"] for one in found["checks"] if one.get("weight")}


async def test_the_verdict_names_the_filter_and_no_policy(tmp_path: Path) -> None:
    script = Scripted(KEPT_APART)
    async with script.serving() as place:
        milter = Milter(socket=place, name="guard")
        async with house_with(tmp_path, milter, junk=Junk()) as house:
            assert (await house.comes())[0][0] == 250
            found = await verdict(house)
            assert b"quarantine=+5.0" in await house.arrived("Junk")
    assert weights(found)["quarantine"] == 5.0 and "policy" not in weights(found)
    told = [one["evidence"] for one in found["checks"] if "guard" in one["evidence"]]
    assert told == ["guard quarantines it: odd"], "once is enough"


async def test_the_verdict_says_junk_though_more_speaks_for_it(tmp_path: Path) -> None:
    script = Scripted(KEPT_APART)
    async with script.serving() as place:
        async with house_with(tmp_path, Milter(socket=place, name="g"), junk=Junk(junk_at=9.0)) as house:
            assert (await house.comes())[0][0] == 250
            found = await verdict(house)
            assert b"X-Posthouse-Verdict: junk; score=" in await house.arrived("Junk")
    assert found["score"] < found["junk_at"] and found["decision"] == "junk"
    assert found["would_change"] == ["without quarantine"]


async def test_what_a_filter_would_refuse_of_a_host_of_ours(tmp_path: Path) -> None:
    script = Scripted({"E": say("r")})
    ours = Inbound(trusted=("127.0.0.1/32",))
    raw = (
        b"Received: from a.test (a.test [192.0.2.9]) by mail.elsewhere.test; Mon, 2 Nov 2026 10:00:00 +0000\r\n"
        + RAW
    )
    async with script.serving() as place:
        milter = Milter(socket=place, name="guard")
        async with house_with(tmp_path, milter, junk=Junk(), inbound=ours) as house:
            assert (await house.comes(raw))[0][0] == 250
            found = await verdict(house)
    assert weights(found)["quarantine"] == 5.0
    assert any(one["evidence"].startswith("guard would refuse it: 550") for one in found["checks"])


async def test_a_script_sends_nothing_on_that_is_kept_apart(tmp_path: Path) -> None:
    script = Scripted(KEPT_APART)
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place), junk=Junk()) as house:
        sieve = 'require ["copy", "vacation"]; redirect :copy "friend@far.test"; vacation "away";'
        account = house.house.accounts[ALICE].account_id
        await house.house.app.house.sieve_scripts.put(account, "s", sieve.encode())
        await house.house.app.house.sieve_scripts.activate(account, "s")
        assert (await house.comes())[0][0] == 250
        assert await house.store.queue() == []
        assert len(await house.messages("Junk")) == 1
