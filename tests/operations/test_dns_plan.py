"""What the plan of a domain's DNS names: every way to reach us, and none that is not there."""

from __future__ import annotations

from posthouse.operations.dns_plan import PlanFacts, plan_records
from posthouse.store.model import Domain


def services(**ports: int) -> dict[str, str]:
    """The SRV records of mail programs: service → value."""
    facts = PlanFacts(
        hostname="mx.north.test",
        name="mail.north.test",
        mail_hosts=("mx.north.test",),
        policy_hosts=("mx.north.test",),
        senders=("mx.north.test",),
        ports=ports,
    )
    records = plan_records(Domain(name="north.test"), facts)
    return {record.name.partition(".")[0]: record.value for record in records if record.type == "SRV"}


def test_programs_find_every_listener_and_tls_from_the_first_byte_before_the_other():
    assert services(imap=143, imaps=993, submission=587, submissions=465, sieve=4190) == {
        "_submissions": "0 1 465 mail.north.test.",
        "_submission": "1 1 587 mail.north.test.",
        "_imaps": "0 1 993 mail.north.test.",
        "_imap": "1 1 143 mail.north.test.",
        "_sieve": "0 1 4190 mail.north.test.",
    }


def test_what_is_not_served_is_not_named():
    assert services(pop3=110) == {"_pop3": "1 1 110 mail.north.test."}
    assert services() == {}
