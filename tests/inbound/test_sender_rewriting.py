"""Rewritten senders by themselves: what is made, what is known again, and what is not."""

from __future__ import annotations

import random

import pytest

from posthouse.inbound.sender_rewriting import Flaw, Origin, SenderRewriting
from posthouse.limits import SRS_DAYS, SRS_LOCAL_PART
from posthouse.message.address import parse_address, parse_path

NOW = 1_793_613_600.0
DAY = 86400
OURS = SenderRewriting(b"k" * 32)
OTHERS = SenderRewriting(b"o" * 32)
DOMAIN = "example.test"


def local_of(address: str) -> str:
    return address.rpartition("@")[0]


def test_the_first_to_send_on_names_the_sender() -> None:
    made = OURS.rewrite("Jo.Public+x@Far.test", DOMAIN, NOW)
    assert made.token == ""
    start, hashed, day, rest = made.address.split("=", 3)
    assert (start, len(hashed), len(day), rest) == ("SRS0", 8, 2, "far.test=Jo.Public+x@example.test")
    assert OURS.read(local_of(made.address), NOW) == Origin("Jo.Public+x@far.test")


def test_case_does_not_matter() -> None:
    made = local_of(OURS.rewrite("Jo@far.test", DOMAIN, NOW).address)
    assert OURS.read(made.lower(), NOW) == Origin("jo@far.test")
    assert OURS.read(made.upper(), NOW) == Origin("JO@FAR.TEST")


@pytest.mark.parametrize("separator", "=+-")
def test_behind_another_notices_go_to_the_first_one(separator: str) -> None:
    sender = f"SRS0{separator}HHH=TT=far.test=jo@first.test"
    once = OTHERS.rewrite(sender, "second.test", NOW).address
    assert once.startswith("SRS1=") and once.endswith(
        f"=first.test={separator}HHH=TT=far.test=jo@second.test"
    )
    assert OTHERS.read(local_of(once), NOW) == Origin(sender)
    # The third leaves the second out: all that its own address says is the first's.
    twice = OURS.rewrite(once, DOMAIN, NOW).address
    assert "second" not in twice and len(twice) == len(once) + len(DOMAIN) - len("second.test")
    assert OURS.read(local_of(twice), NOW) == Origin(sender)


@pytest.mark.parametrize(
    "sender", ["jo@far.test", "SRS0=HHH=TT=far.test=jo@first.test", f"{'x' * 60}@far.test"]
)
def test_an_address_is_good_for_its_days(sender: str) -> None:
    made = local_of(OURS.rewrite(sender, DOMAIN, NOW).address)
    for days in (-1, 0, SRS_DAYS):
        assert isinstance(OURS.read(made, NOW + days * DAY), Origin)
    for days in (-2, SRS_DAYS + 1, 500, 1022):
        assert OURS.read(made, NOW + days * DAY) is Flaw.OLD


def test_the_days_go_round() -> None:
    last = 1023 * DAY  # of the first round of two digits
    made = local_of(OURS.rewrite("jo@far.test", DOMAIN, last).address)
    assert OURS.read(made, last + 3 * DAY) == Origin("jo@far.test")


@pytest.mark.parametrize(
    "sender", ["jo@far.test", "SRS0=HHH=TT=far.test=jo@first.test", f"{'x' * 60}@far.test"]
)
def test_whatever_is_changed_is_not_ours(sender: str) -> None:
    made = local_of(OURS.rewrite(sender, DOMAIN, NOW).address)
    assert OTHERS.read(made, NOW) is Flaw.FORGED
    for at in range(5, len(made)):
        other = made[:at] + ("q" if made[at].lower() != "q" else "z") + made[at + 1 :]
        assert OURS.read(other, NOW) is Flaw.FORGED, other
    for cut in range(len(made)):
        assert OURS.read(made[:cut], NOW) is Flaw.FORGED


@pytest.mark.parametrize(
    "sender",
    [
        f"{'x' * 60}@far.test",
        f"bounces+123-abc-jo=example.org@{'sub.' * 8}sendgrid.example",
        '"a b"@far.test',
        '"<script>"@far.test',
        "пользователь@far.test",
        "jo@[192.0.2.1]",
        f"SRS0=HHH=TT=far.test={'x' * 40}@first.test",
    ],
)
def test_what_does_not_fit_gets_a_token(sender: str) -> None:
    made = OURS.rewrite(sender, DOMAIN, NOW)
    assert len(local_of(made.address)) <= SRS_LOCAL_PART and made.address.isascii()
    assert made.token and OURS.read(local_of(made.address).lower(), NOW) == Origin(token=made.token)
    assert OURS.rewrite(sender, DOMAIN, NOW) == made != OTHERS.rewrite(sender, DOMAIN, NOW)


def test_a_name_beyond_ascii_is_written_in_a_labels() -> None:
    made = OURS.rewrite("jo@bücher.test", DOMAIN, NOW).address
    assert OURS.read(local_of(made), NOW) == Origin("jo@xn--bcher-kva.test")


@pytest.mark.parametrize(
    "sender",
    [
        "srs1=x=@far.test",
        "SRS1=abc=no_host_/=-rest@far.test",
        "SRS1@far.test",
        "SRS0=@far.test",
        "srs0+a@far.test",
    ],
)
def test_what_only_looks_rewritten_comes_back_to_whom_it_names(sender: str) -> None:
    found = OURS.read(local_of(OURS.rewrite(sender, DOMAIN, NOW).address), NOW)
    assert isinstance(found, Origin) and found.sender.lower() == sender.lower()


def test_a_letter_that_only_folds_to_one_of_ours_is_not_ours() -> None:
    made = local_of(OURS.rewrite("kim@far.test", DOMAIN, NOW).address)
    assert OURS.read(made.replace("kim", "\u212aim"), NOW) is Flaw.FORGED


def test_hostile_senders_never_break_out() -> None:
    chance = random.Random(7)
    letters = "aZ0=+-@.\"\\ <>;:,()[]ß\u212a_~'`"
    for _ in range(2000):
        local = "".join(chance.choice(letters) for _ in range(chance.randrange(1, 80)))
        start = chance.choice(["", "SRS0=", "srs1=", "SRS1=AA=b=", "SRS0=AAAAAAAA=AA="])
        sender = f"{start}{local}@far.test"
        made = OURS.rewrite(sender, DOMAIN, NOW)
        assert parse_path(f"<{made.address}>").address == parse_address(made.address)
        assert made.address.rpartition("@")[2] == DOMAIN and len(local_of(made.address)) <= SRS_LOCAL_PART
        found = OURS.read(local_of(made.address), NOW)
        assert isinstance(found, Origin) and (found.token == made.token)
