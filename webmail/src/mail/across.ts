// Conversations carried from one account to another: copied there (RFC 8621 §4.7), and taken away here where that is allowed.
import { notify, trouble, undoable } from '../design/toasts.svelte'
import { t } from '../i18n/index.svelte'
import type { Email, Id, Mailbox, SetResponse } from '../jmap/types'
import type { MailStore } from '../store/mail.svelte'
import { at } from '../store/patch'
import { destroy, movable, type Target } from './actions'
import { allowedIn } from './allowed'
import { folderName } from './place'

interface Move {
  id: Id
  mailboxIds: Record<Id, boolean>
}

/** Copy messages from one account to another; the ids that they have there, by their old ones. */
async function carry(from: MailStore, to: MailStore, moves: Move[], take: boolean): Promise<Record<Id, Id>> {
  const most = to.client.limit('maxObjectsInSet', 500)
  const made: Record<Id, Id> = {}
  await from.outbox.settled(from.online)
  for (let start = 0; start < moves.length; start += most) {
    const batch = to.client.batch()
    const create = Object.fromEntries(moves.slice(start, start + most).map((move) => [move.id, move]))
    const call = batch.add<SetResponse>('Email/copy', { fromAccountId: from.client.accountId, create, onSuccessDestroyOriginal: take })
    try {
      await batch.send()
      for (const [old, { id }] of Object.entries(call.result.created ?? {})) made[old] = id
      const error = Object.values(call.result.notCreated ?? {})[0]
      if (error) trouble(t('state.failed', { why: error.description ?? error.type }))
    } catch (fault) {
      to.meet(fault)
      trouble(t('state.failed', { why: fault instanceof Error ? fault.message : '' }))
    }
  }
  await Promise.all([from.sync(), to.sync()])
  return made
}

export async function across(target: Target, to: MailStore, mailbox: Mailbox): Promise<void> {
  const from = target.place.store
  const take = allowedIn(target.place).take
  const emails = movable(target)
  const restore = take ? target.list.withdraw(target.ids) : () => {}
  const move = ({ id }: Email): Move => ({ id, mailboxIds: { [mailbox.id]: true } })
  const here = target.place.mailbox?.id ?? from.role('inbox')?.id ?? ''
  // What lies in several folders leaves only the one that is shown (see `moving` in actions.ts).
  const stays = emails.filter(({ mailboxIds }) => take && Object.keys(mailboxIds).length > 1)
  const goes = emails.filter((email) => !stays.includes(email))
  const made = { ...(await carry(from, to, goes.map(move), take)), ...(await carry(from, to, stays.map(move), false)) }
  const left = from.change(Object.fromEntries(stays.flatMap(({ id, mailboxIds }) => (made[id] && mailboxIds[here] ? [[id, { [at('mailboxIds', here)]: null }]] : []))))
  const said = t(take ? 'done.moved' : 'done.copied', { n: target.ids.length, folder: folderName(mailbox) })
  if (Object.keys(made).length < emails.length) return restore()
  if (!take) return void notify(said)
  const back = goes.flatMap(({ id, mailboxIds }) => (made[id] ? [{ id: made[id], mailboxIds }] : []))
  undoable(said, async () => {
    from.change(left)
    await carry(to, from, back, true)
    await destroy(stays.flatMap(({ id }) => made[id] ?? []), undefined, to)
  })
}
