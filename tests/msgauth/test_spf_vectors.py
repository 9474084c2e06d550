"""All cases of the openspf test suite for RFC 7208."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from posthouse.msgauth.spf import SpfQuestion, check_spf
from posthouse.resolver import AddressAnswer, Mx, MxAnswer, NameAnswer, Status, TextAnswer
from tests.msgauth.vectors import folder, scenarios

SUITE = scenarios(folder("spf-rfc7208") / "test" / "rfc7208-tests.yml")


def _with_txt(entries: list[Any]) -> list[Any]:
    """The suite's rule: SPF entries stand for TXT ones too, unless the name has a TXT entry; NONE is none."""
    if not any(isinstance(entry, dict) and "TXT" in entry for entry in entries):
        entries = [*entries, *({"TXT": e["SPF"]} for e in entries if isinstance(e, dict) and "SPF" in e)]
    return [entry for entry in entries if entry != {"TXT": "NONE"}]


class SuiteResolver:
    """Answers from the suite's zone data, by the suite's own rules (SPF records stand for TXT records)."""

    def __init__(self, zone: dict[str, Any]) -> None:
        self._zone = {str(name).lower().rstrip("."): _with_txt(entries) for name, entries in zone.items()}

    def _values(self, name: str, kind: str, depth: int = 0) -> tuple[Status, list[Any]]:
        entries = self._zone.get(name.lower().rstrip("."))
        if depth > 8:
            return Status.TEMPORARY, []
        if entries is None:
            return Status.NO_NAME, []
        own = [entry[kind] for entry in entries if isinstance(entry, dict) and kind in entry]
        if own:
            return Status.FOUND, own
        if "TIMEOUT" in entries:
            return Status.TEMPORARY, []
        for entry in entries:
            if isinstance(entry, dict) and "CNAME" in entry:
                return self._values(entry["CNAME"], kind, depth + 1)
        return Status.NO_DATA, []

    async def txt(self, name: str) -> TextAnswer:
        status, own = self._values(name, "TXT")
        texts = tuple("".join(value) if isinstance(value, list) else value for value in own)
        return TextAnswer(status=status, name=name, records=texts)

    async def a(self, host: str) -> AddressAnswer:
        status, own = self._values(host, "A")
        return AddressAnswer(status=status, name=host, records=tuple(own))

    async def aaaa(self, host: str) -> AddressAnswer:
        status, own = self._values(host, "AAAA")
        return AddressAnswer(status=status, name=host, records=tuple(own))

    async def mx(self, domain: str) -> MxAnswer:
        status, own = self._values(domain, "MX")
        records = tuple(Mx(preference, str(host).rstrip(".").lower()) for preference, host in own)
        return MxAnswer(status=status, name=domain, records=records)

    async def ptr(self, address: str) -> NameAnswer:
        status, own = self._values(ipaddress.ip_address(address).reverse_pointer, "PTR")
        return NameAnswer(status=status, name=address, records=tuple(str(name) for name in own))


CASES = [
    pytest.param(scenario, name, id=f"{name}") for scenario in SUITE for name in sorted(scenario["tests"])
]


def test_the_suite_is_whole() -> None:
    assert len(CASES) == 203


@pytest.mark.parametrize(("scenario", "name"), CASES)
async def test_case(scenario: dict[str, Any], name: str) -> None:
    case = scenario["tests"][name]
    question = SpfQuestion(
        address=case["host"], reverse_path=case.get("mailfrom") or "", helo=case["helo"], receiver="receiver"
    )
    found = await check_spf(question, SuiteResolver(scenario["zonedata"]))
    wanted = case["result"] if isinstance(case["result"], list) else [case["result"]]
    assert found.result in wanted, f"{found.reason} ({case.get('description')})"
    explanation = case.get("explanation")
    if explanation is not None and found.result == "fail":
        assert found.explanation == ("" if explanation == "DEFAULT" else explanation)
