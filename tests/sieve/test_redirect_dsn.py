"""`redirect :notify :ret` (RFC 6009)."""

from __future__ import annotations

import pytest

from posthouse.sieve.actions import Redirect
from tests.sieve.running import actions, outcome, refusal

REQUIRE = 'require ["redirect-dsn", "copy", "variables"]; '


def test_what_the_sender_shall_hear_goes_with_the_redirect() -> None:
    script = 'redirect :copy :notify "success,failure" :ret "hdrs" "a@b.example";'
    found = actions(REQUIRE + script)[0]
    assert isinstance(found, Redirect)
    assert (found.notify, found.ret, found.address) == ("SUCCESS,FAILURE", "HDRS", "a@b.example")


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        (':notify "sometimes"', '":notify" knows NEVER'),
        (':notify "NEVER,FAILURE"', '":notify" knows NEVER'),
        (':notify "DELAY,DELAY"', '":notify" knows NEVER'),
        (':notify ""', '":notify" knows NEVER'),
        (':ret "half"', '":ret" knows FULL and HDRS'),
    ],
)
def test_what_rfc_3461_does_not_know_is_refused(tags: str, said: str) -> None:
    assert said in refusal(f'{REQUIRE} redirect {tags} "a@b.example";')
    name, value = tags.split(" ")
    late = outcome(f'{REQUIRE} set "x" {value}; redirect {name} "${{x}}" "a@b.example";')
    assert said in late.fault


def test_it_must_be_required() -> None:
    assert ':notify needs require "redirect-dsn"' in refusal('redirect :notify "NEVER" "a@b.example";')
