"""The operations of the store's contract that both engines carry out with the same function (a family a file)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from posthouse.store import care, judgement
from posthouse.store import credentials as proofs
from posthouse.store import deleted as deleted_mail
from posthouse.store import interface as ops
from posthouse.store import mailing_lists as list_ops
from posthouse.store import masked as masked_ops
from posthouse.store import metadata as mailbox_metadata
from posthouse.store import retention as old_mail
from posthouse.store import trust as trust_ops
from posthouse.store.sql import (
    copying,
    credentials,
    deleted,
    expunging,
    items,
    mailboxes,
    mailing_lists,
    masked,
    messages,
    metadata,
    people,
    placements,
    queue,
    retention,
    suppressions,
    timeline,
    transfers,
    trust,
    uploads,
)
from posthouse.store.sql import judgement as judging
from posthouse.store.sql.transaction import Transaction

SHARED: Final[dict[type[ops.Op[Any]], Callable[[Transaction, Any], Any]]] = {
    ops.CreateMailbox: mailboxes.create,
    ops.RenameMailbox: mailboxes.rename,
    ops.DeleteMailbox: mailboxes.delete,
    ops.SetRole: mailboxes.set_role,
    care.KeepUids: transfers.keep_uids,
    care.NoteTransferred: transfers.note,
    ops.Subscribe: mailboxes.subscribe,
    ops.ArrangeMailbox: mailboxes.arrange,
    ops.PutItem: items.put,
    ops.RemoveItem: items.remove,
    mailbox_metadata.SetMetadata: metadata.put,
    ops.AddUpload: uploads.add,
    ops.RemoveUpload: uploads.remove,
    ops.PruneUploads: uploads.prune,
    care.PutSuppression: suppressions.put,
    care.RemoveSuppression: suppressions.remove,
    care.NoteRefusal: suppressions.note_refusal,
    care.ForgetRefusals: suppressions.forget_refusals,
    judgement.PutMemo: judging.put_memo,
    judgement.RemoveMemo: judging.remove_memo,
    judgement.PruneMemos: judging.prune_memos,
    judgement.EndLesson: judging.end_lesson,
    ops.AddEmail: messages.add,
    ops.CopyEmails: copying.copy,
    ops.MoveEmails: copying.move,
    ops.PlaceEmails: copying.place,
    ops.SetFlags: placements.set_flags,
    ops.Expunge: expunging.expunge,
    deleted_mail.RestoreEmails: deleted.restore,
    deleted_mail.ForgetDeleted: deleted.forget,
    old_mail.SetRetention: retention.put,
    old_mail.RemoveOld: retention.remove_old,
    ops.PutDomain: people.put_domain,
    ops.RemoveDomain: people.remove_domain,
    ops.AddAccount: people.add_account,
    ops.PutAccount: people.put_account,
    ops.RemoveAccount: people.remove_account,
    ops.PutAlias: people.put_alias,
    ops.RemoveAlias: people.remove_alias,
    list_ops.PutList: mailing_lists.put,
    list_ops.RemoveList: mailing_lists.remove,
    list_ops.AddMembers: mailing_lists.add_members,
    list_ops.RemoveMembers: mailing_lists.remove_members,
    list_ops.NoteListBounce: mailing_lists.note_bounce,
    masked_ops.AddMasked: masked.add,
    masked_ops.PutMasked: masked.put,
    masked_ops.NoteMasked: masked.note,
    masked_ops.RemoveMasked: masked.remove,
    ops.AddAppPassword: people.add_app_password,
    ops.RemoveAppPassword: people.remove_app_password,
    ops.TouchAppPassword: people.touch_app_password,
    proofs.AddCredential: credentials.add,
    proofs.PutCredential: credentials.put,
    proofs.TouchCredential: credentials.touch,
    proofs.RemoveCredentials: credentials.remove,
    proofs.PruneCredentials: credentials.prune,
    ops.RememberRecipient: people.remember_recipient,
    ops.RecordEvents: timeline.record,
    trust_ops.PutDkimKey: trust.put_key,
    trust_ops.RemoveDkimKey: trust.remove_key,
    trust_ops.TallyDmarc: trust.tally,
    trust_ops.ForgetTallies: trust.forget_tallies,
    trust_ops.AddReport: trust.add_report,
    trust_ops.PruneReports: trust.prune_reports,
    trust_ops.PutMute: trust.put_mute,
    trust_ops.RemoveMute: trust.remove_mute,
    ops.ReleaseLease: queue.release_lease,
    ops.RecordOutcomes: queue.record_outcomes,
    ops.ChangeQueued: queue.change_queued,
    ops.WakeDestination: queue.wake_destination,
}
