"""Email/changes (RFC 8621 §4.3), and what changed for everything that is made of emails."""

from __future__ import annotations

from posthouse.jmap import ids
from posthouse.jmap.context import Context, Opened
from posthouse.jmap.errors import MethodError
from posthouse.jmap.standard import ChangesAnswer, ChangesArguments
from posthouse.jmap.states import Since, delta
from posthouse.store.account_model import EmailChange


async def visible_changes(context: Context, account_id: int, since: Since) -> list[EmailChange]:
    """Emails that changed, as `AccountMail.changes`. MethodError cannotCalculateChanges."""
    found = await context.mail(account_id).changes(since.asked_from)
    if found is None:
        raise MethodError("cannotCalculateChanges", "the state is too old")
    return [
        each for each in found if not (each.gone and (each.created_modseq, each.email_id) > since.place)
    ]  # what came and went since then was never told of


async def changes(context: Context, arguments: ChangesArguments) -> ChangesAnswer:
    """Email/changes."""
    account_id = context.account_number(arguments.account_id, opened=Opened.MAILBOXES)
    mail = context.mail(account_id)
    latest = await mail.state()
    since = mail.place(arguments.since_state, latest)
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
