"""Email/changes (RFC 8621 §4.3), and what changed for everything that is made of emails."""

from __future__ import annotations

import msgspec

from posthouse.jmap import ids
from posthouse.jmap.context import Context
from posthouse.jmap.errors import MethodError
from posthouse.jmap.mail import standing_of
from posthouse.jmap.standard import ChangesAnswer, ChangesArguments
from posthouse.jmap.states import Place, before, delta, parse_state
from posthouse.store.account_model import EmailChange


async def visible_changes(context: Context, account_id: int, since: Place) -> list[EmailChange]:
    """Emails that changed, by (modseq, email). Who got \\Deleted is gone (RFC 8621 §4.1.1).

    MethodError cannotCalculateChanges.
    """
    mail = context.mail(account_id)
    changes = await context.store.email_changes(account_id, before(since))
    if changes is None:
        raise MethodError("cannotCalculateChanges", "the state is too old")
    indexes = await mail.indexes()
    threads = await mail.threads([each.email_id for each in changes if not each.gone])
    return [
        each
        if each.gone or standing_of(indexes, each.email_id) is not None
        else msgspec.structs.replace(each, gone=True, thread_id=threads.get(each.email_id, each.email_id))
        for each in changes
    ]


def is_after(change: EmailChange, since: Place) -> bool:
    """Whether the email was created after a state."""
    return (change.created_modseq, change.email_id) > since


async def changes(context: Context, arguments: ChangesArguments) -> ChangesAnswer:
    """Email/changes."""
    account_id = context.account_number(arguments.account_id)
    latest = await context.mail(account_id).state()
    since = parse_state(arguments.since_state, latest)
    emails = await visible_changes(context, account_id, since)
    found = delta(((each.email_id, each) for each in emails), since, latest, arguments.max_changes)
    return ChangesAnswer(
        account_id=arguments.account_id,
        old_state=arguments.since_state,
        new_state=found.new_state,
        has_more_changes=found.more,
        created=[ids.encode(ids.EMAIL, n) for n in found.created],
        updated=[ids.encode(ids.EMAIL, n) for n in found.updated],
        destroyed=[ids.encode(ids.EMAIL, n) for n in found.destroyed],
    )
