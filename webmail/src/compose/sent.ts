// Whether a message has left although no answer came: its Message-ID tells.
import type { Email, QueryResponse } from '../jmap/types'
import { mail } from '../store/mail.svelte'
import type { Draft } from './composers.svelte'

/** `sent`: it lies outside Drafts. `made`: it was only saved; the id of that. Throws Unreachable. */
export async function traceOf(draft: Draft): Promise<{ sent: boolean; made?: string }> {
  const drafts = mail.role('drafts')?.id ?? ''
  const batch = mail.client.batch()
  const query = batch.add<QueryResponse>('Email/query', { filter: { header: ['Message-ID', draft.messageId] } })
  const found = batch.get<Email>('Email', { '#ids': query.ref('/ids'), properties: ['id', 'mailboxIds'] })
  await batch.send()
  if (found.failed) return { sent: false }
  const [saved] = found.result.list.filter((email) => email.mailboxIds[drafts])
  const sent = found.result.list.some((email) => !email.mailboxIds[drafts])
  return { sent, ...(saved ? { made: saved.id } : {}) }
}
