// Names of mailboxes as paths ("Projects/Lighthouse"), and mailboxes made from paths.
import { ownSet } from '../own'
import { Unreachable } from '../../jmap/client'
import type { Id, Mailbox, QueryResponse } from '../../jmap/types'
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
const IDS = 5_000
/** How often what changes meanwhile is asked for anew, and what the server does not answer again. */
const TRIES = 5
const PAUSE_MS = 1_000

/** Run it; again, after ever longer pauses, where the server does not answer. */
export async function patiently<T>(run: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let tries = 1; ; tries++) {
    signal.throwIfAborted()
    try {
      return await run()
    } catch (fault) {
      if (!(fault instanceof Unreachable) || tries >= TRIES) throw fault
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * 2 ** (tries - 1)))
    }
  }
}

/** Every message of a mailbox, the oldest first. What goes while they are asked for would move others past a page: then they are asked for anew. */
async function idsIn(mailboxId: Id, signal: AbortSignal): Promise<Id[]> {
  for (let tries = 1; ; tries++) {
    const ids: Id[] = []
    const states = new Set<string>()
    for (let more = true; more; ) {
      const result = await patiently(async () => {
        const batch = mail.client.batch()
        const query = batch.add<QueryResponse>('Email/query', { filter: { inMailbox: mailboxId }, sort: [{ property: 'receivedAt', isAscending: true }], position: ids.length, limit: IDS })
        await batch.send()
        return query.result
      }, signal)
      states.add(result.queryState)
      ids.push(...result.ids)
      more = result.ids.length > 0
    }
    if (states.size === 1 || tries >= TRIES) return [...new Set(ids)]
  }
}

/** A mailbox's messages, some at a time, the oldest first. */
export async function* emailsIn(mailboxId: Id, properties: string[], signal: AbortSignal): AsyncGenerator<Exported[]> {
  const ids = await idsIn(mailboxId, signal)
  const page = Math.min(PAGE, mail.client.limit('maxObjectsInGet', PAGE))
  for (let start = 0; start < ids.length; start += page) {
    yield await patiently(async () => {
      const batch = mail.client.batch()
      const get = batch.get<Exported>('Email', { ids: ids.slice(start, start + page), properties: ['id', ...properties] })
      await batch.send()
      return get.result.list
    }, signal)
  }
}
