// Cards as RFC 9553 has them, as far as this application reads them, and what a list makes of them.
import type { Id } from '../jmap/types'

export interface Part {
  contexts?: Record<string, boolean>
  label?: string
  pref?: number
}
export interface Card {
  id: Id
  uid: string
  addressBookIds: Record<Id, boolean>
  kind?: string
  name?: { full?: string; components?: { kind: string; value: string }[]; isOrdered?: boolean; defaultSeparator?: string }
  nicknames?: Record<string, { name: string }>
  organizations?: Record<string, { name?: string }>
  titles?: Record<string, { name: string; kind?: string }>
  emails?: Record<string, Part & { address: string }>
  phones?: Record<string, Part & { number: string }>
  addresses?: Record<string, Part & { full?: string; components?: { kind?: string; value: string }[] }>
  onlineServices?: Record<string, Part & { uri?: string; user?: string; service?: string }>
  links?: Record<string, Part & { uri: string }>
  anniversaries?: Record<string, { kind: string; date: { year?: number; month?: number; day?: number; utc?: string } }>
  notes?: Record<string, { note: string }>
  media?: Record<string, { kind: string; blobId?: Id; mediaType?: string; uri?: string }>
  /** Of a group: its members' uids. */
  members?: Record<string, boolean>
}
export interface AddressBook {
  id: Id
  name: string
  isDefault: boolean
  sortOrder: number
  myRights?: { mayWrite?: boolean; mayDelete?: boolean }
}
/** An address that one has written to. */
export interface Learnt {
  email: string
  name: string | null
  written: number
  lastAt: number
}

export const values = <T>(of: Record<string, T> | null | undefined): T[] => Object.values(of ?? {})
export const isGroup = (card: Card) => card.kind === 'group'

/** The name one is called by: whole, from its parts, by nickname, firm or address; empty: nothing is known. */
export function nameOf(card: Card): string {
  const { name } = card
  if (name?.full?.trim()) return name.full.trim()
  const parts = (name?.components ?? []).filter((part) => part.kind !== 'separator' && part.value.trim()).map((part) => part.value.trim())
  const han = parts.every((part) => /^\p{Script=Han}+$/u.test(part))
  const ordered = han && !name?.isOrdered ? [...parts].sort((one, other) => rank(name, one) - rank(name, other)) : parts
  return ordered.join(han ? '' : (name?.defaultSeparator ?? ' ')) || values(card.nicknames)[0]?.name || organizationOf(card) || values(card.emails)[0]?.address || values(card.phones)[0]?.number || ''
}
/** Chinese names begin with the family's. */
function rank(name: Card['name'], value: string): number {
  return name?.components?.find((part) => part.value.trim() === value)?.kind === 'surname' ? 0 : 1
}
export function organizationOf(card: Card): string {
  return values(card.organizations)[0]?.name ?? ''
}
/** Addresses, the preferred one first. */
export function emailsOf(card: Card): string[] {
  return values(card.emails).sort((one, other) => (one.pref ?? 101) - (other.pref ?? 101)).map(({ address }) => address)
}
/** One or two letters for a round picture. */
export function initials(name: string): string {
  const words = name.replace(/[^\p{L}\p{N}\s]/gu, ' ').trim().split(/\s+/).filter(Boolean)
  const first = words[0] ?? ''
  if (/^\p{Script=Han}/u.test(first)) return first.slice(-2)
  return [first, words.length > 1 ? words.at(-1) : ''].map((word) => [...(word ?? '')][0]?.toLocaleUpperCase() ?? '').join('')
}
export function sorted(cards: Card[], locale: string): Card[] {
  const collator = new Intl.Collator(locale, { sensitivity: 'base', numeric: true })
  return cards.map((card) => ({ card, name: nameOf(card) })).sort((one, other) => collator.compare(one.name, other.name)).map(({ card }) => card)
}
/** Whether every word typed stands somewhere in the card. */
export function matches(card: Card, typed: string): boolean {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean)
  if (!words.length) return true
  const text = [nameOf(card), organizationOf(card), ...values(card.nicknames).map(({ name }) => name), ...values(card.titles).map(({ name }) => name), ...values(card.emails).map(({ address }) => address), ...values(card.phones).map(({ number }) => number.replace(/[\s()-]/g, '')), ...values(card.notes).map(({ note }) => note)].join('\n').toLowerCase()
  return words.every((word) => text.includes(word))
}
/** A postal address in one text. */
export function addressText(address: NonNullable<Card['addresses']>[string]): string {
  return address.full ?? (address.components ?? []).map((part) => part.value).join(' ')
}
/** `1990-05-17`, `--05-17` without a year; empty: unknown. */
export function birthdayOf(card: Card): string {
  const date = values(card.anniversaries).find(({ kind }) => kind === 'birth')?.date
  if (date?.utc) return date.utc.slice(0, 10)
  if (!date?.month || !date.day) return ''
  return `${date.year ? String(date.year).padStart(4, '0') : '-'}-${String(date.month).padStart(2, '0')}-${String(date.day).padStart(2, '0')}`
}
