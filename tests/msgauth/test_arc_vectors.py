"""All validation cases of the ARC test suite."""

from __future__ import annotations

from typing import Any

import pytest

from posthouse.msgauth.arc import Chain
from posthouse.msgauth.results import Result
from tests.fakes.resolver import FakeResolver
from tests.msgauth.messages import crlf, hashed, split
from tests.msgauth.vectors import folder, scenarios

SUITE = scenarios(folder("arc-test-suite") / "tests" / "arc-draft-validation-tests.yml")
CASES = [pytest.param(scenario, name, id=name) for scenario in SUITE for name in sorted(scenario["tests"])]
WANTED = {"None": Result.NONE, "Pass": Result.PASS, "Fail": Result.FAIL, "": Result.FAIL}


def test_the_suite_is_whole() -> None:
    assert len(CASES) == 171


@pytest.mark.parametrize(("scenario", "name"), CASES)
async def test_case(scenario: dict[str, Any], name: str) -> None:
    case = scenario["tests"][name]
    resolver = FakeResolver()
    for host, text in (scenario.get("txt-records") or {}).items():
        resolver.records[(host.lower(), "TXT")] = ['"' + " ".join(text.split()) + '"']
        resolver.names.add(host.lower())
    fields, body = split(crlf(case["message"].encode()))
    chain = Chain.of(fields)
    found = await chain.validate(hashed(body, chain.forms), resolver)
    assert found.result is WANTED[case["cv"] or ""], (found.reason, case.get("description"))
