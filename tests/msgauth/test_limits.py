"""What strangers publish and send is looked at only so far: each bound at its edge and one beyond it."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from posthouse.limits import (
    ARC_SETS,
    DKIM_CLOCK_SKEW,
    DKIM_KEY_KEPT,
    DKIM_KEYS_KEPT,
    DKIM_RSA_LARGEST,
    DKIM_RSA_SMALLEST,
    DKIM_SIGNED_NAMES,
    DMARC_RECORD,
    DMARC_RECORDS_KEPT,
    DMARC_REPORT_URIS,
    DNS_NAME_RECORDS,
    FAILURE_REPORT_FIELDS,
    IPREV_NAMES,
    REPORT_DEPTH,
    REPORT_TEXT,
    SPF_ADDRESSES,
    SPF_EXPLANATION,
    SPF_RECORD,
    SPF_RECORDS_KEPT,
    TAG_LIST,
    TAGS,
    TLS_REPORT_POLICIES,
    TLS_REPORT_URIS,
)
from posthouse.msgauth import dkim_key, dmarc_record, spf_record
from posthouse.msgauth.aggregate_reader import read_aggregate
from posthouse.msgauth.arc import Chain
from posthouse.msgauth.dkim_key import KeyProblem, find_key
from posthouse.msgauth.dkim_sign import SigningKey, key_record, make_private_key
from posthouse.msgauth.dmarc import check_dmarc
from posthouse.msgauth.dmarc_record import parse_dmarc
from posthouse.msgauth.iprev import check_iprev
from posthouse.msgauth.report_reader import FailureReport, read_report
from posthouse.msgauth.report_unpack import ReportError
from posthouse.msgauth.results import Result, Spf
from posthouse.msgauth.spf import SpfQuestion, check_spf
from posthouse.msgauth.tags import TagError, parse_tags
from posthouse.msgauth.tls_report import read_tls_report
from posthouse.msgauth.tls_report_writer import reports_wanted
from tests.fakes.resolver import FakeResolver
from tests.msgauth.messages import NOW, crafted, split, verified

RAW = b"From: info@bank.test\r\nTo: x@y.test\r\nSubject: hello\r\n\r\ntext\r\n"
KEY = SigningKey(
    domain="bank.test", selector="s1", algorithm="ed25519-sha256", key=make_private_key("ed25519-sha256")
)
KEY_ZONE = f's1._domainkey.bank.test. TXT "{key_record(KEY.key)}"\n'
QUESTION = SpfQuestion(address="192.0.2.1", reverse_path="eve@bank.test", helo="mail.bank.test")


@pytest.mark.parametrize(
    ("before", "result"), [(SPF_ADDRESSES - 1, Result.PASS), (SPF_ADDRESSES, Result.FAIL)]
)
async def test_spf_compares_so_many_addresses(before: int, result: Result) -> None:
    others = "".join(f"bank.test. A 198.51.100.{number}\n" for number in range(before))
    zone = f'bank.test. TXT "v=spf1 a -all"\n{others}bank.test. A 192.0.2.1\n'
    assert (await check_spf(QUESTION, FakeResolver(zone))).result is result


@pytest.mark.parametrize(("length", "kept"), [(SPF_EXPLANATION, True), (SPF_EXPLANATION + 1, False)])
async def test_spf_repeats_so_long_an_explanation(length: int, kept: bool) -> None:
    text = "x" * length
    strings = " ".join(f'"{text[start : start + 255]}"' for start in range(0, length, 255))
    zone = f'bank.test. TXT "v=spf1 exp=why.bank.test -all"\nwhy.bank.test. TXT {strings}\n'
    found = await check_spf(QUESTION, FakeResolver(zone))
    assert found.result is Result.FAIL
    assert found.explanation == (text if kept else "")


def test_a_tag_list_has_so_many_tags() -> None:
    tags = "; ".join(f"t{number}=x" for number in range(TAGS))
    assert len(parse_tags(tags)) == TAGS
    with pytest.raises(TagError):
        parse_tags(f"{tags}; more=x")


@pytest.mark.parametrize(
    ("names", "result"), [(DKIM_SIGNED_NAMES, Result.PASS), (DKIM_SIGNED_NAMES + 1, Result.POLICY)]
)
async def test_a_signature_covers_so_many_names(names: int, result: Result) -> None:
    raw = crafted(RAW, KEY, h=":".join(["from"] * names))
    (found,) = await verified(raw, FakeResolver(KEY_ZONE))
    assert found.result is result


@pytest.mark.parametrize(
    ("late", "result"), [(DKIM_CLOCK_SKEW, Result.PASS), (DKIM_CLOCK_SKEW + 1, Result.PERMERROR)]
)
async def test_a_signature_counts_so_long_after_its_end(late: int, result: Result) -> None:
    raw = crafted(RAW, KEY, x=str(NOW - late))
    (found,) = await verified(raw, FakeResolver(KEY_ZONE))
    assert found.result is result


@pytest.mark.parametrize(
    ("bits", "usable"),
    [
        (DKIM_RSA_SMALLEST - 1, False),
        (DKIM_RSA_SMALLEST, True),
        (DKIM_RSA_LARGEST, True),
        (DKIM_RSA_LARGEST + 1, False),
        (16_384, False),
    ],
)
async def test_a_key_has_so_many_bits(bits: int, usable: bool) -> None:
    """RFC 8301 §3.2: shorter ones prove nothing. No key needs to be made: any odd modulus reads as one."""
    public = rsa.RSAPublicNumbers(65537, (1 << bits - 1) + 1).public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    record = f"v=DKIM1; p={base64.b64encode(der).decode()}"
    strings = " ".join(f'"{record[i : i + 255]}"' for i in range(0, len(record), 255))
    ask = find_key("s1", "bank.test", FakeResolver(f"s1._domainkey.bank.test. TXT {strings}\n"))
    if usable:
        assert (await ask).bits == bits
    else:
        with pytest.raises(KeyProblem) as problem:
            await ask
        assert problem.value.result is Result.POLICY


async def test_so_many_records_are_searched_for_a_key() -> None:
    name = "s1._domainkey.bank.test. TXT"
    others = f'{name} "v=spf1 -all"\n' * (DNS_NAME_RECORDS - 1)
    assert (await find_key("s1", "bank.test", FakeResolver(others + KEY_ZONE))).kind == "ed25519"
    with pytest.raises(KeyProblem):
        await find_key("s1", "bank.test", FakeResolver(f'{others}{name} "junk"\n{KEY_ZONE}'))


@pytest.mark.parametrize("sets", [ARC_SETS, ARC_SETS + 1])
def test_a_chain_has_so_many_sets(sets: int) -> None:
    fields = "".join(
        f"ARC-Seal: i={number}; a=rsa-sha256; cv={'none' if number == 1 else 'pass'}; d=a.test; s=s; b=eA==\r\n"
        f"ARC-Message-Signature: i={number}; a=rsa-sha256; d=a.test; s=s; h=from; bh=eA==; b=eA==\r\n"
        f"ARC-Authentication-Results: i={number}; a.test; none\r\n"
        for number in range(1, sets + 1)
    )
    chain = Chain.of(split(fields.encode() + RAW)[0])
    assert len(chain.sets) == (sets if sets <= ARC_SETS else 0)
    assert bool(chain.broken) is (sets > ARC_SETS)


def test_dmarc_reports_go_to_so_many_addresses() -> None:
    addresses = [f"a{number}@b.test" for number in range(DMARC_REPORT_URIS + 1)]
    record = parse_dmarc(f"v=DMARC1; p=none; rua={','.join(f'mailto:{one}' for one in addresses)}")
    assert record is not None
    assert list(record.aggregate_to) == addresses[:-1]


def test_tls_reports_go_to_so_many_addresses() -> None:
    addresses = [f"a{number}@b.test" for number in range(TLS_REPORT_URIS + 1)]
    wanted = reports_wanted([f"v=TLSRPTv1; rua={','.join(f'mailto:{one}' for one in addresses)}"])
    assert list(wanted.addresses) == addresses[:-1]


@pytest.mark.parametrize(("before", "result"), [(IPREV_NAMES - 1, Result.PASS), (IPREV_NAMES, Result.FAIL)])
async def test_so_many_names_are_asked_back(before: int, result: Result) -> None:
    reverse = "1.2.0.192.in-addr.arpa."
    zone = "".join(f"{reverse} PTR n{number}.test.\n" for number in range(before))
    resolver = FakeResolver(f"{zone}{reverse} PTR right.test.\nright.test. A 192.0.2.1\n")
    assert (await check_iprev("192.0.2.1", resolver)).result is result


def test_an_aggregate_report_is_so_deep() -> None:
    head = (
        "<report_metadata><org_name>o</org_name><report_id>1</report_id></report_metadata>"
        "<policy_published><domain>a.test</domain></policy_published>"
    )

    def nested(depth: int) -> bytes:
        return f"<feedback>{head}{'<x>' * (depth - 1)}{'</x>' * (depth - 1)}</feedback>".encode()

    assert read_aggregate(nested(REPORT_DEPTH)).policy.domain == "a.test"
    with pytest.raises(ReportError):
        read_aggregate(nested(REPORT_DEPTH + 1))


@pytest.mark.parametrize("policies", [TLS_REPORT_POLICIES, TLS_REPORT_POLICIES + 1])
def test_a_tls_report_has_so_many_policies(policies: int) -> None:
    one = '{"policy":{"policy-domain":"a.test"}}'
    document = f'{{"report-id":"1","policies":[{",".join([one] * policies)}]}}'.encode()
    if policies <= TLS_REPORT_POLICIES:
        assert len(read_tls_report(document).policies) == policies
    else:
        with pytest.raises(ReportError):
            read_tls_report(document)


@pytest.mark.parametrize(("count", "taken"), [(10**12, True), (10**12 + 1, False)])
def test_a_report_counts_so_many(count: int, taken: bool) -> None:
    """Sums of what strangers write must fit 64 bits."""
    failure = f'"failure-details":[{{"failed-session-count":{count}}}]'
    for part in (f'"summary":{{"total-successful-session-count":{count}}}', failure):
        document = (
            f'{{"report-id":"1","policies":[{{"policy":{{"policy-domain":"a.test"}},{part}}}]}}'.encode()
        )
        if taken:
            assert read_tls_report(document).report_id == "1"
        else:
            with pytest.raises(ReportError):
                read_tls_report(document)
    row = f"<source_ip>192.0.2.1</source_ip><count>{count}</count>"
    text = (
        "<feedback><report_metadata><org_name>o</org_name><report_id>1</report_id></report_metadata>"
        "<policy_published><domain>a.test</domain></policy_published>"
        f"<record><row>{row}</row><identifiers><header_from>a.test</header_from></identifiers></record></feedback>"
    )
    assert read_aggregate(text.encode()).messages == 10**12


def test_a_failure_report_is_cut_in_fields_and_texts() -> None:
    more = "".join(f"X-{number}: {'x' * (REPORT_TEXT + 1)}\r\n" for number in range(FAILURE_REPORT_FIELDS))
    raw = (
        "Content-Type: message/feedback-report\r\n\r\n"
        f"Feedback-Type: auth-failure\r\nReported-Domain: a.test\r\n{more}"
    )
    report = read_report(raw.encode())
    assert isinstance(report, FailureReport)
    assert len(report.fields) == FAILURE_REPORT_FIELDS
    assert len(report.fields["x-0"]) == REPORT_TEXT


async def test_spf_ends_with_the_third_question_without_an_answer() -> None:
    """RFC 7208 §4.6.4: two are allowed."""
    for terms, result in (
        ("a:n1.test a:n2.test ip4:192.0.2.1", Result.PASS),
        ("a:n1.test a:n2.test a:n3.test ip4:192.0.2.1", Result.PERMERROR),
    ):
        zone = f'bank.test. TXT "v=spf1 {terms} -all"\n'
        assert (await check_spf(QUESTION, FakeResolver(zone))).result is result


@pytest.mark.parametrize(("hosts", "result"), [(10, Result.PASS), (11, Result.PERMERROR)])
async def test_spf_asks_for_ten_mail_hosts(hosts: int, result: Result) -> None:
    """RFC 7208 §4.6.4: more than ten are an error, whichever of them fits."""
    zone = 'bank.test. TXT "v=spf1 mx -all"\n'
    zone += "".join(f"bank.test. MX {n} m{n}.test.\nm{n}.test. A 198.51.100.{n}\n" for n in range(hosts - 1))
    zone += f"bank.test. MX {hosts} own.test.\nown.test. A 192.0.2.1\n"
    assert (await check_spf(QUESTION, FakeResolver(zone))).result is result


def spaced(record: str, length: int) -> str:
    """The record with spaces before its last term, so long, as a line of a zone."""
    begin, _, last = record.rpartition(" ")
    text = begin + " " * (length - len(begin) - len(last)) + last
    assert len(text) == length
    return " ".join(f'"{text[i : i + 255]}"' for i in range(0, length, 255))


@pytest.mark.parametrize(("longer", "result"), [(0, Result.PASS), (1, Result.PERMERROR)])
async def test_spf_reads_a_record_of_so_many_characters(longer: int, result: Result) -> None:
    record = spaced("v=spf1 ip4:192.0.2.1 -all", SPF_RECORD + longer)
    assert (await check_spf(QUESTION, FakeResolver(f"bank.test. TXT {record}\n"))).result is result


@pytest.mark.parametrize(("label", "result"), [(63, Result.PASS), (64, Result.NONE)])
async def test_spf_asks_for_no_name_that_cannot_exist(label: int, result: Result) -> None:
    """RFC 7208 §4.3, RFC 1035 §2.3.4."""
    domain = f"{'x' * label}.test"
    resolver = FakeResolver(f'{domain}. TXT "v=spf1 ip4:192.0.2.1 -all"\n')
    question = SpfQuestion(address="192.0.2.1", reverse_path=f"eve@{domain}", helo="mail.bank.test")
    assert (await check_spf(question, resolver)).result is result
    assert bool(resolver.asked) is (label == 63)


def test_a_tag_list_has_so_many_characters() -> None:
    assert parse_tags("a=" + "x" * (TAG_LIST - 2))
    with pytest.raises(TagError):
        parse_tags("a=" + "x" * (TAG_LIST - 1))


@pytest.mark.parametrize(("length", "domain"), [(200, "bank.test"), (254, "")])
async def test_a_selector_is_no_longer_than_a_name(length: int, domain: str) -> None:
    """What a stranger writes there goes into reports and is counted for them."""
    selector = ".".join(["s" * 40] * 6)[:length].ljust(length, "x")
    (found,) = await verified(crafted(RAW, KEY, s=selector), FakeResolver())
    assert found.result is not Result.PASS
    assert (found.domain, len(found.selector)) == (domain, length if domain else 0)


@pytest.mark.parametrize(("longer", "known"), [(0, True), (1, False)])
def test_a_dmarc_record_has_so_many_characters(longer: int, known: bool) -> None:
    record = "v=DMARC1; p=reject; x="
    assert (parse_dmarc(record.ljust(DMARC_RECORD + longer, "x")) is not None) is known


async def test_a_walk_for_dmarc_asks_eight_questions_at_most() -> None:
    """RFC 9989 §4.10: the name itself, then at most the last seven labels."""
    resolver = FakeResolver()
    await check_dmarc(".".join("abcdefghijklmnopqrstuvwxyz"), Spf(result=Result.NONE), (), resolver)
    names = [name for _, name in resolver.asked if name.startswith("_dmarc.")]
    assert len(names) == 8
    assert names[1] == "_dmarc.t.u.v.w.x.y.z"


def test_an_address_for_reports_begins_no_line_of_a_log_or_a_dialogue() -> None:
    record = parse_dmarc(
        "v=DMARC1; p=none; rua=mailto:x%0d%0aRSET@bank.test,mailto:y%00@b.test,mailto:z@b.test"
    )
    assert record is not None
    assert record.aggregate_to == ("z@b.test",)


def test_records_and_keys_in_parsed_form_are_bounded() -> None:
    for kept, most in (
        (spf_record._parse, SPF_RECORDS_KEPT),
        (dmarc_record._parse, DMARC_RECORDS_KEPT),
        (dkim_key._parse_kept, DKIM_KEYS_KEPT),
    ):
        assert kept.cache_info().maxsize == most <= 4096
    before = dkim_key._parse_kept.cache_info().currsize
    dkim_key.parse_key("v=DKIM1; p=".ljust(DKIM_KEY_KEPT + 1, "x"))
    assert dkim_key._parse_kept.cache_info().currsize == before
    dkim_key.parse_key("v=DKIM1; p=".ljust(DKIM_KEY_KEPT, "x"))
    assert dkim_key._parse_kept.cache_info().currsize in (before + 1, DKIM_KEYS_KEPT)
