// Whom one may mean: contacts of the account, colleagues and recent correspondents, best first.
import type { EmailAddress } from '../jmap/types'
import { mail } from '../store/mail.svelte'

const CONTACTS = 'urn:ietf:params:jmap:contacts'
interface Card {
  name?: { full?: string; components?: { kind: string; value: string }[] }
  emails?: Record<string, { address: string }>
}
const state = $state.raw<{ contacts: EmailAddress[] }>({ contacts: [] })
let loaded = false

/** Fetch the contacts (RFC 9610), once. */
export async function loadContacts(): Promise<void> {
  if (loaded || !mail.online || !mail.client.has(CONTACTS)) return
  loaded = true
  const batch = mail.client.batch()
  const cards = batch.get<Card>('ContactCard', { ids: null, properties: ['name', 'emails'] })
  try {
    await batch.send()
    state.contacts = cards.failed ? [] : cards.result.list.flatMap(people)
  } catch (fault) {
    loaded = false
    mail.meet(fault)
  }
}

function people(card: Card): EmailAddress[] {
  const name = card.name?.full ?? card.name?.components?.map((part) => part.value).join(' ') ?? null
  return Object.values(card.emails ?? {}).map(({ address }) => ({ name, email: address }))
}

/** People that `typed` may mean: contacts first, then whom one wrote to, then who wrote. */
export function suggestPeople(typed: string, without: ReadonlySet<string> = new Set()): EmailAddress[] {
  const wanted = typed.trim().toLowerCase()
  const own = new Set(mail.identities.map((identity) => identity.email.toLowerCase()))
  const found = new Map<string, { person: EmailAddress; score: number }>()
  const add = (person: EmailAddress | undefined, score: number) => {
    const key = person?.email.toLowerCase()
    if (!person || !key || without.has(key)) return
    const starts = key.startsWith(wanted) || (person.name ?? '').toLowerCase().split(/\s+/).some((word) => word.startsWith(wanted))
    if (!starts && !(person.name ?? '').toLowerCase().includes(wanted) && !key.includes(wanted)) return
    const held = found.get(key)
    const value = score + (starts ? 20 : 0)
    if (held) held.score += score / 10
    else found.set(key, { person, score: value })
    if (held && !held.person.name && person.name) held.person = person
  }
  for (const contact of state.contacts) add(contact, 100)
  for (const email of mail.emails.values()) {
    const mine = own.has(email.from?.[0]?.email.toLowerCase() ?? '')
    if (mine) for (const person of email.to ?? []) add(person, 10)
    else if (!email.keywords['$junk']) add(email.from?.[0], 3)
  }
  return [...found.values()].sort((one, other) => other.score - one.score).map(({ person }) => person)
}
