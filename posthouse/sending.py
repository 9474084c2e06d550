"""Where outbound meets operations and inbound: the courier with the policies of others, and who counts its sessions."""

from __future__ import annotations

from collections.abc import Callable, Container

from posthouse.config import Config, ConfigError
from posthouse.msgauth.tls_report_writer import TlsSeen
from posthouse.operations.mta_sts_check import PolicyReader
from posthouse.outbound.attempt import Courier
from posthouse.outbound.dane import Dane
from posthouse.outbound.mta_sts import MtaSts
from posthouse.outbound.tls_policy import Opportunistic, TlsPolicies
from posthouse.resolver import ZoneResolver
from posthouse.store.interface import Store


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
