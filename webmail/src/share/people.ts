// Whom one can share with, and with whom a folder is shared (RFC 9670 §2 and §4).
import { Refused } from '../jmap/client'
import type { Id, Principal, QueryResponse, Rights, SetError } from '../jmap/types'
import { mail } from '../store/mail.svelte'

export type Shares = Record<Id, Rights>
const SUGGESTED = 8

/** People of the house whom `typed` may mean. Throws Refused, Unreachable, SignedOut. */
export async function findPeople(typed: string): Promise<Principal[]> {
  const batch = mail.client.batch()
  const query = batch.add<QueryResponse>('Principal/query', { filter: { text: typed }, sort: [{ property: 'name' }], limit: SUGGESTED })
  const people = batch.get<Principal>('Principal', { '#ids': query.ref('/ids'), properties: ['id', 'name', 'email'] })
  await batch.send()
  return people.result.list
}

/** With whom a folder is shared, and who they are. Throws Refused, Unreachable, SignedOut. */
export async function sharesOf(folder: Id): Promise<{ shares: Shares; people: Principal[] }> {
  const first = mail.client.batch()
  const boxes = first.get<{ shareWith: Shares | null }>('Mailbox', { ids: [folder], properties: ['shareWith'] })
  await first.send()
  const shares = boxes.result.list[0]?.shareWith ?? {}
  if (!Object.keys(shares).length) return { shares, people: [] }
  const second = mail.client.batch()
  const people = second.get<Principal>('Principal', { ids: Object.keys(shares), properties: ['id', 'name', 'email'] })
  await second.send()
  return { shares, people: people.result.list }
}

/** Give somebody these rights to a folder, or none. `isShared`: with anybody so far; they keep theirs. Throws Refused, Unreachable, SignedOut. */
export async function shareWith(folder: Id, person: Id, rights: Rights | undefined, isShared: boolean): Promise<void> {
  const batch = mail.client.batch()
  const whole = { shareWith: rights ? { [person]: rights } : null } // RFC 8620 §5.3: no path leads into null
  const call = batch.set('Mailbox', { update: { [folder]: isShared ? { [`shareWith/${person}`]: rights ?? null } : whole } })
  await batch.send()
  const error: SetError | undefined = call.result.notUpdated?.[folder]
  if (error) throw new Refused(error.type, error.description)
}
