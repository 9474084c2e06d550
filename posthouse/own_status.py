"""Who answers whether the house is in order, built of a house and its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthouse.config import Config
from posthouse.operations.domain_records import DomainRecords
from posthouse.operations.status import HouseFacts, HouseStatus

if TYPE_CHECKING:
    from posthouse.house import House


def status_of(house: House, config: Config, records: DomainRecords) -> HouseStatus:
    """By this configuration; what changes meanwhile is asked of the house each time."""
    facts = HouseFacts(
        household=house.household,
        data=config.data,
        certificate=house.pair.certificate,
        own_certificate=house.pair.own,
        standing=house.renewal.standing,
        connections=config.limits.connections,
    )
    return HouseStatus(
        house.store,
        records,
        facts,
        house.backups,
        listening=lambda: house.listening,
        probe_objects=house.storage.probe_objects,
        started_at=house.started_at,
        now=house.clock,
    )
