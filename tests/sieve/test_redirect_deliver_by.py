"""`redirect :bytimerelative :bytimeabsolute :bymode :bytrace` (RFC 6009 §4)."""

from __future__ import annotations

import pytest

from posthouse.sieve.actions import Redirect
from tests.sieve.running import actions, outcome, refusal

REQUIRE = 'require ["redirect-deliverby", "copy", "variables"]; '


@pytest.mark.parametrize(
    ("tags", "within", "until", "mode"),
    [
        (":bytimerelative 600", 600, None, "N"),
        (':bytimerelative 600 :bymode "Return"', 600, None, "R"),
        (':bytrace :bymode "return" :bytimerelative 600', 600, None, "RT"),
        (":copy :bytrace :bytimerelative 0", 0, None, "NT"),
        (':bytimeabsolute "2026-12-24T18:00:00+01:00"', None, 1_798_131_600, "N"),
        (':bytimeabsolute "2026-12-24t17:00:00z" :bymode "notify"', None, 1_798_131_600, "N"),
        ("", None, None, ""),
    ],
)
def test_the_time_goes_with_the_redirect(
    tags: str, within: float | None, until: float | None, mode: str
) -> None:
    found = actions(f'{REQUIRE} redirect {tags} "a@b.example";')[0]
    assert isinstance(found, Redirect)
    assert (found.within, found.until, found.by_mode) == (within, until, mode)


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        (':bytimeabsolute "tomorrow"', '":bytimeabsolute" needs a date'),
        (':bytimeabsolute "2026-12-24"', '":bytimeabsolute" needs a date'),
        (':bytimeabsolute "2026-12-24T18:00:00"', '":bytimeabsolute" needs a date'),
        (':bytimerelative 600 :bymode "panic"', '":bymode" knows "notify" and "return"'),
        (':bymode "return"', "need"),
        (":bytrace", "need"),
        (":bytimerelative 1000000000", "at most"),
        (':bytimerelative 1 :bytimeabsolute "2026-12-24T18:00:00Z"', ":bytime"),
    ],
)
def test_what_rfc_2852_does_not_know_is_refused(tags: str, said: str) -> None:
    assert said in refusal(f'{REQUIRE} redirect {tags} "a@b.example";')


@pytest.mark.parametrize("tags", [':bytimeabsolute "${x}"', ':bytimerelative 600 :bymode "${x}"'])
def test_a_variable_is_looked_at_when_it_is_there(tags: str) -> None:
    late = outcome(f'{REQUIRE} set "x" "soon"; redirect {tags} "a@b.example";')
    assert "soon" in late.fault


def test_it_must_be_required() -> None:
    said = refusal('redirect :bytimerelative 600 "a@b.example";')
    assert ':bytimerelative needs require "redirect-deliverby"' in said
