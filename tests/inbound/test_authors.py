"""Every address that some reader may find in From counts; names and comments do not."""

from __future__ import annotations

import pytest

from posthouse.inbound.authors import claimed_addresses

OURS = "alice@example.test"


@pytest.mark.parametrize(
    "value",
    [
        "Boss <alice@example.test>",
        "<x@elsewhere.test> <alice@example.test>",
        "<alice@example.test> <x@elsewhere.test>",
        "alice@example.test <x@elsewhere.test",
        '"x@elsewhere.test\\" <alice@example.test>',
        '"(" <x@elsewhere.test> <alice@example.test> ")"',
        "(( x@elsewhere.test <alice@example.test>",
        "alice@example.test.",
        "Boss <alice@example.test.>",
        "alice @ example.test",
        "x@elsewhere.test, " * 150 + "alice@example.test",
    ],
)
def test_address_is_found_in(value: str) -> None:
    assert OURS in claimed_addresses(value.encode())


@pytest.mark.parametrize(
    "value",
    [
        '"alice@example.test via List" <list@elsewhere.test>',
        "list@elsewhere.test (alice@example.test via List)",
        "=?utf-8?q?alice=40example.test?= <list@elsewhere.test>",
        '"\\"alice@example.test\\"" <list@elsewhere.test>',
    ],
)
def test_name_is_no_address(value: str) -> None:
    assert claimed_addresses(value.encode()) == {"list@elsewhere.test"}


def test_quoted_local_part_is_one() -> None:
    assert claimed_addresses(b'"al ice"@example.test') == {'"al ice"@example.test'}


@pytest.mark.parametrize("piece", [b'"', b'"\\', b"(", b"()", b"x", b" ", b"<", b"\\", b'x"@'])
def test_time_is_linear(piece: bytes) -> None:
    claimed_addresses(piece * (250_000 // len(piece)))
