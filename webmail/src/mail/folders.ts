// Making, renaming, emptying and deleting folders.
import CalendarClock from '@lucide/svelte/icons/calendar-clock'
import FolderPlus from '@lucide/svelte/icons/folder-plus'
import MailOpen from '@lucide/svelte/icons/mail-open'
import Pencil from '@lucide/svelte/icons/pencil'
import Trash from '@lucide/svelte/icons/trash-2'
import UserPlus from '@lucide/svelte/icons/user-plus'
import { ask, askText } from '../design/ask.svelte'
import type { Item } from '../design/Menu.svelte'
import { notify, trouble } from '../design/toasts.svelte'
import { t } from '../i18n/index.svelte'
import { PRINCIPALS, Unreachable } from '../jmap/client'
import type { Email, Id, Mailbox, QueryResponse } from '../jmap/types'
import { canLimit } from '../keep/days'
import { askHowLong } from '../keep/keeping.svelte'
import { go, route } from '../router.svelte'
import { mail, type MailStore } from '../store/mail.svelte'
import { at } from '../store/patch'
import { destroy } from './actions'
import { wayBack } from './deleted'
import { folderBase, folderName } from './place'
import { share } from '../share/sharing.svelte'

/** Folders that are about what one does oneself. */
const PRIVATE = ['drafts', 'scheduled', 'snoozed', 'trash']

export function folderMenu(mailbox: Mailbox, store: MailStore = mail): Item[] {
  const name = folderName(mailbox)
  const rights = mailbox.myRights
  const items: Item[] = []
  if (rights['maySetSeen'] !== false) items.push({ label: t('folder.mark-read'), icon: MailOpen, run: () => void markAllRead(mailbox, store) })
  if (!mailbox.role && rights['mayCreateChild'] !== false) items.push({ label: t('folder.new-in', { name }), icon: FolderPlus, run: () => void createFolder(mailbox, store) })
  if (!mailbox.role && rights['mayRename'] !== false) items.push({ label: t('act.rename'), icon: Pencil, run: () => void renameFolder(mailbox, store) })
  if (store.isOwn && mail.client.has(PRINCIPALS) && !PRIVATE.includes(mailbox.role ?? '')) items.push({ label: t('share.menu'), icon: UserPlus, run: () => share(mailbox) })
  if (store.isOwn && canLimit(mailbox)) items.push({ label: t('keep.menu'), icon: CalendarClock, run: () => askHowLong(mailbox) })
  if (mailbox.role === 'trash' || mailbox.role === 'junk') items.push({ label: t('folder.empty', { name }), icon: Trash, danger: true, run: () => void emptyFolder(mailbox) })
  if (!mailbox.role && rights['mayDelete'] !== false) items.push({ label: t('act.delete'), icon: Trash, danger: true, apart: true, run: () => void deleteFolder(mailbox, store) })
  return items
}

/** One Mailbox/set; whether the server took it. */
async function set(store: MailStore, args: Record<string, unknown>): Promise<boolean> {
  const batch = store.client.batch()
  const call = batch.set('Mailbox', args)
  try {
    await batch.send()
    const { notCreated, notUpdated, notDestroyed } = call.result
    const error = Object.values({ ...notCreated, ...notUpdated, ...notDestroyed })[0]
    if (error) trouble(t('state.failed', { why: error.description ?? error.type }))
    return !error
  } catch (fault) {
    store.meet(fault)
    trouble(t('state.failed', { why: fault instanceof Error ? fault.message : '' }))
    return false
  } finally {
    await store.sync()
  }
}

export async function createFolder(parent: Mailbox | null, store: MailStore = mail): Promise<void> {
  const title = parent ? t('folder.new-in', { name: folderName(parent) }) : t('folder.new')
  const name = (await askText({ title, confirm: t('act.create'), field: { label: t('folder.name'), value: '' } }))?.trim()
  if (name && (await set(store, { create: { made: { name, parentId: parent?.id ?? null } } }))) notify(t('folder.created', { name }))
}

async function renameFolder(mailbox: Mailbox, store: MailStore): Promise<void> {
  const title = t('folder.rename', { name: folderName(mailbox) })
  const name = (await askText({ title, confirm: t('act.rename'), field: { label: t('folder.name'), value: mailbox.name } }))?.trim()
  if (!name || name === mailbox.name) return
  store.mailboxes.set(mailbox.id, { ...mailbox, name })
  if (!(await set(store, { update: { [mailbox.id]: { name } } }))) store.mailboxes.set(mailbox.id, mailbox)
}

async function deleteFolder(mailbox: Mailbox, store: MailStore): Promise<void> {
  const name = folderName(mailbox)
  if (!(await ask({ title: t('folder.delete', { name }), text: t('folder.delete-ask', { name }), confirm: t('act.delete'), danger: true }))) return
  const trash = store.role('trash')
  const ids = await idsIn(store, mailbox.id)
  if (!ids) return
  if (trash && ids.length) store.change(Object.fromEntries(ids.map((id) => [id, { [at('mailboxIds', mailbox.id)]: null, [at('mailboxIds', trash.id)]: true }])))
  await store.outbox.settled(store.online)
  if (!(await set(store, { destroy: [mailbox.id] }))) return
  notify(t('folder.deleted', { name }))
  if (route().parts.includes(mailbox.id)) go('/mail/inbox')
}

async function emptyFolder(mailbox: Mailbox): Promise<void> {
  const name = folderName(mailbox)
  if (!(await ask({ title: t('folder.empty', { name }), text: t('folder.empty-ask', { name }) + ' ' + wayBack(mail, mailbox.role), confirm: t('folder.empty', { name }), danger: true }))) return
  await mail.outbox.settled(mail.online) // what was just taken out of it is no longer in it
  const ids = await idsIn(mail, mailbox.id)
  if (!ids || !(await destroy(ids, mailbox.id))) return
  notify(t('done.destroyed', { n: ids.length }))
  if (route().parts[0] === mailbox.role) go(folderBase(mailbox))
}

async function markAllRead(mailbox: Mailbox, store: MailStore): Promise<void> {
  const ids = await idsIn(store, mailbox.id, { notKeyword: '$seen' })
  if (!ids?.length) return
  const back = store.change(Object.fromEntries(ids.map((id) => [id, { [at('keywords', '$seen')]: true }])))
  notify(t('done.read', { n: ids.length }), { action: { label: t('act.undo'), run: () => void store.change(back) } })
}

/** Every message of a folder, asked for in pieces. undefined, which was said: the server did not tell all. */
async function idsIn(store: MailStore, id: Id, more: Record<string, unknown> = {}): Promise<Id[] | undefined> {
  const ids: Id[] = []
  for (;;) {
    const batch = store.client.batch()
    const query = batch.add<QueryResponse>('Email/query', { filter: { inMailbox: id, ...more }, position: ids.length, limit: 5_000 })
    try {
      await batch.send()
      ids.push(...query.result.ids)
      if (!query.result.ids.length) return ids
    } catch (fault) {
      trouble(t(fault instanceof Unreachable ? 'state.unreachable' : 'state.rejected'))
      store.meet(fault)
      return undefined
    }
  }
}
export type { Email }
