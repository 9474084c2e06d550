// Names of mailboxes as paths ("Projects/Lighthouse"), and mailboxes made from paths.
import { ownSet } from '../own'
import type { Id, Mailbox } from '../../jmap/types'
import { folderName } from '../../mail/place'
import { mail } from '../../store/mail.svelte'

export interface Place {
  id: Id
  path: string
  /** As the reader knows it. */
  label: string
  total: number
}

/** All mailboxes that hold mail of their own, by path. */
export function places(): Place[] {
  const all = [...mail.mailboxes.values()]
  const path = (box: Mailbox): string => {
    const parent = box.parentId ? mail.mailboxes.get(box.parentId) : undefined
    return parent ? `${path(parent)}/${box.name}` : box.name
  }
  return all.map((box) => ({ id: box.id, path: path(box), label: box.role ? folderName(box) : path(box), total: box.totalEmails })).sort((a, b) => a.path.localeCompare(b.path))
}

/** The mailbox of a path, made when it is missing. */
export async function mailboxAt(path: string, known: Map<string, Id>): Promise<Id> {
  const found = known.get(path.toLowerCase())
  if (found) return found
  const parts = path.split('/')
  const name = parts.pop() as string
  const parentId = parts.length ? await mailboxAt(parts.join('/'), known) : null
  const { created } = await ownSet<{ id: Id }>('Mailbox', { create: { new: { name, parentId } } })
  const id = (created?.['new'] as { id: Id }).id
  known.set(path.toLowerCase(), id)
  return id
}

/** Message-IDs of what a mailbox holds already, so that an import that is run again takes nothing twice. */
export async function messageIdsIn(mailboxId: Id, signal: AbortSignal): Promise<Set<string>> {
  const found = new Set<string>()
  for await (const emails of emailsIn(mailboxId, ['messageId'], signal)) for (const email of emails) for (const id of email.messageId ?? []) found.add(id)
  return found
}

export interface Exported {
  id: Id
  blobId: Id
  size: number
  receivedAt: string
  keywords: Record<string, boolean>
  from: { email: string; name: string | null }[] | null
  subject: string | null
  messageId: string[] | null
}
const PAGE = 250

/** A mailbox's messages, some at a time, the oldest first. */
export async function* emailsIn(mailboxId: Id, properties: string[], signal: AbortSignal): AsyncGenerator<Exported[]> {
  for (let position = 0; ; position += PAGE) {
    signal.throwIfAborted()
    const batch = mail.client.batch()
    const query = batch.add<{ ids: Id[] }>('Email/query', { filter: { inMailbox: mailboxId }, sort: [{ property: 'receivedAt', isAscending: true }], position, limit: PAGE })
    const get = batch.add<{ list: Exported[] }>('Email/get', { '#ids': query.ref('/ids'), properties: ['id', ...properties] })
    await batch.send()
    const { ids } = query.result
    if (ids.length) yield get.result.list
    if (ids.length < PAGE) return
  }
}

