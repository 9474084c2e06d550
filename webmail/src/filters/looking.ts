// Which messages of the inbox a rule means, and doing with them what it says.
import { undoable } from '../design/toasts.svelte'
import { t } from '../i18n/index.svelte'
import type { Email, GetResponse, Id, QueryResponse } from '../jmap/types'
import { LIST_PROPERTIES, mail } from '../store/mail.svelte'
import { isLike, patchOf, searchFor, type Looked } from './matching'
import { mailboxOf } from './places'
import type { Action, Rule } from './rules'

/** Messages that are looked through for one rule. */
const MOST = 500
export interface Found {
  ids: Id[]
  /** Whether there may be more than these. */
  more: boolean
}

/** Messages of the inbox that a rule means; undefined: it cannot be told. Throws what the client throws. */
export async function lookFor(rule: Rule): Promise<Found | undefined> {
  const inbox = mail.role('inbox')
  const search = searchFor(rule)
  if (!inbox || !search) return undefined
  const batch = mail.client.batch()
  const filter = { operator: 'AND', conditions: [{ inMailbox: inbox.id }, search.filter] }
  const query = batch.add<QueryResponse>('Email/query', { filter, sort: [{ property: 'receivedAt', isAscending: false }], limit: MOST, calculateTotal: true })
  const emails = search.exact ? undefined : batch.get<Email & Looked>('Email', { '#ids': query.ref('/ids'), properties: search.properties })
  await batch.send()
  const { ids, total = ids.length } = query.result
  const likes = emails?.result.list.filter((email) => isLike(rule, email)).map(({ id }) => id)
  return { ids: likes ?? ids, more: total > ids.length }
}

/** Whether a rule does something that can be done to what has arrived already. */
export function canApply(rule: Rule): boolean {
  return patchFor(rule) !== undefined
}
function patchFor(rule: Rule) {
  const inbox = mail.role('inbox')
  const idOf = (action: Action) => (action.kind === 'archive' || action.kind === 'trash' ? mail.role(action.kind)?.id : 'folder' in action ? mailboxOf(action.folder)?.id : undefined)
  return inbox && patchOf(rule, { inbox: inbox.id, idOf, trash: mail.role('trash')?.id })
}

/** Do with these messages what the rule says, and offer the way back. */
export async function apply(rule: Rule, ids: Id[]): Promise<void> {
  const patch = patchFor(rule)
  if (!patch || !ids.length) return
  const batch = mail.client.batch()
  const emails: { result: GetResponse<Email> } = batch.get<Email>('Email', { ids, properties: LIST_PROPERTIES })
  await batch.send()
  mail.take(emails.result.list, []) // so that it shows at once, and can be taken back
  const back = mail.change(Object.fromEntries(emails.result.list.map(({ id }) => [id, patch])))
  undoable(t('filter.applied', { n: emails.result.list.length }), () => void mail.change(back))
}
