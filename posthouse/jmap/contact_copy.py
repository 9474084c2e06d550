"""ContactCard/copy (RFC 9610 §3.6, RFC 8620 §5.4): from another account that the caller may use."""

from __future__ import annotations

from typing import Any

from posthouse.jmap import ids
from posthouse.jmap.card_media import CARD
from posthouse.jmap.card_shelf import KIND
from posthouse.jmap.contacts import CARDS, set_cards
from posthouse.jmap.context import Context, Opened
from posthouse.jmap.errors import MethodError
from posthouse.jmap.faults import implicit_response
from posthouse.jmap.shared_contacts import contacts_of
from posthouse.jmap.standard import Answer, CopyArguments, SetArguments

Object = dict[str, Any]


class CardCopyAnswer(Answer, kw_only=True):
    """RFC 8620 §5.4."""

    from_account_id: str
    old_state: str
    new_state: str
    created: Object | None = None
    not_created: Object | None = None


async def copy_cards(context: Context, arguments: CopyArguments) -> list[tuple[str, Any]]:
    """ContactCard/copy (RFC 9610 §3.6)."""
    context.account_number(arguments.account_id)
    if arguments.from_account_id == arguments.account_id:
        raise MethodError("invalidArguments", "fromAccountId and accountId must differ")
    source_id = context.account_number(
        arguments.from_account_id, "fromAccountNotFound", opened=Opened.ADDRESS_BOOKS
    )
    sight, latest = contacts_of(context, source_id), await CARDS.state(context, source_id)
    source_state = str(latest) if sight is None else sight.state(latest)
    if arguments.if_from_in_state not in (None, source_state):
        raise MethodError("stateMismatch")
    numbers = [ids.decode(CARD, str(given.get("id", ""))) for given in arguments.create.values()]
    items = await context.store.items(source_id, KIND, [each for each in numbers if each is not None])
    whole = [CARDS.object_of(item) for item in items]
    present = {each["id"]: each for each in whole if sight is None or sight.card(each) is not None}
    create: dict[str, Object] = {}
    missing: Object = {}
    for creation_id, given in arguments.create.items():
        source = present.get(str(given.get("id", "")))
        if source is None:
            missing[creation_id] = {"type": "notFound"}
        else:
            wanted = source | given
            create[creation_id] = {name: value for name, value in wanted.items() if name != "id"}
    made = await set_cards(
        context,
        SetArguments(
            account_id=arguments.account_id, if_in_state=arguments.if_in_state, create=create or None
        ),
    )
    answer = CardCopyAnswer(
        account_id=arguments.account_id,
        from_account_id=arguments.from_account_id,
        old_state=made.old_state or "",
        new_state=made.new_state,
        created=made.created,
        not_created=((made.not_created or {}) | missing) or None,
    )
    responses: list[tuple[str, Any]] = [("ContactCard/copy", answer)]
    if arguments.on_success_destroy_original and made.created:
        destroy = SetArguments(
            account_id=arguments.from_account_id,
            if_in_state=arguments.destroy_from_if_in_state,
            destroy=[str(arguments.create[creation_id]["id"]) for creation_id in made.created],
        )
        # The copies are there all the same (RFC 8620 §5.4).
        responses.append(await implicit_response("ContactCard/set", set_cards(context, destroy)))
    return responses
