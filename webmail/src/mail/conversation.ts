// A row of the list: what a conversation's messages come to together.
import { faceOf, type Face } from '../contacts/face'
import { firstName, personName } from '../design/format'
import { t } from '../i18n/index.svelte'
import type { Caution, Email, Id } from '../jmap/types'
import { mail } from '../store/mail.svelte'
import type { Place } from './place'

export interface Row {
  id: Id
  threadId: Id
  face: Face
  people: string
  subject: string
  preview: string
  date: string
  count: number
  unread: boolean
  starred: boolean
  attachment: boolean
  draft: boolean
  muted: boolean
  labels: string[]
  caution: Caution | undefined
  /** Until when, in the folder of what is snoozed. */
  snoozed: string | undefined
}
/** Keywords with a meaning of their own; every other one is a label. */
export function isLabel(keyword: string): boolean {
  return !/^[$\\]|^(junk|nonjunk|notjunk)$/i.test(keyword)
}
/** A label's shown form: IMAP keywords can hold no spaces. */
export function labelName(keyword: string): string {
  return keyword.replaceAll('_', ' ')
}

/** Messages of the row's conversation that count in this place. */
export function membersIn(email: Email, place: Place): Email[] {
  const { store } = place
  const all = store.members(email.threadId)
  const box = place.mailbox?.id
  const hidden = new Set(['trash', 'junk'].map((role) => store.role(role as 'trash')?.id))
  const role = place.mailbox?.role
  const isHidden = ({ mailboxIds }: Email) => Object.keys(mailboxIds).every((id) => hidden.has(id))
  const found = box === undefined && isHidden(email) // a search, or a view, that has found it in there
  const inside = all.filter((member) => {
    if (found) return Object.keys(email.mailboxIds).some((id) => member.mailboxIds[id])
    if (role === 'trash' || role === 'junk') return box !== undefined && member.mailboxIds[box]
    return !isHidden(member)
  })
  return inside.length ? inside : [email]
}

export function rowOf(email: Email, place: Place): Row {
  const members = membersIn(email, place)
  const own = new Set(mail.identities.map((identity) => identity.email.toLowerCase()))
  const role = place.mailbox?.role
  const outgoing = role === 'sent' || role === 'drafts' || role === 'scheduled'
  const shown = outgoing ? email : (members.at(-1) ?? email)
  const has = (keyword: string) => members.some((member) => member.keywords[keyword])
  return {
    id: email.id,
    threadId: email.threadId,
    face: faceOf((outgoing ? shown.to : shown.from)?.[0], Boolean(shown.caution)),
    people: outgoing ? recipients(email) : senders(members, own),
    subject: members[0]?.subject?.trim() || email.subject?.trim() || t('list.no-subject'),
    preview: shown.preview,
    date: email.receivedAt,
    count: members.length,
    unread: members.some((member) => !member.keywords['$seen'] && !member.keywords['$draft']),
    starred: has('$flagged'),
    attachment: members.some((member) => member.hasAttachment),
    draft: has('$draft'),
    muted: has('$muted'),
    labels: [...new Set(members.flatMap((member) => Object.keys(member.keywords).filter(isLabel)))].sort(),
    caution: members.find((member) => member.caution)?.caution ?? undefined,
    snoozed: role === 'snoozed' ? email.snoozed?.until : undefined,
  }
}

function recipients(email: Email): string {
  const names = (email.to ?? []).map(personName)
  return names.length ? t('list.to', { names: names.join(', ') }) : t('list.draft')
}

function senders(members: Email[], own: ReadonlySet<string>): string {
  const names = new Map<string, string>()
  const single = members.length === 1
  for (const member of members) {
    const from = member.from?.[0]
    if (!from) continue
    const key = from.email.toLowerCase()
    const name = own.has(key) ? t('list.me') : single ? personName(from) : firstName(from)
    names.delete(key)
    names.set(key, name)
  }
  const all = [...names.values()]
  if (!all.length) return t('list.no-sender')
  return all.length > 3 ? `${all[0]} … ${all.slice(-2).join(', ')}` : all.join(', ')
}
