"""The house without its doors: store, directory, what happens to mail coming in and going out, administration.

`app.App` opens it to the network; a command that finds no server running opens it for itself (`cli.local`). `furnish`
builds what depends on the configuration, again at each reload; whoever uses the old things keeps them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import msgspec

from posthouse import limits
from posthouse.accounts.deleted_mail import DeletedMail
from posthouse.accounts.directory import Directory
from posthouse.accounts.masked_addresses import MaskedAddresses
from posthouse.accounts.security import Security
from posthouse.accounts.sieve_scripts import SieveScripts
from posthouse.clock import Clock
from posthouse.config import Config
from posthouse.dns_resolver import DnsResolver
from posthouse.errors import PosthouseError
from posthouse.inbound.authenticate import Authenticate, prove_sender
from posthouse.inbound.deliver import Deliverer
from posthouse.inbound.learnt_addresses import LearntAddresses
from posthouse.inbound.list_copies import Means
from posthouse.inbound.lists import MailingLists
from posthouse.inbound.mail import Mail, new_trace_id
from posthouse.inbound.milters import Milters
from posthouse.inbound.notices import Notice
from posthouse.inbound.outbox import Outbox
from posthouse.inbound.pipeline import Pipeline, standard_checks
from posthouse.inbound.policy import Policy
from posthouse.inbound.refusals import Refusals
from posthouse.inbound.sendmail import Sendmail
from posthouse.inbound.sent_on import SentOn
from posthouse.inbound.sieve_desk import ScriptDesk
from posthouse.inbound.sieving import let_scripts_act
from posthouse.inbound.sign import Signer
from posthouse.inbound.snooze import Waker
from posthouse.inbound.tally import Tallies
from posthouse.inbound.vacation import VacationResponder
from posthouse.judging import Alarm, Examiner, Judging, outgoing
from posthouse.junk.office import JunkOffice
from posthouse.notices import carry, notify
from posthouse.operations.administration import Administration, Method, Stream
from posthouse.operations.certificates import Certificates
from posthouse.operations.client_setup import ClientSetup
from posthouse.operations.dkim_keys import DkimKeys
from posthouse.operations.domain_records import DomainRecords
from posthouse.operations.domains import Domains
from posthouse.operations.freezing import Freezing
from posthouse.operations.mail_transfer import MailTransfer
from posthouse.operations.mailing_lists import MailingListDesk
from posthouse.operations.masking import Masking
from posthouse.operations.people import People
from posthouse.operations.queueing import Queue
from posthouse.operations.rejecting import Rejects
from posthouse.operations.reports import Reports
from posthouse.operations.retaining import Retaining
from posthouse.operations.returning import Returning
from posthouse.operations.suppressing import Suppressing
from posthouse.operations.timeline import Timeline
from posthouse.operations.undeleting import Undeleting
from posthouse.operations.upkeep import Duty, by_age
from posthouse.outbound.dsn import Notification
from posthouse.outbound.misplanned import wake_misplanned
from posthouse.outbound.mx_table import MxTable
from posthouse.outbound.ourselves import Ourselves
from posthouse.outbound.queue import QueueRunner
from posthouse.outbound.trace import Tracer
from posthouse.outbound.verify import RecipientVerifier
from posthouse.own_status import status_of
from posthouse.places import Paths, household_of, web_url
from posthouse.renewing import make_renewal
from posthouse.sending import make_courier, make_report_sender
from posthouse.sieve.validate import compile_script
from posthouse.smtp.reception import MemoryBudget
from posthouse.storage import Storage, make_backups, open_storage
from posthouse.store.interface import Op
from posthouse.store.model import Account


class House:
    """Everything but the listeners. `open` and `close`; `furnish` again after a reload."""

    def __init__(self, storage: Storage, directory: Directory, config: Config, clock: Clock) -> None:
        self.storage = storage
        self.store = store = storage.store
        self.clock = clock
        self.directory = directory
        self.security = Security.of(store, directory.bearers, storage.secret)
        self.refusals = Refusals(store)
        self.budget = MemoryBudget()
        self.listening: dict[str, list[str]] = {}
        """Listener name → where it is bound; empty while nothing is served."""
        self.started_at = clock()
        self.runner: QueueRunner | None = None
        self.signer = Signer(store.dkim_keys, hostname=config.hostname, seal=lambda: self.config.msgauth.seal)
        self.tallies = Tallies(store, lambda: self.config.msgauth, clock)
        self.junk = JunkOffice(self.store, self._alarm, clock, storage.may_do)
        if storage.gossip is not None:
            self.junk.share(storage.gossip.tell, storage.gossip.hear)
        self.outbox = Outbox(store, lambda: self.pipeline, self._notify, clock)
        self.learnt_addresses = LearntAddresses(store, clock)
        self.sieve_scripts = SieveScripts(store, compile_script)
        self.waker = Waker(store, clock)
        self.deleted_mail = DeletedMail(store, clock)
        self.retaining = Retaining(store, lambda: self.config.store, clock)
        self.masked_addresses = MaskedAddresses(store, clock)
        self.vacation = VacationResponder(
            store, directory, lambda: self.deliverer.operations, config.hostname, clock
        )
        self.sent_on = SentOn(store, directory, storage.secret, clock)
        self.lists = MailingLists(store, directory, storage.secret, clock)
        self.renewal = make_renewal(self, Paths(config.data))
        self.furnish(config)

    @classmethod
    async def open(
        cls,
        config: Config,
        *,
        serving: bool = False,
        roles: frozenset[str] = frozenset(),
        storage: Storage | None = None,
    ) -> Self:
        """Open the store (StoreUnavailable when somebody else has it) and build upon it.

        `serving`: with what a single command does not need (full-text index, jobs); `roles`: what we do.
        """
        paths = Paths(config.data)
        clock = Clock(config.testing.ahead if config.testing.clock else 0.0)
        for folder in (config.data, paths.run):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        storage = storage or await open_storage(config, clock, serving=serving, roles=roles)
        try:
            directory = Directory(
                storage.store,
                default_domain=config.auth.default_domain.lower(),
                default_quota=config.limits.account_quota,
                password_hash=config.auth.password_hash,
                secret=storage.secret,
                wall=clock,
            )
            if storage.gossip is not None:
                directory.share_failures(storage.gossip.tell, storage.gossip.hear)
            return cls(storage, directory, config, clock)
        except BaseException:
            await storage.close()
            raise

    def furnish(self, config: Config) -> None:
        """Build what depends on the configuration; who uses the old keeps it. After ConfigError nothing has changed."""
        resolver = DnsResolver(config.dns)
        household = household_of(config, self.storage.hosts)
        smtp, port = config.listen.smtp, config.outbound.port
        ourselves = Ourselves.of(config.hostname, smtp, port, household.names)
        self.courier = make_courier(
            config, self.store, resolver, ourselves, tell=self.tallies.note_session, now=self.clock
        )
        self.resolver, self.ourselves, self.household = resolver, ourselves, household
        self.config = config
        self.directory.default_domain = config.auth.default_domain.lower()
        self.directory.default_quota = config.limits.account_quota
        self.storage.configure(config)
        self.masked_addresses.domain = config.inbound.masked_domain
        verifier = RecipientVerifier(
            self.store, self.courier, cache=config.inbound.verify_cache, clock=self.clock
        )
        self.policy = Policy(
            self.directory,
            trusted=config.inbound.trusted,
            verify_recipient=verifier.verify,
            guard=self.junk.guard,
            prove_sender=partial(prove_sender, self.resolver) if config.msgauth.verify != "off" else None,
            returns=self.sent_on,
            lists=self.lists,
        )
        examiner = Examiner(self.resolver, config.msgauth, config.hostname)
        self.junk.furnish(config.junk, config.sending, self.resolver, examiner)
        judging = Judging(self.junk.judge, config.junk, self.junk.guard.suspicion)
        self.deliverer = self._make_deliverer(config)
        self.pipeline = Pipeline(
            hostname=config.hostname,
            our_names=household.names,
            store=self.store,
            policy=self.policy,
            deliverer=self.deliverer,
            refusals=self.refusals,
            checks=standard_checks(
                self.policy,
                self.directory,
                Authenticate(
                    self.resolver,
                    config.msgauth,
                    hostname=config.hostname,
                    authserv=household.name,
                    tell=self.tallies.note,
                    prefetch=self.resolver.prefetch,
                ),
            ),
            judge=None if config.junk.filter == "off" else judging,
            outgoing=self.learnt_addresses.beside(outgoing(self.junk)),
            milters=Milters(config.milter, self.store, config.hostname, config.limits.message_size),
        )
        self.reports = make_report_sender(
            config, self.resolver, self.tallies, self.deliverer, self.store, self.clock
        )
        self.client_setup = ClientSetup(household)
        self.renewal.settings = config.tls.acme
        self.pair = Paths(config.data).pair(config)
        self.administration = self._administration(config)

    def _make_deliverer(self, config: Config) -> Deliverer:
        signs = config.msgauth.sign
        deliverer = Deliverer(self.store, self.directory, self._notify, self.signer.sign if signs else None)
        means = Means(
            operations=deliverer.operations,
            sign=self.signer.sign_copies if signs else None,
            resolver=self.resolver,
            url=web_url(config),
        )
        self.lists.copies.furnish(means)
        self.sent_on.rewrites = config.inbound.rewrite_senders
        deliverer.lists, deliverer.sent_on = self.lists, self.sent_on
        deliverer.told_of = self.vacation.delivered
        let_scripts_act(deliverer, self.sieve_scripts, config.hostname, self.clock)
        return deliverer

    def _administration(self, config: Config) -> Administration:
        domains = Domains(self.store, self.clock)
        self.dkim_keys = DkimKeys(
            self.store,
            domains,
            self.resolver,
            rotate=config.msgauth.rotate,
            changed=self.signer.forget,
            now=self.clock,
        )
        domains.make_keys = self.dkim_keys.make_first
        records = DomainRecords(
            *(self.store, domains, self.resolver, self.household),
            certificate=self.pair.certificate,
            own_certificate=self.pair.own,
            backups=config.inbound.backups,
            sources=config.outbound.source,
            relay=config.outbound.relay,
            now=self.clock,
        )
        self.backups = make_backups(self.storage, config, self.clock)
        sendmail = Sendmail(
            self.pipeline,
            domain=config.auth.default_domain or config.hostname,
            message_size=config.limits.message_size,
            now=self.clock,
        )
        self.status = status_of(self, config, records)
        return Administration(
            domains=domains,
            people=People(
                self.store,
                domains,
                password_hash=config.auth.password_hash,
                default_domain=config.auth.default_domain,
                default_quota=config.limits.account_quota,
                now=self.clock,
            ),
            records=records,
            queue=Queue(self.store, self._forgive, self.clock),
            suppressing=Suppressing(self.store, self.clock),
            backups=self.backups,
            transfer=MailTransfer(self.store, default_domain=config.auth.default_domain),
            timeline=Timeline(self.store),
            status=self.status,
            extra={
                "sendmail": sendmail.sendmail,
                **Returning(self.store, self.clock).commands(),
                **self.retaining.commands(),
                **Masking(self.store, self.masked_addresses).commands(),
                **MailingListDesk(self.store, domains, self.clock).commands(),
                **Undeleting(self.store, self.deleted_mail, self.clock).commands(),
                "trace": Tracer(
                    *(self.directory, self.courier, sendmail.probe, self.sent_on.origin),
                    new_id=new_trace_id,
                    clock=self.clock,
                ).trace,
                "mx": MxTable(self.courier.route, self.directory.is_backup).mx,
                **self._trust_commands(),
                # Only a playground's configuration opens this door.
                **({"clock.advance": self._advance} if config.testing.clock else {}),
            },
        )

    def _trust_commands(self) -> dict[str, Method | Stream]:
        """Commands on reports, keys, certificates, junk."""
        return {
            **Certificates(self.pair.certificate, self.pair.own, self.renewal, self.clock).commands(),
            **ScriptDesk(self.store, self.directory, self.sieve_scripts, self.clock).commands(),
            **Freezing(self.store).commands(),
            **Rejects(self.store).commands(),
            **Reports(self.store).commands(),
            "reports.send": self.reports.reports_send,
            "domain.dkim": self.dkim_keys.domain_dkim,
            "domain.rotate": self.dkim_keys.dkim_rotate,
            "domain.forget-key": self.dkim_keys.dkim_remove,
            "spam.train": self.junk.desk.train,
            "spam.explain": self.junk.desk.explain,
            "account.held": self.junk.account_held,
            "account.release": self.junk.account_release,
        }

    def duties(self, *, jobs: bool = True) -> tuple[Duty, ...]:
        """What is done from time to time, by the configuration in force; `jobs`: also what one node does for all."""
        counts = Duty(name="dmarc counts", run=self._care_for_counts, every=limits.TALLY_FLUSH)
        if not jobs:
            return (counts,)
        shared = (
            Duty(name="dkim keys", run=lambda: self.dkim_keys.round()),  # noqa: PLW0108 - a reload makes it anew
            Duty(name="reports", run=self._send_reports),
            Duty(name="junk", run=self.junk.tidy),
            by_age("deleted mail", lambda: self.deleted_mail.tidy(self.config.store.deleted)),
            by_age("old mail", self.retaining.round),
            by_age("masked addresses", self.masked_addresses.tidy, every=limits.MASKED_LOOK),
            Duty(name="snoozed mail", run=self.waker.round, every=limits.SNOOZE_LOOK, first=1),
            Duty(name="clock", run=lambda: wake_misplanned(self.store, self.config.outbound, self.clock())),
        )
        return (counts, *map(self._by_one_node, shared))

    def _by_one_node(self, duty: Duty) -> Duty:
        async def run() -> None:
            if await self.storage.may_do(duty.name):
                await duty.run()

        return msgspec.structs.replace(duty, run=run)

    async def _care_for_counts(self) -> None:
        """What every process does with what it saw itself."""
        await self.tallies.flush()
        if self.config.msgauth.failure_reports:
            await self.reports.send_failures()

    async def _send_reports(self) -> None:
        settings = self.config.msgauth
        if settings.reports or settings.failure_reports or settings.tls_reports:
            await self.reports.round()

    async def _notify(self, mail: Mail, notices: tuple[Notice, ...]) -> None:
        await notify(mail, notices, self.config.hostname, self.deliverer.operations, self.store, self.clock)

    async def _carry(self, notification: Notification) -> Sequence[Op[Any]]:
        return await carry(notification, self.config.hostname, self.deliverer.operations)

    async def _alarm(self, account: Account, why: str) -> Sequence[Op[Any]]:
        alarm = Alarm(self.config.hostname, self.deliverer.operations, self.clock)
        return await alarm(account, why)

    def queue_runner(self) -> QueueRunner:
        """A runner of the queue by the configuration in force; `forgive` of later commands goes to it."""
        self.runner = QueueRunner(
            self.store, self.courier, carry=self._carry, clock=self.clock, new_id=new_trace_id
        )
        self.runner.failed = self.junk.sending.failed
        return self.runner

    async def _advance(self, *, seconds: float) -> float:
        """Move the clock on and look at the queue; how far ahead it is."""
        ahead = self.clock.advance(seconds)
        if self.runner is not None:
            self.runner.kick()
        return ahead

    def _forgive(self, destination: str) -> None:
        if self.runner is not None:
            self.runner.try_again(destination)

    async def close(self) -> None:
        """Finish what was begun, then let go of the files."""
        with contextlib.suppress(PosthouseError):  # statistics of a minute
            await self.tallies.flush()
        await self.vacation.close()
        await self.refusals.close()
        await self.courier.close()
        self.signer.close()
        self.directory.close()
        await self.storage.close()
