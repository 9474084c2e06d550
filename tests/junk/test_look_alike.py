"""Which domains may be taken for others."""

from __future__ import annotations

import pytest

from posthouse.junk.look_alike import looks_like, registrable

KNOWN = ("example.test", "paypal.com", "north.test", "bbc.co.uk")


@pytest.mark.parametrize(
    ("domain", "other"),
    [
        ("examp1e.test", "example.test"),
        ("exarnple.test", "example.test"),
        ("xn--xample-2of.test", "example.test"),
        ("exmaple.test", "example.test"),
        ("exampe.test", "example.test"),
        ("eexample.test", "example.test"),
        ("paypal.co", "paypal.com"),
        ("www.paypa1.com", "paypal.com"),
        ("n0rth.test", "north.test"),
        ("example.test", ""),
        ("mail.example.test", ""),
        ("other.test", ""),
        ("south.test", ""),
        ("bbd.co.uk", ""),
        ("xn--broken-\udcff.test", ""),
    ],
)
def test_look_alikes(domain: str, other: str) -> None:
    assert looks_like(domain, KNOWN) == other


def test_the_part_that_is_registered() -> None:
    assert registrable("a.b.example.test.") == "example.test"
    assert registrable("a.b.co.uk") == "b.co.uk"
    assert registrable("mail.b.ne.jp") == "b.ne.jp"
    assert registrable("www.b.or.th") == "b.or.th"
    assert registrable("a.or.example") == "or.example"
    assert registrable("a.xn--a-qc4g.test") == "xn--a-qc4g.test", "half a surrogate pair is no letter"
    assert registrable("mail.xn--mller-kva.de") == registrable("Müller.de")
