"""Where mail programs ask how to reach us, and the other well-known files of a mail host.

Thunderbird (two addresses), Outlook (POST of XML, and the JSON that leads there), Apple's profile, the MTA-STS
policy (RFC 8461 §3.3) and security.txt (RFC 9116). Only domains of ours are answered, and nothing here tells whether
an address exists.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from posthouse import limits
from posthouse.accounts.addresses import normalize_address
from posthouse.accounts.directory import Directory
from posthouse.message.address import normalize_domain
from posthouse.operations.client_setup import OUTLOOK, ClientSetup, read_request
from posthouse.operations.household import Household
from posthouse.store.model import Domain, DomainKind
from posthouse.web.origin import site_of

_HOSTS: Final = ("autoconfig.", "autodiscover.", "mta-sts.", "mail.", "www.")
"""Names that stand before a domain in the Host field."""
_AUTODISCOVER: Final = "/autodiscover/autodiscover.xml"
_KEPT: Final = {"cache-control": "max-age=3600"}


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says."""

    household: Household
    public_url: str = ""
    own_certificate: bool = False
    """The administrator gave one: only then is TLS to us good enough to be insisted on."""
    backups: tuple[str, ...] = ()
    """Other hosts in the MX records of our domains."""


class ClientSetupPages:
    """The files."""

    def __init__(self, setup: ClientSetup, directory: Directory, facts: Facts) -> None:
        self._setup = setup
        self._directory = directory
        self._facts = facts

    def routes(self) -> list[BaseRoute]:
        """What is answered here."""
        # Microsoft's own servers do not tell capitals from small letters, and its clients write them differently.
        words = ("autodiscover", "Autodiscover", "AutoDiscover")
        places = [f"/{folder}/{file}" for folder in words for file in words]
        return [
            Route("/mail/config-v1.1.xml", self.autoconfig, methods=["GET"]),
            Route("/.well-known/autoconfig/mail/config-v1.1.xml", self.autoconfig, methods=["GET"]),
            *(Route(f"{place}.xml", self.autodiscover, methods=["GET", "POST"]) for place in places),
            *(Route(f"{place}.json", self.autodiscover_json, methods=["GET"]) for place in places),
            *(
                Route(f"{place}.json/v1.0/{{address}}", self.autodiscover_json, methods=["GET"])
                for place in places
            ),
            Route("/apple.mobileconfig", self.mobileconfig, methods=["GET"]),
            Route("/.well-known/mta-sts.txt", self.mta_sts, methods=["GET"]),
            Route("/.well-known/security.txt", self.security, methods=["GET"]),
        ]

    async def _domain(self, name: str) -> Domain | None:
        """A domain of ours whose mailboxes are here."""
        try:
            found = await self._directory.domain(normalize_domain(name))
        except ValueError:
            return None
        return found if found is not None and found.kind is DomainKind.LOCAL else None

    async def _of_host(self, request: Request) -> Domain | None:
        host = (request.url.hostname or "").lower().rstrip(".")
        for prefix in ("", *_HOSTS):
            found = await self._domain(host.removeprefix(prefix)) if host.startswith(prefix) else None
            if found is not None:
                return found
        return None

    async def autoconfig(self, request: Request) -> Response:
        """Thunderbird: the address may come as a parameter; else the host's name tells the domain."""
        address = request.query_params.get("emailaddress", "")
        named = address.rpartition("@")[2]
        found = await self._domain(named) if named else await self._of_host(request)
        if found is None:
            return _nothing()
        return Response(self._setup.autoconfig(found.name), 200, _KEPT, "application/xml")

    async def autodiscover(self, request: Request) -> Response:
        """Outlook posts its address as XML."""
        if request.method == "GET":
            return self._elsewhere(request)
        body = bytearray()
        try:
            async for piece in request.stream():
                body += piece
                if len(body) > limits.AUTODISCOVER:
                    return PlainTextResponse("too large\n", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            asked = read_request(bytes(body))
            address = normalize_address(asked.address)
        except ClientDisconnect:
            return _nothing()
        except ValueError as fault:
            error = self._setup.autodiscover_error(600, str(fault), datetime.now(UTC))
            return Response(error, HTTPStatus.BAD_REQUEST, media_type="text/xml")
        if await self._domain(address.rpartition("@")[2]) is None:
            return _nothing()
        if asked.schema not in {"", OUTLOOK}:  # ActiveSync's, which tells of no IMAP
            error = self._setup.autodiscover_error(601, "Provider is not available", datetime.now(UTC))
            return Response(error, 200, media_type="text/xml")
        return Response(self._setup.autodiscover(address), 200, media_type="text/xml")

    def _elsewhere(self, request: Request) -> Response:
        """Outlook's last try is a GET at `autodiscover.DOMAIN` without TLS: it is led where our certificate is good."""
        ours = urlsplit(self._facts.public_url or f"https://{self._facts.household.name}")
        host = (request.url.hostname or "").lower()
        if ours.scheme == "https" and host.startswith("autodiscover.") and host != ours.hostname:
            return RedirectResponse(f"https://{ours.netloc}{_AUTODISCOVER}", HTTPStatus.FOUND)
        return PlainTextResponse("POST an Autodiscover request here.\n", HTTPStatus.METHOD_NOT_ALLOWED)

    async def autodiscover_json(self, request: Request) -> Response:
        """The second form only says where the first one is; it has no words for IMAP."""
        wish = request.query_params.get("Protocol", "").lower()
        if wish != "autodiscoverv1":
            return JSONResponse(
                {"ErrorCode": "InvalidProtocol", "ErrorMessage": "Only AutodiscoverV1 is offered."}, 400
            )
        base = site_of(request, self._facts.public_url).origin
        return JSONResponse({"Protocol": "AutodiscoverV1", "Url": f"{base}{_AUTODISCOVER}"})

    async def mobileconfig(self, request: Request) -> Response:
        """Apple's profile for an address; it holds nothing that the address and our name do not say."""
        try:
            address = normalize_address(request.query_params.get("address", ""))
            if await self._domain(address.rpartition("@")[2]) is None:
                return _nothing()
            profile = self._setup.mobileconfig(address, request.query_params.get("name", "")[:200])
        except ValueError:
            return _nothing()
        headers = {"content-disposition": 'attachment; filename="mail.mobileconfig"'}
        return Response(profile, 200, headers, "application/x-apple-aspen-config")

    async def mta_sts(self, request: Request) -> Response:
        """RFC 8461 §3.3: at `mta-sts.DOMAIN`. While our certificate is self-made there is no policy."""
        host = (request.url.hostname or "").lower()
        found = await self._domain(host.removeprefix("mta-sts.")) if host.startswith("mta-sts.") else None
        if found is None or not self._facts.own_certificate:
            return _nothing()
        lines = (
            "version: STSv1",
            "mode: enforce",
            # RFC 8461 §3.2: every host that mail may go to; a sender refuses the others.
            *(f"mx: {host}" for host in (*self._facts.household.policy_hosts(), *self._facts.backups)),
            f"max_age: {limits.MTA_STS_AGE}",
        )
        return PlainTextResponse("".join(f"{line}\r\n" for line in lines), 200, _KEPT)

    async def security(self, request: Request) -> Response:
        """RFC 9116 §2.5: whom to tell of a hole. Every domain has a postmaster."""
        found = await self._of_host(request)
        contact = f"postmaster@{found.name if found is not None else self._facts.household.name}"
        until = (datetime.now(UTC) + timedelta(days=limits.SECURITY_TXT_DAYS)).strftime("%Y-%m-%dT00:00:00Z")
        text = f"Contact: mailto:{contact}\nExpires: {until}\nPreferred-Languages: en, zh\n"
        return PlainTextResponse(text, 200, {"cache-control": "max-age=86400"})


def _nothing() -> Response:
    return PlainTextResponse("not found\n", HTTPStatus.NOT_FOUND)
