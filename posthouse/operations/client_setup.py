"""How mail programs are set up: one table of our services, and the forms in which programs ask for it.

Thunderbird's autoconfig file, Outlook's autodiscover (XML; the JSON form only says where that is), Apple's profile.
All are made from `ClientSetup.services`; none ever holds a password. TLS from the first byte comes first (RFC 8314
§3). Pure.
"""

from __future__ import annotations

import plistlib
import uuid
from datetime import datetime
from typing import Any, Final
from xml.etree import ElementTree

import msgspec

from posthouse.operations.household import Household

AUTODISCOVER: Final = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
OUTLOOK: Final = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_NAMESPACE: Final = uuid.UUID("4b1f8a52-6f0e-5c1e-9a61-2a0a2c0f9d11")
"""Of the profiles' identifiers, so that a profile loaded again replaces the earlier one."""


class Service(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One way to reach us with a program."""

    protocol: str
    """"imap", "pop3", "smtp" or "managesieve"."""
    host: str
    port: int
    security: str
    """"tls" from the first byte, or "starttls"."""


_TABLE: Final = (
    ("imaps", "imap", "tls"),
    ("imap", "imap", "starttls"),
    ("pop3s", "pop3", "tls"),
    ("pop3", "pop3", "starttls"),
    ("submissions", "smtp", "tls"),
    ("submission", "smtp", "starttls"),
    ("sieve", "managesieve", "starttls"),
)
"""Listener, protocol, security; the better one first."""


class ClientSetup:
    """The services of this house."""

    def __init__(self, household: Household) -> None:
        self._household = household
        self._hostname = household.name

    @property
    def services(self) -> tuple[Service, ...]:
        """Those that are served now."""
        ports = self._household.ports()
        return tuple(
            Service(protocol=protocol, host=self._hostname, port=ports[listener], security=security)
            for listener, protocol, security in _TABLE
            if listener in ports
        )

    def best(self, protocol: str) -> Service | None:
        """The service to take for a protocol."""
        return next((service for service in self.services if service.protocol == protocol), None)

    # --- Thunderbird ---------------------------------------------------------------------------------

    def autoconfig(self, domain: str) -> bytes:
        """config-v1.1.xml; the user name stays a placeholder that the program fills.

        draft-ietf-mailmaint-autoconfig names the type `managesieve` too; it stands last, and a program that does not
        know it passes it over.
        """
        root = ElementTree.Element("clientConfig", version="1.1")
        provider = ElementTree.SubElement(root, "emailProvider", id=domain)
        _text(provider, "domain", domain)
        _text(provider, "displayName", domain)
        _text(provider, "displayShortName", domain)
        for service in self.services:
            outgoing = service.protocol == "smtp"
            name = "outgoingServer" if outgoing else "incomingServer"
            server = ElementTree.SubElement(provider, name, type=service.protocol)
            _text(server, "hostname", service.host)
            _text(server, "port", str(service.port))
            _text(server, "socketType", "SSL" if service.security == "tls" else "STARTTLS")
            _text(server, "username", "%EMAILADDRESS%")
            _text(server, "authentication", "password-cleartext")
        return _document(root)

    # --- Outlook -------------------------------------------------------------------------------------

    def autodiscover(self, address: str) -> bytes:
        """The answer to an Outlook that has told its address."""
        root = ElementTree.Element("Autodiscover", xmlns=AUTODISCOVER)
        response = ElementTree.SubElement(root, "Response", xmlns=OUTLOOK)
        _text(ElementTree.SubElement(response, "User"), "DisplayName", address)
        account = ElementTree.SubElement(response, "Account")
        _text(account, "AccountType", "email")
        _text(account, "Action", "settings")
        for kind in ("imap", "pop3", "smtp"):
            service = self.best(kind)
            if service is None:
                continue
            protocol = ElementTree.SubElement(account, "Protocol")
            _text(protocol, "Type", kind.upper())
            _text(protocol, "Server", service.host)
            _text(protocol, "Port", str(service.port))
            _text(protocol, "LoginName", address)
            _text(protocol, "DomainRequired", "off")
            _text(protocol, "SPA", "off")
            # Encryption stands above SSL; who does not know it shall fail rather than send a password in the clear.
            _text(protocol, "SSL", "on")
            _text(protocol, "AuthRequired", "on")
            if kind == "smtp":
                _text(protocol, "UsePOPAuth", "on")  # the incoming server's name and password
                _text(protocol, "SMTPLast", "off")
            _text(protocol, "Encryption", "SSL" if service.security == "tls" else "TLS")
        return _document(root)

    def autodiscover_error(self, code: int, message: str, now: datetime) -> bytes:
        """The answer to a request that can't be met: 600 it is none, 601 it asks for what is not here."""
        root = ElementTree.Element("Autodiscover", xmlns=AUTODISCOVER)
        response = ElementTree.SubElement(root, "Response", xmlns=AUTODISCOVER)
        error = ElementTree.SubElement(response, "Error", Time=now.strftime("%H:%M:%S"), Id="1")
        _text(error, "ErrorCode", str(code))
        _text(error, "Message", message)
        ElementTree.SubElement(error, "DebugData")
        return _document(root)

    # --- Apple ---------------------------------------------------------------------------------------

    def mobileconfig(self, address: str, name: str) -> bytes:
        """A profile for iPhone, iPad and Mac: IMAP (POP3 where that is all there is) and SMTP; ValueError.

        The device asks for the password.
        """
        incoming, smtp = self.best("imap") or self.best("pop3"), self.best("smtp")
        if incoming is None or smtp is None:
            raise ValueError("reading or sending is not offered here")
        domain = address.rpartition("@")[2]
        account: dict[str, Any] = {
            "PayloadType": "com.apple.mail.managed",
            "PayloadVersion": 1,
            "PayloadIdentifier": f"{domain}.mail.{_unique(address, 'mail')}",
            "PayloadUUID": _unique(address, "mail"),
            "PayloadDisplayName": address,
            "EmailAccountType": "EmailTypeIMAP" if incoming.protocol == "imap" else "EmailTypePOP",
            "EmailAccountName": name or address,
            "EmailAccountDescription": address,
            "EmailAddress": address,
            "SMIMEEnabled": False,
        }
        for prefix, service in (("IncomingMailServer", incoming), ("OutgoingMailServer", smtp)):
            account |= {
                f"{prefix}Authentication": "EmailAuthPassword",
                f"{prefix}HostName": service.host,
                f"{prefix}PortNumber": service.port,
                f"{prefix}UseSSL": True,
                f"{prefix}Username": address,
            }
        account["OutgoingPasswordSameAsIncomingPassword"] = True
        profile = {
            "PayloadType": "Configuration",
            "PayloadVersion": 1,
            "PayloadIdentifier": f"{domain}.posthouse.{_unique(address, 'profile')}",
            "PayloadUUID": _unique(address, "profile"),
            "PayloadDisplayName": address,
            "PayloadDescription": f"Mail for {address}",
            "PayloadOrganization": domain,
            "PayloadRemovalDisallowed": False,
            "PayloadContent": [account],
        }
        return plistlib.dumps(profile, sort_keys=False)


def _unique(address: str, what: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{what} {address}")).upper()


def _text(parent: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(parent, name).text = text


def _document(root: ElementTree.Element) -> bytes:
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


class Asked(msgspec.Struct, frozen=True):
    """What an autodiscover request says."""

    address: str
    schema: str
    """The form in which the answer is wanted; empty: it does not say."""


def read_request(body: bytes) -> Asked:
    """An autodiscover request. ValueError: it is not one.

    Whatever declares a document type or entities is refused unread: that is how XML is made to open files and to
    fill memory. The caller bounds the size.
    """
    if b"<!" in body.replace(b"<!--", b"") or b"\0" in body:
        raise ValueError("a document type is not taken")
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as fault:
        raise ValueError("this is not XML") from fault
    found = {element.tag.rpartition("}")[2]: (element.text or "").strip() for element in root.iter()}
    if not found.get("EMailAddress"):
        raise ValueError("no EMailAddress in the request")
    return Asked(found["EMailAddress"], found.get("AcceptableResponseSchema", ""))
