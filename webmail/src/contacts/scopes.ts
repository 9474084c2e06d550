// Which contacts are shown: all, those of a group or of an address book. A scope is the second part of the address.
import type { Card } from './jscontact'
import { isGroup } from './jscontact'
import { contacts } from './contacts.svelte'

export type Scope = { kind: 'all' } | { kind: 'written' } | { kind: 'group'; card: Card } | { kind: 'book'; id: string; name: string }

export function scopeOf(part: string | undefined): Scope {
  const [kind, id = ''] = (part ?? '').split(/-(.*)/s)
  if (kind === 'written') return { kind }
  if (kind === 'group') {
    const card = contacts.cards.get(id)
    if (card && isGroup(card)) return { kind, card }
  }
  const book = kind === 'book' ? contacts.books.find((each) => each.id === id) : undefined
  return book ? { kind: 'book', id, name: book.name } : { kind: 'all' }
}
export function inScope(card: Card, scope: Scope): boolean {
  if (isGroup(card)) return false
  if (scope.kind === 'group') return Boolean(scope.card.members?.[card.uid])
  return scope.kind === 'book' ? Boolean(card.addressBookIds[scope.id]) : true
}
export function addressOf(scope: Scope): string {
  return `/contacts/${scope.kind === 'group' ? `group-${encodeURIComponent(scope.card.id)}` : scope.kind === 'book' ? `book-${encodeURIComponent(scope.id)}` : scope.kind}`
}
