// Whether a message has left although no answer came: its Message-ID tells.
import type { Email, Id, QueryResponse } from '../jmap/types'
import { mail } from '../store/mail.svelte'
import type { Draft } from './composers.svelte'

/** `sent`: it is there and no draft any more (one that was thrown away is still a draft). `saved`: the drafts of it. Throws Unreachable. */
export async function traceOf(draft: Draft): Promise<{ sent: boolean; saved: Id[] }> {
  const drafts = mail.role('drafts')?.id ?? ''
  const batch = mail.client.batch()
  const query = batch.add<QueryResponse>('Email/query', { filter: { header: ['Message-ID', draft.messageId] } })
  const found = batch.get<Email>('Email', { '#ids': query.ref('/ids'), properties: ['id', 'mailboxIds', 'keywords'] })
  await batch.send()
  const saved = found.result.list.filter((email) => email.mailboxIds[drafts])
  const sent = found.result.list.some((email) => !email.mailboxIds[drafts] && !email.keywords['$draft'])
  return { sent, saved: saved.map(({ id }) => id) }
}
