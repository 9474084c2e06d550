"""A name server on loopback that knows nobody: the checks of arriving mail ask, and nothing leaves the machine."""

from __future__ import annotations

import socket
import threading

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rrset

AUTHORITY = "SOA a.nic.bench. nobody.nic.bench. 1 3600 900 604800 3600"


class NameServer:
    """Answers every question with NXDOMAIN, to be remembered for an hour (RFC 2308 §5)."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                packet, client = self._socket.recvfrom(4096)
            except OSError:
                return  # closed
            try:
                question = dns.message.from_wire(packet)
            except dns.exception.DNSException:
                continue
            answer = dns.message.make_response(question)
            answer.flags |= dns.flags.RA
            answer.set_rcode(dns.rcode.NXDOMAIN)
            kind, _, rest = AUTHORITY.partition(" ")
            answer.authority.append(dns.rrset.from_text(".", 3600, "IN", kind, rest))
            self._socket.sendto(answer.to_wire(), client)

    def close(self) -> None:
        """Stop answering."""
        self._socket.close()
