"""A small internet on one machine: DNS, several post offices, made of ordinary `posthouse serve` processes.

`from posthouse.playground import Playground` is the library; `posthouse playground` the command; the pytest
fixture of the same name is in `fixture.py`.
"""

from posthouse.playground.gate import Gate
from posthouse.playground.host import Host, HostSpec
from posthouse.playground.misbehaviour import CLOSE, SILENCE, TAKE_AND_CLOSE, TlsFault
from posthouse.playground.network import NetworkEvent, Playground
from posthouse.playground.scenarios import SCENARIOS, Scenario
from posthouse.playground.zones import Fault

__all__ = [
    "CLOSE",
    "SCENARIOS",
    "SILENCE",
    "TAKE_AND_CLOSE",
    "Fault",
    "Gate",
    "Host",
    "HostSpec",
    "NetworkEvent",
    "Playground",
    "Scenario",
    "TlsFault",
]
