"""MTA-STS policies: read, and refused when they are none (RFC 8461 §3.2, §4.1)."""

from __future__ import annotations

import pytest

from posthouse.limits import MTA_STS_MX
from posthouse.msgauth.mta_sts import Mode, StsPolicyError, parse_sts_policy

GOOD = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n"


def test_a_policy_is_read() -> None:
    policy = parse_sts_policy(GOOD)
    assert (policy.mode, policy.max_age, policy.mx) == (
        Mode.ENFORCE,
        604800,
        ("mail.example.com", "*.example.net"),
    )
    assert parse_sts_policy(GOOD.replace("\r\n", "\n") + "\nfuture: thing\n") == policy
    assert parse_sts_policy("version: STSv1\nmode: none\nmax_age: 86400\n").mx == ()
    assert parse_sts_policy(GOOD + "mode: none\n").mode is Mode.ENFORCE, "the first one counts"


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("mail.example.com", True),
        ("MAIL.Example.COM.", True),
        ("a.example.net", True),
        ("example.net", False),
        ("a.b.example.net", False),
        ("other.example.com", False),
        ("net", False),
        ("", False),
    ],
)
def test_a_star_is_one_label(host: str, allowed: bool) -> None:
    assert parse_sts_policy(GOOD).allows(host) is allowed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>version: STSv1</html>",
        GOOD.replace("STSv1", "STSv2"),
        GOOD.replace("enforce", "report"),
        GOOD.replace("604800", "-1"),
        GOOD.replace("604800", "9" * 11),
        GOOD.replace("604800", "\u0664"),
        GOOD.replace("max_age: 604800", ""),
        "version: STSv1\nmode: testing\nmax_age: 1\n",
        GOOD.replace("mail.example.com", "m" * 300),
        GOOD.replace("mail.example.com", " "),
        "\0" * 1000,
    ],
)
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(StsPolicyError):
        parse_sts_policy(text)


def test_names_are_bounded() -> None:
    assert len(parse_sts_policy(GOOD + "mx: a.test\n" * 100_000).mx) == MTA_STS_MX
