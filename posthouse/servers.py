"""The servers of the mail protocols, built from the house and the configuration in force."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable

from posthouse.config import Config
from posthouse.house import House
from posthouse.imap.server import ImapServer
from posthouse.managesieve.server import SieveServer
from posthouse.net.connection import Connection
from posthouse.places import jmap_session_url
from posthouse.pop3.server import Pop3Server
from posthouse.sieve.language import CAPABILITIES
from posthouse.smtp.events import Settings
from posthouse.smtp.extensions import Role
from posthouse.smtp.server import Services, SmtpServer

Serve = Callable[[Connection], Awaitable[None]]


def mail_servers(house: House, config: Config, tls: ssl.SSLContext | None) -> dict[str, Serve]:
    """By the protocol's name in `doors`."""
    plaintext = config.auth.plaintext
    return {
        **_smtp_servers(house, config, tls),
        "imap": ImapServer(
            store=house.store,
            directory=house.directory,
            hostname=config.hostname,
            message_size=config.limits.message_size,
            auth=config.auth,
            tls=tls,
            jmap_url=jmap_session_url(config),
            now=house.clock,
            names=house.household.names,
        ).serve,
        "pop3": Pop3Server(
            store=house.store,
            directory=house.directory,
            hostname=config.hostname,
            plaintext=plaintext,
            tls=tls,
            locks=house.storage.locks,
        ).serve,
        "sieve": SieveServer(
            scripts=house.sieve_scripts,
            directory=house.directory,
            hostname=config.hostname,
            extensions=CAPABILITIES,
            auth=config.auth,
            tls=tls,
        ).serve,
    }


def _smtp_servers(house: House, config: Config, tls: ssl.SSLContext | None) -> dict[str, Serve]:
    services = Services(
        directory=house.directory,
        policy=house.policy,
        pipeline=house.pipeline,
        refusals=house.refusals,
        store=house.store,
        budget=house.budget,
        clock=house.clock,
    )
    made: dict[str, Serve] = {}
    for role in Role:
        settings = Settings(
            hostname=config.hostname,
            role=role,
            message_size=config.limits.message_size,
            recipients=config.limits.recipients,
            tls_available=role is not Role.LMTP,
            login_required=role is Role.SUBMISSION,
        )
        server = SmtpServer(settings, services, tls_context=tls, plaintext_policy=config.auth.plaintext)
        made[role.value] = server.serve
    return made
