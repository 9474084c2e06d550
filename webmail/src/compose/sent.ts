// What Message-IDs tell: whether a message has left although no answer came, and which one it answers.
import type { Email, Id, QueryResponse } from '../jmap/types'
import { LIST_PROPERTIES, mail } from '../store/mail.svelte'
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

/**
 * The message in one's own mail that a draft answers, or passes on, where the window does not know it: it was begun in another one, or by
 * another program. An answer names it in In-Reply-To; what is passed on stands in References alone. undefined: none, or it cannot be asked.
 */
export async function answeredBy({ inReplyTo, references }: Draft): Promise<Draft['answers']> {
  const wanted = inReplyTo?.at(-1) ?? references?.at(-1)
  if (!wanted) return undefined
  const batch = mail.client.batch()
  const query = batch.add<QueryResponse>('Email/query', { filter: { header: ['Message-ID', wanted] } })
  const found = batch.get<Email & { messageId: string[] | null }>('Email', { '#ids': query.ref('/ids'), properties: [...LIST_PROPERTIES, 'messageId'] })
  try {
    let email: Email | undefined
    await mail.fetch(batch, () => {
      email = found.result.list.find(({ messageId, keywords }) => messageId?.includes(wanted) && !keywords['$draft'])
      if (email) mail.take([email], [])
    })
    return email && { id: email.id, keyword: inReplyTo?.length ? '$answered' : '$forwarded' }
  } catch (fault) {
    mail.meet(fault)
    return undefined
  }
}
