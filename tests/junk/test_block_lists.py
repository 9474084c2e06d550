"""Block lists: what is asked, what counts as listed, and lists that are not to be believed."""

from __future__ import annotations

import hashlib

import pytest

from posthouse.junk.block_lists import BlockList, BlockLists, ListKind, reversed_address
from tests.fakes.resolver import FakeResolver

GOOD = """
2.0.0.127.bl.test A 127.0.0.2
7.2.0.192.bl.test A 127.0.0.4
9.2.0.192.bl.test A 127.255.255.254
8.2.0.192.bl.test A 192.0.2.99
test.dbl.test     A 127.0.1.2
bad.example.dbl.test A 127.0.1.5
"""


def lists(zone: str, *which: tuple[str, ListKind]) -> tuple[BlockLists, FakeResolver, list[float]]:
    resolver, now = FakeResolver(zone), [0.0]
    return BlockLists([BlockList(*one) for one in which], resolver, lambda: now[0]), resolver, now


@pytest.mark.parametrize(
    ("address", "code"),
    [("192.0.2.7", "127.0.0.4"), ("192.0.2.1", ""), ("192.0.2.9", ""), ("192.0.2.8", ""), ("nonsense", "")],
)
async def test_addresses(address: str, code: str) -> None:
    asking, _, _ = lists(GOOD, ("bl.test", ListKind.ADDRESS))
    found, silent = await asking.look(address, [], [])
    assert [one.code for one in found] == ([code] if code else [])
    assert silent == []


async def test_domains_and_hashes() -> None:
    digest = hashlib.sha1(b"eve@bad.example").hexdigest()
    asking, _, _ = lists(
        GOOD + f"{digest}.ebl.test A 127.0.0.2", ("dbl.test", ListKind.DOMAIN), ("ebl.test", ListKind.HASH)
    )
    found, _ = await asking.look("192.0.2.1", ["bad.example", "good.example", "", "a b"], ["eve@bad.example"])
    assert {(one.kind, one.what) for one in found} == {
        (ListKind.DOMAIN, "bad.example"),
        (ListKind.HASH, "eve@bad.example"),
    }


async def test_a_domain_is_listed_whatever_stands_before_it_and_an_address_is_none() -> None:
    asking, resolver, _ = lists(GOOD + "192.0.2.7.dbl.test A 127.0.1.255", ("dbl.test", ListKind.DOMAIN))
    found, _ = await asking.look(
        "", ["x1.bad.example", "x2.y.bad.example", "192.0.2.7", "xn--bcher-kva.example"], []
    )
    assert [(one.what, one.code) for one in found] == [("bad.example", "127.0.1.5")], (
        "once, not for each host"
    )
    asked = {name for _, name in resolver.asked}
    assert {"x2.y.bad.example.dbl.test", "bad.example.dbl.test", "xn--bcher-kva.example.dbl.test"} <= asked
    assert not any(name.startswith("192.0.2.7") for name in asked)


@pytest.mark.parametrize(
    ("zone", "why"),
    [
        ("7.2.0.192.bl.test A 127.0.0.4", "does not list what every list must"),
        (GOOD + "1.0.0.127.bl.test A 127.0.0.2", "lists the whole world"),
        ("2.0.0.127.bl.test FAIL", "does not answer"),
    ],
)
async def test_a_list_that_fails_its_own_test_is_not_believed(zone: str, why: str) -> None:
    asking, _, _ = lists(zone, ("bl.test", ListKind.ADDRESS))
    found, silent = await asking.look("192.0.2.7", [], [])
    assert found == []
    assert why in silent[0]


async def test_answers_are_kept_for_minutes_and_tests_for_an_hour() -> None:
    asking, resolver, now = lists(GOOD, ("bl.test", ListKind.ADDRESS))
    await asking.look("192.0.2.7", [], [])
    asked = len(resolver.asked)
    await asking.look("192.0.2.7", [], [])
    assert len(resolver.asked) == asked == 3
    now[0] = 400.0
    await asking.look("192.0.2.7", [], [])
    assert len(resolver.asked) == asked + 1
    now[0] = 4000.0
    await asking.look("192.0.2.7", [], [])
    assert len(resolver.asked) == asked + 4


async def test_a_message_asks_a_bounded_number_of_questions() -> None:
    asking, resolver, _ = lists(GOOD, ("dbl.test", ListKind.DOMAIN))
    await asking.look("", [f"d{number}.example" for number in range(1000)], [])
    assert len(resolver.asked) <= 42


def test_addresses_are_reversed() -> None:
    assert reversed_address("192.0.2.7") == "7.2.0.192"
    assert reversed_address("::ffff:192.0.2.7") == "7.2.0.192"
    assert reversed_address("2001:db8::1").startswith("1.0.0.0.")
    assert len(reversed_address("2001:db8::1")) == 63
    assert reversed_address("x") == ""
