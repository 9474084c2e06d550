"""The table of the mechanisms we speak, the strongest for passwords first; from it an offer is computed."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import Final

from posthouse.sasl.bearer import BearerExchange, XOAuth2Exchange
from posthouse.sasl.model import Mechanism
from posthouse.sasl.plain import LoginExchange, PlainExchange
from posthouse.sasl.scram import ScramExchange

_ROWS: Final = (
    Mechanism(
        name="SCRAM-SHA-256-PLUS",
        start=partial(ScramExchange, plus=True),
        reveals_password=False,
        binds_channel=True,
        rfc="RFC 7677",
    ),
    Mechanism(
        name="SCRAM-SHA-256",
        start=partial(ScramExchange, plus=False),
        reveals_password=False,
        binds_channel=False,
        rfc="RFC 7677",
    ),
    Mechanism(name="PLAIN", start=PlainExchange, reveals_password=True, binds_channel=False, rfc="RFC 4616"),
    Mechanism(
        name="LOGIN",
        start=LoginExchange,
        reveals_password=True,
        binds_channel=False,
        rfc="draft-murchison-sasl-login",
    ),
    # Last, for who takes the first that it knows means a password.
    Mechanism(
        name="OAUTHBEARER",
        start=BearerExchange,
        reveals_password=True,
        binds_channel=False,
        tls_only=True,  # RFC 7628 §3: TLS MUST be used
        rfc="RFC 7628",
    ),
    Mechanism(
        name="XOAUTH2",
        start=XOAuth2Exchange,
        reveals_password=True,
        binds_channel=False,
        tls_only=True,
        rfc="none",
    ),
)

SERVER_MECHANISMS: Final = MappingProxyType({row.name: row for row in _ROWS})
"""By name, in upper case, strongest first."""


def offered_mechanisms(
    *, tls: bool, loopback: bool, plaintext_policy: str, channel_binding: bool
) -> tuple[str, ...]:
    """The names to advertise on a connection, strongest first.

    `plaintext_policy` is `auth.plaintext`: "never", "loopback" or "always"; anything else counts as "never".
    """
    allowed = tls or plaintext_policy == "always" or (plaintext_policy == "loopback" and loopback)
    return tuple(
        row.name
        for row in _ROWS
        if (allowed or not row.reveals_password)
        and (not row.binds_channel or (tls and channel_binding))
        and (tls or not row.tls_only)
    )
