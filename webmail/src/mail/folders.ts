// Making, renaming, emptying and deleting folders.
import FolderPlus from '@lucide/svelte/icons/folder-plus'
import MailOpen from '@lucide/svelte/icons/mail-open'
import Pencil from '@lucide/svelte/icons/pencil'
import Trash from '@lucide/svelte/icons/trash-2'
import { ask, askText } from '../design/ask.svelte'
import type { Item } from '../design/Menu.svelte'
import { notify, trouble } from '../design/toasts.svelte'
import { t } from '../i18n/index.svelte'
import type { Email, Id, Mailbox, QueryResponse } from '../jmap/types'
import { go, route } from '../router.svelte'
import { mail } from '../store/mail.svelte'
import { at } from '../store/patch'
import { destroy } from './actions'
import { folderBase, folderName } from './place'

export function folderMenu(mailbox: Mailbox): Item[] {
  const name = folderName(mailbox)
  const rights = mailbox.myRights
  const items: Item[] = [{ label: t('folder.mark-read'), icon: MailOpen, run: () => void markAllRead(mailbox) }]
  if (!mailbox.role && rights['mayCreateChild'] !== false) items.push({ label: t('folder.new-in', { name }), icon: FolderPlus, run: () => void createFolder(mailbox) })
  if (!mailbox.role && rights['mayRename'] !== false) items.push({ label: t('act.rename'), icon: Pencil, run: () => void renameFolder(mailbox) })
  if (mailbox.role === 'trash' || mailbox.role === 'junk') items.push({ label: t('folder.empty', { name }), icon: Trash, danger: true, run: () => void emptyFolder(mailbox) })
  if (!mailbox.role && rights['mayDelete'] !== false) items.push({ label: t('act.delete'), icon: Trash, danger: true, apart: true, run: () => void deleteFolder(mailbox) })
  return items
}

/** One Mailbox/set; whether the server took it. */
async function set(args: Record<string, unknown>): Promise<boolean> {
  const batch = mail.client.batch()
  const call = batch.set('Mailbox', args)
  try {
    await batch.send()
    const { notCreated, notUpdated, notDestroyed } = call.result
    const error = Object.values({ ...notCreated, ...notUpdated, ...notDestroyed })[0]
    if (error) trouble(t('state.failed', { why: error.description ?? error.type }))
    return !error
  } catch (fault) {
    mail.meet(fault)
    trouble(t('state.failed', { why: fault instanceof Error ? fault.message : '' }))
    return false
  } finally {
    await mail.sync()
  }
}

export async function createFolder(parent: Mailbox | null): Promise<void> {
  const title = parent ? t('folder.new-in', { name: folderName(parent) }) : t('folder.new')
  const name = (await askText({ title, confirm: t('act.create'), field: { label: t('folder.name'), value: '' } }))?.trim()
  if (name && (await set({ create: { made: { name, parentId: parent?.id ?? null } } }))) notify(t('folder.created', { name }))
}

async function renameFolder(mailbox: Mailbox): Promise<void> {
  const title = t('folder.rename', { name: folderName(mailbox) })
  const name = (await askText({ title, confirm: t('act.rename'), field: { label: t('folder.name'), value: mailbox.name } }))?.trim()
  if (!name || name === mailbox.name) return
  mail.mailboxes.set(mailbox.id, { ...mailbox, name })
  if (!(await set({ update: { [mailbox.id]: { name } } }))) mail.mailboxes.set(mailbox.id, mailbox)
}

async function deleteFolder(mailbox: Mailbox): Promise<void> {
  const name = folderName(mailbox)
  if (!(await ask({ title: t('folder.delete', { name }), text: t('folder.delete-ask', { name }), confirm: t('act.delete'), danger: true }))) return
  const trash = mail.role('trash')
  const ids = await idsIn(mailbox.id)
  if (trash && ids.length) mail.change(Object.fromEntries(ids.map((id) => [id, { mailboxIds: { [trash.id]: true } }])))
  await mail.outbox.settled(mail.online)
  if (!(await set({ destroy: [mailbox.id] }))) return
  notify(t('folder.deleted', { name }))
  if (route().parts[0] === mailbox.id) go('/mail/inbox')
}

async function emptyFolder(mailbox: Mailbox): Promise<void> {
  const name = folderName(mailbox)
  if (!(await ask({ title: t('folder.empty', { name }), text: t('folder.empty-ask', { name }), confirm: t('folder.empty', { name }), danger: true }))) return
  const ids = await idsIn(mailbox.id)
  await destroy(ids)
  notify(t('done.destroyed', { n: ids.length }))
  if (route().parts[0] === mailbox.role) go(folderBase(mailbox))
}

async function markAllRead(mailbox: Mailbox): Promise<void> {
  const ids = await idsIn(mailbox.id, { notKeyword: '$seen' })
  if (!ids.length) return
  const back = mail.change(Object.fromEntries(ids.map((id) => [id, { [at('keywords', '$seen')]: true }])))
  notify(t('done.read', { n: ids.length }), { action: { label: t('act.undo'), run: () => void mail.change(back) } })
}

/** Every message of a folder, asked for in pieces. */
async function idsIn(id: Id, more: Record<string, unknown> = {}): Promise<Id[]> {
  const ids: Id[] = []
  for (;;) {
    const batch = mail.client.batch()
    const query = batch.add<QueryResponse>('Email/query', { filter: { inMailbox: id, ...more }, position: ids.length, limit: 5_000 })
    try {
      await batch.send()
    } catch (fault) {
      mail.meet(fault)
      return ids
    }
    ids.push(...query.result.ids)
    if (!query.result.ids.length) return ids
  }
}
export type { Email }
