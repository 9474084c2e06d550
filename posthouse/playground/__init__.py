"""A small internet on one machine: DNS, several post offices, made of ordinary `posthouse serve` processes.

`from posthouse.playground import Playground` is the library; `posthouse playground` the command; the pytest
fixture of the same name is in `fixture.py`.
"""

from posthouse.playground.host import Host, HostSpec
from posthouse.playground.network import NetworkEvent, Playground
from posthouse.playground.scenarios import SCENARIOS, Scenario

__all__ = ["SCENARIOS", "Host", "HostSpec", "NetworkEvent", "Playground", "Scenario"]
