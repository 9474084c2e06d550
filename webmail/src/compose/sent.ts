// What Message-IDs tell: whether a message has left although no answer came, and which one it answers.
import type { Email, Id, QueryResponse } from '../jmap/types'
import { LIST_PROPERTIES, mail, type MailStore } from '../store/mail.svelte'
import { shared } from '../store/shared.svelte'
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
 * The message that a draft answers, or passes on, where the window does not know it: it was begun in another one, or by another program.
 * It lies in one's own mail, or in what others share. An answer names it in In-Reply-To; what is passed on stands in References alone.
 * undefined: none, or it cannot be asked.
 */
export async function answeredBy({ inReplyTo, references }: Draft): Promise<Draft['answers']> {
  const wanted = inReplyTo?.at(-1) ?? references?.at(-1)
  if (!wanted) return undefined
  const keyword = inReplyTo?.length ? '$answered' : '$forwarded'
  for (const store of [mail, ...shared.values()]) {
    const id = await named(wanted, store)
    if (id) return { id, keyword, ...(store.isOwn ? {} : { accountId: store.client.accountId }) }
  }
  return undefined
}
/** The message of an account with this Message-ID, where one may mark it. */
async function named(wanted: string, store: MailStore): Promise<Id | undefined> {
  const may = ({ mailboxIds }: Email) => store.isOwn || Object.keys(mailboxIds).some((id) => store.mailboxes.get(id)?.myRights['maySetKeywords'])
  const batch = store.client.batch()
  const query = batch.add<QueryResponse>('Email/query', { filter: { header: ['Message-ID', wanted] } })
  const found = batch.get<Email & { messageId: string[] | null }>('Email', { '#ids': query.ref('/ids'), properties: [...LIST_PROPERTIES, 'messageId'] })
  try {
    let email: Email | undefined
    await store.fetch(batch, () => {
      email = found.result.list.find((each) => each.messageId?.includes(wanted) && !each.keywords['$draft'] && may(each))
      if (email) store.take([email], [])
    })
    return email?.id
  } catch (fault) {
    store.meet(fault)
    return undefined
  }
}
