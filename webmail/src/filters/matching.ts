// What a rule would have caught of the mail that is here: asked of the server (RFC 8621 §4.4.1) where its words say the same, else asked for
// more and looked through here. What cannot be known that way is not guessed.
import type { EmailAddress, Filter, Id, Patch } from '../jmap/types'
import { at } from '../store/patch'
import type { Action, Condition, Rule } from './rules'

/** What is needed of a message. */
export interface Looked {
  id: Id
  size: number
  receivedAt: string
  subject: string | null
  hasAttachment: boolean
  from: EmailAddress[] | null
  to: EmailAddress[] | null
  cc: EmailAddress[] | null
  [header: `header:${string}`]: unknown
}
export interface Search {
  filter: Filter
  /** Whether everything that is found is meant; else it is to be looked through with `isLike`. */
  exact: boolean
  /** Properties for that. */
  properties: string[]
}
const ALWAYS = ['size', 'receivedAt', 'subject', 'hasAttachment', 'from', 'to', 'cc', 'preview', 'keywords', 'mailboxIds', 'threadId']
const LEAST = 3

/** How to look for messages that a rule means; undefined: it cannot be told. */
export function searchFor(rule: Rule): Search | undefined {
  const parts = rule.match === 'every' ? [] : rule.conditions.map(conditionSearch)
  if (parts.some((part) => !part)) return undefined
  const found = parts as { filter: Filter; exact: boolean }[]
  const exact = found.every((part) => part.exact)
  // The server alone has looked into the texts.
  if (!exact && rule.conditions.some(({ field }) => field === 'body')) return undefined
  const headers = rule.conditions.flatMap(({ field, header }) => (field === 'header' ? [headerProperty(header)] : field === 'list' ? [headerProperty('List-Id')] : []))
  const filter: Filter = { operator: rule.match === 'any' ? 'OR' : 'AND', conditions: found.map((part) => part.filter) }
  return { filter, exact, properties: [...ALWAYS, ...new Set(headers)] }
}
function headerProperty(name: string): string {
  return `header:${name}:asText`
}
function conditionSearch(condition: Condition): { filter: Filter; exact: boolean } | undefined {
  const plain = plainSearch(condition)
  if (!plain || !condition.not) return plain
  return plain.exact ? { filter: { operator: 'NOT', conditions: [plain.filter] }, exact: true } : undefined
}
function plainSearch({ field, op, value, header, zone }: Condition): { filter: Filter; exact: boolean } | undefined {
  if (field === 'size') {
    const octets = octetsOf(value)
    return { filter: op === 'over' ? { minSize: octets + 1 } : { maxSize: octets }, exact: true }
  }
  if (field === 'attachment') return { filter: { hasAttachment: true }, exact: true }
  if (field === 'date') {
    const day = dayOf(value, zone)
    if (!day) return undefined
    return { filter: op === 'since' ? { after: moment(day.from) } : { before: moment(day.to) }, exact: true }
  }
  const name = field === 'list' ? 'List-Id' : header
  if (op === 'exists') return { filter: { header: [name] } as Filter, exact: true }
  const words = op === 'domain' ? `@${value}` : op === 'matches' ? longest(value) : value
  if (words.trim().length < (op === 'matches' ? LEAST : 1)) return undefined
  const text = `"${words.replace(/["\\]/g, '\\$&')}"`
  const exact = op === 'contains'
  if (field === 'to') return { filter: { operator: 'OR', conditions: [{ to: text }, { cc: text }] }, exact }
  if (field === 'list' || field === 'header') return { filter: { header: [name, words] } as Filter, exact }
  return { filter: { [field]: text } as Filter, exact }
}
/** The longest piece of a pattern that stands there as it is. */
function longest(pattern: string): string {
  return piecesOf(pattern).reduce<string>((best, piece) => (typeof piece === 'string' && piece.length > best.length ? piece : best), '')
}
function moment(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+/, '')
}
export function octetsOf(size: string): number {
  return Number.parseInt(size) * (/M$/i.test(size) ? 1024 ** 2 : 1024)
}
function dayOf(value: string, zone: string): { from: number; to: number } | undefined {
  const from = Date.parse(`${value}T00:00:00${zone.slice(0, 3)}:${zone.slice(3)}`)
  return Number.isNaN(from) ? undefined : { from, to: from + 86_400_000 }
}

// --- looking through ------------------------------------------------------------------------------------

