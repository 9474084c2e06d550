// Whom one may mean: contacts of the account, whom it has written to, and recent correspondents, best first.
import { contacts } from '../contacts/contacts.svelte'
import { emailsOf, isGroup, nameOf } from '../contacts/jscontact'
import type { EmailAddress } from '../jmap/types'
import { mail } from '../store/mail.svelte'

/** What is suggested: a person, or a group with its members. */
export interface Suggestion {
  name: string | null
  email: string
  members?: EmailAddress[]
}
const CONTACT = 100
const LEARNT = 50
const WROTE = 10
const HEARD = 3

/** People that `typed` may mean: contacts first, then whom one wrote to most, then who wrote. */
export function suggestPeople(typed: string, without: ReadonlySet<string> = new Set()): Suggestion[] {
  const wanted = typed.trim().toLowerCase()
  const own = new Set(mail.identities.map((identity) => identity.email.toLowerCase()))
  const found = new Map<string, { person: Suggestion; score: number }>()
  const add = (person: Suggestion | undefined, score: number) => {
    const key = person?.members ? `group ${person.name}` : person?.email.toLowerCase()
    if (!person || !key || without.has(key)) return
    const starts = startsWith(person, wanted)
    if (!starts && !(person.name ?? '').toLowerCase().includes(wanted) && !key.includes(wanted)) return
    const held = found.get(key)
    const value = score + (starts ? 20 : 0)
    if (held) held.score += score / 10
    else found.set(key, { person, score: value })
    if (held && !held.person.name && person.name) held.person = person
  }
  for (const card of contacts.cards.values()) {
    if (isGroup(card)) add(groupOf(card.members ?? {}, nameOf(card)), CONTACT)
    else for (const email of emailsOf(card)) add({ name: nameOf(card) || null, email }, CONTACT)
  }
  for (const { email, name, written } of contacts.learnt) add({ email, name }, LEARNT + Math.min(LEARNT, 8 * Math.log2(1 + written)))
  for (const email of mail.emails.values()) {
    const mine = own.has(email.from?.[0]?.email.toLowerCase() ?? '')
    if (mine) for (const person of email.to ?? []) add(person, WROTE)
    else if (!email.keywords['$junk']) add(email.from?.[0], HEARD)
  }
  return [...found.values()].sort((one, other) => other.score - one.score).map(({ person }) => person)
}
function startsWith({ name, email }: Suggestion, wanted: string): boolean {
  return email.toLowerCase().startsWith(wanted) || (name ?? '').toLowerCase().split(/\s+/).some((word) => word.startsWith(wanted))
}

function groupOf(uids: Record<string, boolean>, name: string): Suggestion | undefined {
  const members = membersOf(uids)
  return members.length && name ? { name, email: '', members } : undefined
}
/** The people of a group that can be written to, each at the preferred address. */
export function membersOf(uids: Record<string, boolean>): EmailAddress[] {
  const cards = [...contacts.cards.values()].filter((card) => uids[card.uid])
  return cards.flatMap((card) => emailsOf(card).slice(0, 1).map((email) => ({ name: nameOf(card) || null, email })))
}
