"""The subject without what replies, forwards and lists put to it (RFC 5256 §2.1)."""

from __future__ import annotations

import pytest

from posthouse.message.threading import base_subject


@pytest.mark.parametrize(
    ("subject", "base"),
    [
        ("Budget", "budget"),
        ("  Third   quarter\t", "third quarter"),
        ("Re: budget", "budget"),
        ("RE : Fw: fwd: budget", "budget"),
        ("Re[2]: budget", "budget"),
        ("[office] Re: [office] budget", "budget"),
        ("budget (fwd)  (FWD)", "budget"),
        ("[Fwd: budget]", "budget"),
        ("Re: [fwd: [office] Re: budget (fwd)] (fwd)", "budget"),
        ("[Fwd: [Fwd: budget]]", "budget"),
        ("回复：预算", "预算"),
        ("[office]", "[office]"),  # what would be nothing stays
        ("[Fwd: budget] for you", "for you"),  # a list's tag like any other
        ("Regards", "regards"),
        ("", ""),
    ],
)
def test_base_subject(subject: str, base: str) -> None:
    assert base_subject(subject) == base


def test_marks_without_end_take_no_time() -> None:
    assert base_subject("Re: " * 10_000 + "x").endswith("x")
    assert base_subject("[Fwd: " * 10_000 + "x" + "]" * 10_000)