/** Whether a rule means a message, but for what stands in its text. */
export function isLike(rule: Rule, email: Looked): boolean {
  if (rule.match === 'every') return true
  const holds = (condition: Condition) => holdsFor(condition, email) !== condition.not
  return rule.match === 'all' ? rule.conditions.every(holds) : rule.conditions.some(holds)
}
function holdsFor({ field, op, value, header, zone }: Condition, email: Looked): boolean {
  switch (field) {
    case 'size':
      return op === 'over' ? email.size > octetsOf(value) : email.size < octetsOf(value)
    case 'attachment':
      return email.hasAttachment
    case 'date': {
      const day = dayOf(value, zone)
      const received = Date.parse(email.receivedAt)
      return Boolean(day) && (op === 'since' ? received >= (day?.from ?? 0) : received < (day?.to ?? 0))
    }
    case 'from':
      return (email.from ?? []).some((person) => isPerson(op, value, person))
    case 'to':
      return [...(email.to ?? []), ...(email.cc ?? [])].some((person) => isPerson(op, value, person))
    case 'subject':
      return compares(op, value, email.subject ?? '')
    case 'body':
      return true
    default: {
      const found = email[`header:${field === 'list' ? 'List-Id' : header}:asText`]
      return typeof found === 'string' && compares(op, value, found)
    }
  }
}
function isPerson(op: Condition['op'], value: string, { name, email }: EmailAddress): boolean {
  if (op === 'contains') return compares(op, value, `${name ?? ''} <${email}>`)
  return compares(op === 'domain' ? 'is' : op, value, op === 'domain' ? email.slice(email.lastIndexOf('@') + 1) : email)
}
function compares(op: Condition['op'], value: string, text: string): boolean {
  const [wanted, there] = [value.toLowerCase(), text.toLowerCase()]
  if (op === 'exists') return true
  if (op === 'contains') return there.includes(wanted)
  return op === 'is' ? there.trim() === wanted : fits(wanted, there)
}

const MANY = Symbol('*')
const ONE = Symbol('?')
/** A pattern of RFC 5228 §2.7.1 in pieces: texts, and what stands for any. */
function piecesOf(pattern: string): (string | symbol)[] {
  const found = pattern.match(/\\[\s\S]?|[*?]|[^\\*?]+/g) ?? []
  const pieces: (string | symbol)[] = []
  for (const piece of found) {
    const text = piece === '*' ? MANY : piece === '?' ? ONE : piece.startsWith('\\') ? piece.slice(1) : piece
    const last = pieces.at(-1)
    if (typeof text === 'string' && typeof last === 'string') pieces[pieces.length - 1] = last + text
    else pieces.push(text)
  }
  return pieces
}
/** Whether a text is as the pattern says. Goes back to the latest `*` alone, so that no pattern takes long. */
export function fits(pattern: string, text: string): boolean {
  const signs = piecesOf(pattern).flatMap<string | symbol>((piece) => (typeof piece === 'string' ? [...piece] : [piece]))
  const letters = [...text]
  let [sign, letter, star, from] = [0, 0, -1, 0]
  while (letter < letters.length) {
    if (signs[sign] === MANY) [star, from] = [sign++, letter]
    else if (signs[sign] === ONE || (sign < signs.length && signs[sign] === letters[letter])) [sign, letter] = [sign + 1, letter + 1]
    else if (star >= 0) [sign, letter] = [star + 1, ++from]
    else return false
  }
  return signs.slice(sign).every((each) => each === MANY)
}

// --- doing -----------------------------------------------------------------------------------------------

/** Folders as ids, where the rule means any. */
export interface Whereto {
  inbox: Id
  idOf: (action: Action) => Id | undefined
  trash: Id | undefined
}
/** What a rule does to a message that lies in the inbox; undefined: nothing of it can be done to what has arrived. */
export function patchOf(rule: Rule, { inbox, idOf, trash }: Whereto): Patch | undefined {
  const patch: Patch = {}
  let leaves = false
  const put = (id: Id | undefined, away: boolean) => {
    if (!id || id === inbox) return
    patch[at('mailboxIds', id)] = true
    leaves ||= away
  }
  for (const action of rule.actions) {
    if (action.kind === 'read') patch[at('keywords', '$seen')] = true
    else if (action.kind === 'star') patch[at('keywords', '$flagged')] = true
    else if (action.kind === 'label') patch[at('keywords', action.keyword.toLowerCase())] = true
    else if (action.kind === 'move' || action.kind === 'archive' || action.kind === 'trash') put(idOf(action), true)
    else if (action.kind === 'copy') put(idOf(action), false)
    else if (action.kind === 'discard') put(trash, true) // what is here already can be looked at once more
  }
  if (leaves && !rule.actions.some(({ kind }) => kind === 'keep')) patch[at('mailboxIds', inbox)] = null
  return Object.keys(patch).length ? patch : undefined
}
