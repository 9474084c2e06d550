"""What browsers and JMAP programs meet, built of a house and its configuration: the web's part of `app.py`."""

from __future__ import annotations

from collections.abc import Callable

from posthouse.config import Config
from posthouse.house import House
from posthouse.jmap.context import Caches, Services
from posthouse.jmap.own_methods import OWN_EXTRAS
from posthouse.operations.administration import Administration
from posthouse.operations.retaining import defaults_of
from posthouse.web.acme import AcmePages
from posthouse.web.asgi import Settings, build
from posthouse.web.client_setup import ClientSetupPages, Facts
from posthouse.web.image_proxy import ImageProxy
from posthouse.web.leaving import LeavingPages
from posthouse.web.one_click import OneClick
from posthouse.web.pages import Pages
from posthouse.web.server import Application
from posthouse.web.web_push import VapidKey


def jmap_services(
    house: House,
    config: Config,
    *,
    administration: Callable[[], Administration],
    vapid: VapidKey,
    push_wanted: Callable[[int], None],
) -> Services:
    """What JMAP's methods work on."""
    return Services(
        store=house.store,
        directory=house.directory,
        caches=Caches.of(house.store),
        security=house.security,
        administration=administration,
        client_setup=house.client_setup,
        outbox=house.outbox,
        learnt_addresses=house.learnt_addresses,
        deleted_mail=house.deleted_mail,
        masked_addresses=house.masked_addresses,
        deleted_kept=config.store.deleted,
        retention=defaults_of(config.store),
        sieve_scripts=house.sieve_scripts,
        email_extras=OWN_EXTRAS,
        resolver=house.resolver,
        unsubscribe=OneClick(house.resolver).post,
        vapid=vapid.public,
        push_wanted=push_wanted,
        now=house.clock,
        hostname=config.hostname,
        message_size=config.limits.message_size,
    )


def web_application(house: House, config: Config, services: Services, pages: Pages) -> Application:
    """All that is served at `http` and `https`."""
    settings = Settings(plaintext=config.auth.plaintext, public_url=config.web.url)
    images = ImageProxy(house.storage.secret, house.resolver)
    facts = Facts(
        household=house.household,
        public_url=config.web.url,
        own_certificate=house.pair.own,
        backups=config.inbound.backups,
    )
    setup = ClientSetupPages(house.client_setup, house.directory, facts)
    well_known = (
        *setup.routes(),
        *AcmePages(house.renewal.challenges).routes(),
        *LeavingPages(house.lists.leave).routes(),
    )
    return build(services, settings, pages, images, house.security, well_known)
