"""The PostgreSQL engine passes every kit."""

from __future__ import annotations

from tests.kits.blob_store import BlobKit
from tests.kits.changes import (
    EmailChangeKit,
    ItemKit,
    ItemNumberKit,
    MailboxChangeKit,
    ThreadKit,
    TwinKit,
    UploadKit,
)
from tests.kits.credentials import CredentialKit
from tests.kits.deleted import DeletedKit
from tests.kits.judgement import JudgementKit
from tests.kits.mail_store import ChangeKit, FlagKit, MailboxKit, MessageKit
from tests.kits.mailing_lists import MailingListKit
from tests.kits.masked import MaskedKit
from tests.kits.metadata import MetadataKit
from tests.kits.passages import PassageKit
from tests.kits.people import PeopleKit, TimelineKit
from tests.kits.queue import QueueKit
from tests.kits.replacing import ReplaceKit
from tests.kits.retention import RetentionKit, clock
from tests.kits.saved_dates import SavedDateKit
from tests.kits.sieve_scripts import SieveScriptKit
from tests.kits.sieving import FilingKit, SendingKit, post
from tests.kits.suppressions import SuppressionKit
from tests.kits.transfers import TransferKit
from tests.kits.trust import TrustKit

__all__ = ["clock", "post"]


class TestMailboxes(MailboxKit):
    pass


class TestMessages(MessageKit):
    pass


class TestBlobs(BlobKit):
    pass


class TestFlags(FlagKit):
    pass


class TestChanges(ChangeKit):
    pass


class TestQueue(QueueKit):
    pass


class TestJudgements(JudgementKit):
    pass


class TestDeleted(DeletedKit):
    pass


class TestMasked(MaskedKit):
    pass


class TestReplacing(ReplaceKit):
    pass


class TestRetention(RetentionKit):
    pass


class TestSavedDates(SavedDateKit):
    pass


class TestSuppressions(SuppressionKit):
    pass


class TestTransfers(TransferKit):
    pass


class TestMailingLists(MailingListKit):
    pass


class TestPeople(PeopleKit):
    pass


class TestCredentials(CredentialKit):
    pass


class TestTimeline(TimelineKit):
    pass


class TestTrust(TrustKit):
    pass


class TestEmailChanges(EmailChangeKit):
    pass


class TestMailboxChanges(MailboxChangeKit):
    pass


class TestTwins(TwinKit):
    pass


class TestPassages(PassageKit):
    pass


class TestThreads(ThreadKit):
    pass


class TestItems(ItemKit):
    pass


class TestUploads(UploadKit):
    pass


class TestItemNumbers(ItemNumberKit):
    pass


class TestMetadata(MetadataKit):
    pass


class TestSieveScripts(SieveScriptKit):
    pass


class TestFiling(FilingKit):
    pass


class TestSending(SendingKit):
    pass
