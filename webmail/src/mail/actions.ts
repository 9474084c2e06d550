// What one does with conversations: shown at once, with a note that takes it back.
import { ask } from '../design/ask.svelte'
import { nearDate } from '../design/format'
import { notify, trouble, undoable } from '../design/toasts.svelte'
import { t, type Key } from '../i18n/index.svelte'
import { Unreachable } from '../jmap/client'
import type { Email, Id, Mailbox, Patch, Role } from '../jmap/types'
import type { MessageList } from '../store/list.svelte'
import { mail, type MailStore } from '../store/mail.svelte'
import { at } from '../store/patch'
import { labelName, membersIn } from './conversation'
import { across } from './across'
import { allowedIn } from './allowed'
import { wayBack } from './deleted'
import { keywordOf } from './labels'
import { folderName, type Place } from './place'
import { saidOfJunk } from './sorting'

export interface Target {
  place: Place
  list: MessageList
  /** The rows' messages. */
  ids: Id[]
}

function emailsOf({ place, ids }: Target): Email[] {
  return ids.flatMap((id) => {
    const email = place.store.emails.get(id)
    return email ? membersIn(email, place) : []
  })
}
/** Those of the conversations' messages that an action on this folder moves: what lies in it; elsewhere all but what one wrote. */
export function movable(target: Target): Email[] {
  const { store } = target.place
  const box = target.place.mailbox?.id
  const drafts = store.role('drafts')?.id ?? ''
  const sent = store.role('sent')?.id ?? ''
  const all = emailsOf(target)
  if (box) return all.filter((email) => email.mailboxIds[box])
  const received = all.filter((email) => !email.mailboxIds[drafts] && !email.mailboxIds[sent])
  return received.length ? received : all
}

/**
 * The patch that puts a message into a folder from where one looks at it. It leaves the folder that is shown and no other that it lies in
 * too. A search or a view shows no folder: there it leaves the one that it lies in; of several only the inbox, unless it is thrown away.
 */
function moving({ mailboxIds }: Email, { store, mailbox }: Place, to: Mailbox): Patch {
  const all = Object.keys(mailboxIds)
  const inbox = store.role('inbox')?.id ?? ''
  if (!mailbox && (all.length === 1 || isHidden(to.role))) return { mailboxIds: { [to.id]: true } }
  const from = mailbox?.id ?? inbox
  return { ...(from !== to.id && mailboxIds[from] ? { [at('mailboxIds', from)]: null } : {}), [at('mailboxIds', to.id)]: true }
}

/** Change and, when the rows leave this list, take them out; then offer the way back. */
function perform(target: Target, updates: Record<Id, Patch>, said: string, leaves: boolean): void {
  const { store } = target.place
  const restore = leaves ? target.list.withdraw(target.ids) : () => {}
  const back = store.change(updates)
  if (!Object.keys(back).length) return void restore() // it was so already
  undoable(said, () => {
    restore()
    store.change(back)
  })
}

/** Move to a folder, of another account too: then what may not be taken away is copied. */
export function moveTo(target: Target, mailboxId: Id, said: Key = 'done.moved', store: MailStore = target.place.store): void {
  const mailbox = store.mailboxes.get(mailboxId)
  if (!mailbox) return
  if (store !== target.place.store) return void across(target, store, mailbox)
  if (!allowedIn(target.place).take) return
  const folders = { junk: store.role('junk')?.id, trash: store.role('trash')?.id }
  const updates: Record<Id, Patch> = {}
  for (const email of movable(target)) {
    const patch = moving(email, target.place, mailbox)
    updates[email.id] = { ...patch, ...saidOfJunk(email, patch, mailboxId, folders) }
  }
  const leaves = !target.place.mailbox || target.place.mailbox.id !== mailboxId
  perform(target, updates, t(said, { n: target.ids.length, folder: folderName(mailbox) }), leaves && (target.place.search === undefined || isHidden(mailbox.role)))
}
const isHidden = (role: Role | null) => role === 'trash' || role === 'junk'

function toRole(target: Target, role: Role, said: Key): void {
  const mailbox = target.place.store.role(role)
  if (mailbox) moveTo(target, mailbox.id, said)
}
export const archive = (target: Target) => toRole(target, 'archive', 'done.archived')
export const junk = (target: Target) => (target.place.mailbox?.role === 'junk' ? toRole(target, 'inbox', 'done.not-junk') : toRole(target, 'junk', 'done.junk'))

