"""What another host of ours found about a message's origin, told on in our name and believed.

Mail that comes through our own backup MX (`inbound.trusted`) was examined there: its Authentication-Results field
stands between that host's Received and ours, where a reader who believes only what is above the first Received does
not look. So it is repeated above ours, with the name of the host that found it. Anything below that host's own
Received is a stranger's word and stays where it is. That Received also tells from where the message came to it: the
junk filter judges that client, not our own host.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

import msgspec

from posthouse.inbound.policy import normal_domain
from posthouse.message.headers import Headers, unfold
from posthouse.msgauth.authres import (
    NAME,
    PEER_NAME,
    POLICY,
    AuthResults,
    AuthResultsError,
    MethodResult,
    parse_authres,
)
from posthouse.msgauth.results import (
    Arc,
    Authentication,
    Disposition,
    Dkim,
    Dmarc,
    Iprev,
    Result,
    Spf,
    proved_domains,
)

_BY: Final = re.compile(rb"\sby\s+([A-Za-z0-9.-]+)", re.IGNORECASE)
_CLIENT: Final = re.compile(r"from\s+(\S+)(?=\s)(.*?)(?:\sby\s|$)", re.IGNORECASE | re.DOTALL)
_LOGIN: Final = re.compile(rb"\swith\s+(?:UTF8|E)?(?:SMTP|LMTP)S?A\b", re.IGNORECASE)
_SAID_BY_CLIENT: Final = re.compile(r"\b(?:helo|ehlo)[ =]\S+", re.IGNORECASE)
_BETWEEN: Final = re.compile(r"[\s()\[\];,]+")
NOTHING_FOUND: Final = Authentication(spf=Spf(result=Result.NONE))


class Client(msgspec.Struct, frozen=True):
    """Who gave a message to the host of ours that hands it on."""

    address: str
    helo: str


def vouched(headers: Headers) -> AuthResults | None:
    """What the host said; None: nothing, or what it said can't be told from a stranger's."""
    found, received = headers.spans([NAME]), headers.spans(["received"])
    if not found or not received or found[0] > received[0]:
        return None
    by = _BY.search(unfold(headers.all("received")[0]))
    try:
        said = parse_authres(unfold(headers.all(NAME)[0]))
    except AuthResultsError:
        return None
    if by is None or by[1].decode().lower() != said.host or not said.results:
        return None
    return said


def first_client(headers: Headers) -> Client | None:
    """From the topmost Received (RFC 5321 §4.4: the name the client gave, then its address).

    None: it tells no address, or the client is one of our people (RFC 3848: "with ESMTPSA"). What the client itself
    chose (its name) is not taken for an address.
    """
    received = headers.all("received")[:1]
    if received and _LOGIN.search(unfold(received[0])):
        return None
    said = _CLIENT.match(unfold(received[0]).decode("ascii", "replace").lstrip()) if received else None
    if said is None:
        return None
    for word in _BETWEEN.split(_SAID_BY_CLIENT.sub(" ", said[2])):
        try:
            return Client(str(ip_address(word.lower().removeprefix("ipv6:"))), said[1])
        except ValueError:
            continue
    return None


def as_found(said: AuthResults, domains: Iterable[str]) -> Authentication:
    """The results of the host as if we had found them, for these author domains (A-labels).

    What it does not say is not proved. A policy is what it says must be done (RFC 8601 §2.7's "policy" properties).
    """
    by_method: dict[str, list[MethodResult]] = {}
    for one in said.results:
        by_method.setdefault(one.method, []).append(one)
    spf = _spf(by_method.get("spf", []))
    dkim = tuple(_dkim(one) for one in by_method.get("dkim", []) if _result(one) is not Result.NONE)
    told = {normal_domain(one.properties.get("header.from", "")): one for one in by_method.get("dmarc", [])}
    dmarc = tuple(_dmarc(domain, told.get(domain), spf, dkim) for domain in domains)
    arc = by_method.get("arc", [])
    return Authentication(
        spf=spf,
        dkim=dkim,
        arc=Arc(result=_result(arc[0]) if arc else Result.NONE),
        dmarc=dmarc,
        iprev=_iprev(by_method.get("iprev", [])),
        aligned=proved_domains(dmarc),
    )


def _result(one: MethodResult) -> Result:
    try:
        return Result(one.result)
    except ValueError:
        return Result.NONE


def _spf(told: list[MethodResult]) -> Spf:
    """Of the reverse-path, where it is told; what is said of HELO beside it is only told on."""
    if not told:
        return Spf(result=Result.NONE)
    first = next((one for one in told if "smtp.mailfrom" in one.properties), told[0])
    properties = first.properties
    scope = "mailfrom" if "smtp.mailfrom" in properties else "helo"
    identity = properties.get(f"smtp.{scope}", "")
    return Spf(
        result=_result(first),
        domain=normal_domain(identity.rpartition("@")[2]),
        identity=identity,
        scope=scope,
    )


def _iprev(told: list[MethodResult]) -> Iprev:
    if not told:
        return Iprev(result=Result.NONE)
    properties = told[0].properties
    return Iprev(
        result=_result(told[0]),
        address=properties.get("policy.iprev", ""),
        name=properties.get(PEER_NAME, ""),
    )


def _dkim(told: MethodResult) -> Dkim:
    properties = told.properties
    return Dkim(
        result=_result(told),
        domain=normal_domain(properties.get("header.d", "")),
        selector=properties.get("header.s", ""),
        algorithm=properties.get("header.a", ""),
        mark=properties.get("header.b", ""),
    )


def _dmarc(domain: str, told: MethodResult | None, spf: Spf, dkim: tuple[Dkim, ...]) -> Dmarc:
    try:
        asked = Disposition(told.properties.get(POLICY, "")) if told is not None else Disposition.NONE
    except ValueError:
        asked = Disposition.NONE
    result = _result(told) if told is not None else Result.NONE
    failed = result is Result.FAIL
    return Dmarc(
        result=result,
        domain=domain,
        policy=asked,
        disposition=asked if failed else Disposition.NONE,
        spf_aligned=spf.result is Result.PASS and spf.scope == "mailfrom" and spf.domain == domain,
        dkim_aligned=any(one.passed and one.domain == domain for one in dkim),
    )
