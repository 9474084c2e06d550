"""The DNS of the benchmark's senders, so that checking them costs what it costs in life: found, and then remembered.

    python bench/name_server.py PORT

Answers on loopback over UDP: example.net lets this machine send and has a DMARC record; nothing else exists.
"""

from __future__ import annotations

import socket
import sys
from typing import Final

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

TTL: Final = 3600
SOA: Final = "example.net. 3600 IN SOA ns.example.net. postmaster.example.net. 1 3600 600 86400 3600"
ZONE: Final = {
    ("example.net.", "TXT"): '"v=spf1 ip4:127.0.0.0/8 -all"',
    ("_dmarc.example.net.", "TXT"): '"v=DMARC1; p=none"',
    ("1.0.0.127.in-addr.arpa.", "PTR"): "load.example.net.",
    ("load.example.net.", "A"): "127.0.0.1",
}


def reply(packet: bytes) -> bytes:
    """The answer to one question."""
    query = dns.message.from_wire(packet)
    question = query.question[0]
    response = dns.message.make_response(query, recursion_available=True)
    name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
    data = ZONE.get((name, kind))
    if data is not None:
        response.answer.append(dns.rrset.from_text(question.name, TTL, "IN", kind, data))
        return response.to_wire()
    if not any(known == name for known, _ in ZONE):
        response.set_rcode(dns.rcode.NXDOMAIN)
    origin, ttl, _, _, *rest = SOA.split(" ")
    response.authority.append(dns.rrset.from_text(origin, int(ttl), "IN", "SOA", " ".join(rest)))
    return response.to_wire()


_ready: dict[bytes, bytes] = {}
"""Question without its number → answer without its number: a filter may ask the same hundred things of each message."""


def answer(packet: bytes) -> bytes:
    """The same, remembered."""
    known = _ready.get(packet[2:])
    if known is None:
        known = reply(packet)[2:]
        if len(_ready) < 10_000:
            _ready[packet[2:]] = known
    return packet[:2] + known


def main() -> None:
    """Serve until killed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", int(sys.argv[1])))
        while True:
            packet, asker = listener.recvfrom(4096)
            listener.sendto(answer(packet), asker)


if __name__ == "__main__":
    main()