/** To the trash; from there, or where there is none, for ever and after a question. */
export async function remove(target: Target): Promise<void> {
  const { store, mailbox } = target.place
  if (!allowedIn(target.place).take) return
  const trash = store.role('trash')?.id
  const emails = movable(target)
  const isThere = mailbox?.role === 'trash' || (emails.length > 0 && emails.every(({ mailboxIds }) => trash !== undefined && mailboxIds[trash])) // also as a search finds it
  if (trash !== undefined && !isThere) return toRole(target, 'trash', 'done.deleted')
  const ids = emails.map((email) => email.id)
  if (!(await ask({ title: t('mail.delete-forever'), text: t('mail.delete-forever-ask', { n: ids.length }) + ' ' + wayBack(store, mailbox?.role ?? null), confirm: t('mail.delete-forever'), danger: true }))) return
  if (!(await destroy(ids, mailbox?.id ?? trash, store))) return
  target.list.withdraw(target.ids)
  notify(t('done.destroyed', { n: ids.length }))
}
/**
 * Destroy messages that lie in a folder; one that lies in another too only leaves that folder. Says so, and returns false, when the
 * server did not do it with all.
 */
export async function destroy(ids: Id[], from: Id | undefined, store: MailStore = mail): Promise<boolean> {
  const most = Math.min(store.client.limit('maxObjectsInSet', 500), store.client.limit('maxObjectsInGet', 500))
  let left = false
  try {
    for (let start = 0; start < ids.length; start += most) {
      const some = ids.slice(start, start + most)
      const update = from === undefined ? {} : await leaving(some, from, store)
      const batch = store.client.batch()
      const set = batch.set('Email', { update, destroy: some.filter((id) => !update[id]) })
      await batch.send()
      const { notDestroyed, notUpdated } = set.result
      left ||= Object.values({ ...notDestroyed, ...notUpdated }).some(({ type }) => type !== 'notFound')
    }
    if (left) trouble(t('state.rejected'))
  } catch (fault) {
    left = true
    trouble(t(fault instanceof Unreachable ? 'state.unreachable' : 'state.rejected'))
    store.meet(fault)
  }
  await store.sync()
  return !left
}

/** For those of the messages that lie elsewhere too: how they leave the folder. Throws what asking throws. */
async function leaving(ids: Id[], from: Id, store: MailStore): Promise<Record<Id, Patch>> {
  const batch = store.client.batch()
  const found = batch.get<Email>('Email', { ids, properties: ['id', 'mailboxIds'] })
  await batch.send()
  const shared = found.result.list.filter(({ mailboxIds }) => Object.keys(mailboxIds).some((id) => id !== from))
  return Object.fromEntries(shared.map(({ id }) => [id, { [at('mailboxIds', from)]: null }]))
}

function keyword(emails: Email[], name: string, on: boolean): Record<Id, Patch> {
  return Object.fromEntries(emails.map((email) => [email.id, { [at('keywords', name)]: on ? true : null }]))
}

/** Star the newest message, or take every star away. */
export function star(target: Target, on = !emailsOf(target).some((email) => email.keywords['$flagged'])): void {
  const { store } = target.place
  if (!allowedIn(target.place).label) return
  const emails = on ? target.ids.flatMap((id) => store.emails.get(id) ?? []) : emailsOf(target)
  store.change(keyword(emails, '$flagged', on))
}
/** Mark read or not; without a note, since the row shows it. */
export function markRead(target: Target, read: boolean): void {
  const { store } = target.place
  if (!allowedIn(target.place).markRead) return
  const emails = read ? emailsOf(target) : target.ids.flatMap((id) => store.emails.get(id) ?? [])
  const back = store.change(keyword(emails, '$seen', read))
  if (target.ids.length > 1 && Object.keys(back).length) undoable(t(read ? 'done.read' : 'done.unread', { n: target.ids.length }), () => void store.change(back))
}
/** Set or remove a label: an IMAP keyword, so that every client sees it. */
export function label(target: Target, name: string, on: boolean): void {
  const flag = keywordOf(name)
  if (flag && allowedIn(target.place).label) perform(target, keyword(emailsOf(target), flag, on), t(on ? 'done.labelled' : 'done.unlabelled', { label: labelName(flag) }), false)
}
/** New replies of a muted conversation don't call: they are read and archived at once (RFC 9979's $muted). */
export function mute(target: Target): void {
  if (!target.place.store.isOwn) return
  const emails = emailsOf(target)
  const on = !emails.some((email) => email.keywords['$muted'])
  perform(target, keyword(emails, '$muted', on), t(on ? 'done.muted' : 'done.unmuted'), false)
}

/** Out of sight until `when`; the server brings it back (docs/jmap-extensions.md). */
export async function snooze(target: Target, when: Date): Promise<void> {
  if (!allowedIn(target.place).snooze) return
  const mailbox = mail.role('snoozed') ?? (await makeSnoozed())
  if (!mailbox) return
  const until = when.toISOString().replace(/\.\d+/, '')
  const updates = Object.fromEntries(movable(target).map((email) => [email.id, { ...moving(email, target.place, mailbox), snoozed: { until } }]))
  perform(target, updates, t('done.snoozed', { when: nearDate(when) }), target.place.mailbox?.id !== mailbox.id)
}
async function makeSnoozed() {
  const batch = mail.client.batch()
  batch.set('Mailbox', { create: { snoozed: { name: 'Snoozed', role: 'snoozed' } } })
  await batch.send().catch((fault: unknown) => mail.meet(fault))
  await mail.sync()
  return mail.role('snoozed')
}
