// Folders as a script names them (docs/webmail.md, "Filters"): by id, which a new name does not change, and by their path, for whoever
// reads the script and for when the id means nothing any more.
import type { Mailbox } from '../jmap/types'
import { folderName } from '../mail/place'
import { mail } from '../store/mail.svelte'
import { extensions } from './making.svelte'
import type { Folder, Rule } from './rules'

/** Where nobody has anything filed: what one writes oneself, and what is put off. */
const NOT_FILED = ['drafts', 'sent', 'scheduled', 'snoozed']

/** The folder that is meant; undefined: it is gone. */
export function mailboxOf({ id, name }: Folder): Mailbox | undefined {
  return (id ? mail.mailboxes.get(id) : undefined) ?? [...mail.mailboxes.values()].find((mailbox) => sameName(pathOf(mailbox), name))
}
/** By its id too, where the server's scripts know ids (RFC 9042). */
export function folderOf(mailbox: Mailbox): Folder {
  return { id: extensions().includes('mailboxid') ? mailbox.id : '', name: pathOf(mailbox) }
}
/** A folder's path, as the server's scripts have it: levels parted by `/`, INBOX in capitals (RFC 5228 §4.1). */
export function pathOf({ name, parentId, role }: Mailbox): string {
  if (role === 'inbox') return 'INBOX'
  const parent = parentId ? mail.mailboxes.get(parentId) : undefined
  return parent ? `${pathOf(parent)}/${name}` : name
}
function sameName(one: string, other: string): boolean {
  return one === other || (one === 'INBOX' && other.toUpperCase() === 'INBOX')
}
/** What a reader calls it. */
export function shownPath(mailbox: Mailbox): string {
  const parent = mailbox.parentId ? mail.mailboxes.get(mailbox.parentId) : undefined
  return parent ? `${shownPath(parent)} / ${folderName(mailbox)}` : folderName(mailbox)
}
export function shownFolder(folder: Folder): string {
  const mailbox = mailboxOf(folder)
  return mailbox ? shownPath(mailbox) : folder.name
}
/** Folders that mail can be filed into, as a reader looks for them. */
export function fileable(): Mailbox[] {
  const all = [...mail.mailboxes.values()].filter(({ role }) => !NOT_FILED.includes(role ?? ''))
  return all.sort((one, other) => Number(!one.role) - Number(!other.role) || shownPath(one).localeCompare(shownPath(other)))
}
/** Folders of a rule that are gone. */
export function gone(rule: Rule): Folder[] {
  return rule.actions.flatMap((action) => ((action.kind === 'move' || action.kind === 'copy') && action.folder.name && !mailboxOf(action.folder) ? [action.folder] : []))
}
/** A rule that calls folders as they are called by now. */
export function renamed(rule: Rule): Rule {
  const actions = rule.actions.map((action) => {
    const mailbox = action.kind === 'move' || action.kind === 'copy' ? mailboxOf(action.folder) : undefined
    return mailbox && 'folder' in action ? { ...action, folder: folderOf(mailbox) } : action
  })
  return { ...rule, actions }
}
/** Archive and trash as they are called here, for who reads the script; the special use is what counts. */
export function roleFolder(role: 'archive' | 'trash'): Folder {
  const mailbox = mail.role(role)
  return { id: '', name: mailbox ? pathOf(mailbox) : role === 'archive' ? 'Archive' : 'Trash' }
}
