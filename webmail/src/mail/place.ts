// Which list an address means: a folder, a view over all folders, or a search; and how folders are called and drawn.
import Archive from '@lucide/svelte/icons/archive'
import Clock from '@lucide/svelte/icons/clock'
import FileText from '@lucide/svelte/icons/file-text'
import Folder from '@lucide/svelte/icons/folder'
import Inbox from '@lucide/svelte/icons/inbox'
import Mails from '@lucide/svelte/icons/mails'
import Send from '@lucide/svelte/icons/send'
import ShieldAlert from '@lucide/svelte/icons/shield-alert'
import Star from '@lucide/svelte/icons/star'
import Trash from '@lucide/svelte/icons/trash-2'
import type { Component } from 'svelte'
import { t } from '../i18n/index.svelte'
import type { Condition, Id, Mailbox, Role } from '../jmap/types'
import { path, type Route } from '../router.svelte'
import { parseQuery, toFilter } from '../search/query'
import type { ListQuery } from '../store/list.svelte'
import { mail, type MailStore } from '../store/mail.svelte'
import { shared, shown } from '../store/shared.svelte'

export interface Place {
  /** Whose mail it is. */
  store: MailStore
  /** First part of its addresses. */
  base: string
  title: string
  query: ListQuery | undefined
  /** The folder; views and searches have none. */
  mailbox?: Mailbox
  search?: string
  thread?: string
}
const ICONS: Partial<Record<Role, Component<{ size?: number }>>> = {
  inbox: Inbox, drafts: FileText, sent: Send, archive: Archive, junk: ShieldAlert, trash: Trash, snoozed: Clock, scheduled: Clock, all: Mails, flagged: Star,
}
const NAMED: readonly Role[] = ['inbox', 'drafts', 'sent', 'archive', 'junk', 'trash', 'snoozed', 'scheduled']
/** Order of the folders with a role. */
export const ROLE_ORDER: readonly Role[] = ['inbox', 'snoozed', 'drafts', 'scheduled', 'sent', 'archive', 'junk', 'trash']

export function folderName(mailbox: Mailbox): string {
  const role = NAMED.find((each) => each === mailbox.role)
  return role ? t(`folder.${role}` as 'folder.inbox') : mailbox.name
}
export function folderIcon(mailbox: { role: Role | null }): Component<{ size?: number }> {
  return (mailbox.role && ICONS[mailbox.role]) || Folder
}
export function folderBase(mailbox: Mailbox, store: MailStore = mail): string {
  return store.isOwn ? path('mail', mailbox.role ?? mailbox.id) : path('shared', store.client.accountId, mailbox.id)
}

/** Folders whose mail a search without `in:` leaves out. */
export function hiddenFolders(): Id[] {
  return (['trash', 'junk'] as const).map((role) => mail.role(role)?.id).filter((id) => id !== undefined)
}

/** What the folders with a role are called where Chinese is read: such a search may be kept, and opened in English. (Their English names are the roles'.) */
const CHINESE: Record<string, Role> = { 收件箱: 'inbox', 草稿: 'drafts', 已发送: 'sent', 归档: 'archive', 垃圾邮件: 'junk', 已删除: 'trash', 稍后提醒: 'snoozed', 定时发送: 'scheduled' }

/** A folder by what a reader may call it: role, name in either language, or whole path. */
export function findFolder(name: string): Id | undefined {
  const wanted = name.toLowerCase()
  const all = [...mail.mailboxes.values()]
  const found =
    all.find((mailbox) => [mailbox.role, mailbox.name.toLowerCase(), folderName(mailbox).toLowerCase(), mailbox.id].includes(wanted)) ??
    all.find((mailbox) => mailbox.role === CHINESE[wanted]) ??
    all.find((mailbox) => pathOf(mailbox).toLowerCase() === wanted)
  return found?.id
}
function pathOf({ name, parentId }: Mailbox): string {
  const parent = parentId ? mail.mailboxes.get(parentId) : undefined
  return parent ? `${pathOf(parent)}/${name}` : name
}

export function placeOf(here: Route, unreadOnly: boolean): Place {
  if (here.page === 'search') {
    const text = here.query.get('q') ?? ''
    const thread = here.parts[0]
    const filter = toFilter(parseQuery(text), findFolder, hiddenFolders())
    return { store: mail, base: '/search', title: t('search.results', { what: text }), query: { filter }, search: text, ...(thread ? { thread } : {}) }
  }
  const unread = unreadOnly ? { notKeyword: '$seen' } : {}
  if (here.page === 'shared') return sharedPlace(here.parts, unread)
  const [name = 'inbox', thread] = here.parts
  const base = path('mail', name)
  const rest = { store: mail, ...(thread ? { thread } : {}) }
  if (name === 'flagged') return { base, title: t('folder.flagged'), query: { filter: { hasKeyword: '$flagged', ...unread } }, ...rest }
  if (name === 'all') return { base, title: t('folder.all'), query: { filter: { inMailboxOtherThan: hiddenFolders(), ...unread } }, ...rest }
  const mailbox = mail.role(name as Role) ?? mail.mailboxes.get(name)
  if (!mailbox) return { base, title: name, query: undefined, ...rest }
  return { base, title: folderName(mailbox), query: { filter: { inMailbox: mailbox.id, ...unread } }, mailbox, ...rest }
}

function sharedPlace([account = '', name = '', thread]: string[], unread: Condition): Place {
  const store = shared.get(account)
  const mailbox = store?.mailboxes.get(name)
  const rest = { store: store ?? shown(), base: path('shared', account, name), ...(thread ? { thread } : {}) }
  if (!mailbox) return { ...rest, title: '', query: undefined }
  return { ...rest, title: folderName(mailbox), query: { filter: { inMailbox: mailbox.id, ...unread } }, mailbox }
}

/** The address of a conversation in a place. */
export function threadAddress(place: Place, threadId: Id): string {
  return `${place.base}/${encodeURIComponent(threadId)}${place.search === undefined ? '' : `?q=${encodeURIComponent(place.search)}`}`
}
export function placeAddress(place: Place): string {
  return place.search === undefined ? place.base : `/search?q=${encodeURIComponent(place.search)}`
}
