"""Where outbound meets operations and inbound: the courier with the policies of others, who counts its sessions, and
who reports on them."""

from __future__ import annotations

from collections.abc import Callable, Container

from posthouse.config import Config, ConfigError
from posthouse.inbound.deliver import Deliverer
from posthouse.inbound.report_sender import ReportSender
from posthouse.inbound.tally import Tallies
from posthouse.msgauth.tls_report_writer import TlsSeen
from posthouse.operations.mta_sts_check import PolicyReader
from posthouse.outbound.attempt import Courier
from posthouse.outbound.dane import Dane
from posthouse.outbound.mta_sts import MtaSts
from posthouse.outbound.tls_policy import Opportunistic, TlsPolicies
from posthouse.resolver import ZoneResolver
from posthouse.store.interface import Store
from posthouse.web.report_post import ReportPost


def make_courier(
    config: Config,
    store: Store,
    resolver: ZoneResolver,
    ourselves: Container[str],
    *,
    tell: Callable[[str, TlsSeen], None],
    now: Callable[[], float],
) -> Courier:
    """The courier of a configuration. Raises ConfigError when `outbound.relay` cannot be read."""
    policies: TlsPolicies = Opportunistic()
    if config.outbound.mta_sts:
        policies = MtaSts(store, resolver, PolicyReader(resolver).read, now)
    if config.outbound.dane:
        policies = Dane(resolver, policies, port=config.outbound.port)
    try:
        return Courier(
            config.outbound,
            hostname=config.hostname,
            resolver=resolver,
            ourselves=ourselves,
            policies=policies,
            tell=tell,
        )
    except ValueError as fault:
        raise ConfigError(str(fault)) from fault


def make_report_sender(
    config: Config,
    resolver: ZoneResolver,
    tallies: Tallies,
    deliverer: Deliverer,
    store: Store,
    now: Callable[[], float],
) -> ReportSender:
    """Who sends the reports of a configuration, by mail and over HTTPS."""
    return ReportSender(
        store,
        resolver,
        tallies,
        deliverer.operations,
        post=ReportPost(resolver).post,
        hostname=config.hostname,
        now=now,
    )
