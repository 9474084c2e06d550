// What is written in the search field: words, and operators in English and Chinese in any mixture, into a JMAP filter.
import type { Condition, Filter, Id } from '../jmap/types'
import { keywordOf } from '../mail/labels'

export type Operator = 'from' | 'to' | 'cc' | 'bcc' | 'subject' | 'body' | 'has' | 'is' | 'in' | 'before' | 'after' | 'larger' | 'smaller' | 'label'
export interface Term {
  /** As it was written. */
  text: string
  operator?: Operator
  value: string
  not: boolean
}
const NAMES: Record<string, Operator> = {
  from: 'from', 发件人: 'from', 来自: 'from', to: 'to', 收件人: 'to', cc: 'cc', 抄送: 'cc', bcc: 'bcc', 密送: 'bcc', subject: 'subject', 主题: 'subject',
  body: 'body', 正文: 'body', has: 'has', 有: 'has', 包含: 'has', is: 'is', 是: 'is', in: 'in', 在: 'in', 位于: 'in', before: 'before', 早于: 'before', 之前: 'before',
  after: 'after', since: 'after', 晚于: 'after', 之后: 'after', larger: 'larger', 大于: 'larger', smaller: 'smaller', 小于: 'smaller', label: 'label', 标签: 'label',
}
const VALUES: Record<string, Condition> = {
  attachment: { hasAttachment: true }, attachments: { hasAttachment: true }, 附件: { hasAttachment: true },
  unread: { notKeyword: '$seen' }, 未读: { notKeyword: '$seen' }, read: { hasKeyword: '$seen' }, 已读: { hasKeyword: '$seen' },
  starred: { hasKeyword: '$flagged' }, flagged: { hasKeyword: '$flagged' }, 星标: { hasKeyword: '$flagged' },
  answered: { hasKeyword: '$answered' }, 已回复: { hasKeyword: '$answered' }, draft: { hasKeyword: '$draft' }, 草稿: { hasKeyword: '$draft' },
}
const UNITS: Record<string, number> = { '': 1, k: 1e3, kb: 1e3, m: 1e6, mb: 1e6, g: 1e9, gb: 1e9 }
const PIECE = /(-?)(?:([\p{L}]+)[:：])?("[^"]*"?|“[^”]*”?|[^\s　]+)/gu
const SPACED = /("[^"]*"?|“[^”]*”?)|(^|[\s　]|-)([\p{L}]+)[:：][\s　]+(?=[^\s　])/gu

/** The terms of a text, in order. An operator nobody knows is a word like any other. */
export function parseQuery(text: string): Term[] {
  const terms: Term[] = []
  // Many write a space after the colon.
  const joined = text.replace(SPACED, (whole, phrase: string | undefined, before: string, name: string) => (phrase === undefined && NAMES[name.toLowerCase()] ? `${before}${name}:` : whole))
  for (const match of joined.matchAll(PIECE)) {
    const [whole, minus, name, quoted] = match as unknown as [string, string, string | undefined, string]
    const operator = name === undefined ? undefined : NAMES[name.toLowerCase()]
    const value = quoted.replace(/^["“]|["”]$/g, '')
    if (operator) terms.push({ text: whole, operator, value, not: minus === '-' })
    else terms.push({ text: whole, value: name === undefined ? value : `${name}:${value}`, not: minus === '-' && quoted !== '' })
  }
  return terms
}

/** Whether the term is a chip of its own: an operator with a value that is understood. */
export function isUnderstood(term: Term, find: (name: string) => Id | undefined): boolean {
  return term.operator !== undefined && condition(term, find) !== undefined
}

/** The filter of all terms together. `find` knows mailboxes by name or role; without `in:` the `otherwise` ones are left out. */
export function toFilter(terms: Term[], find: (name: string) => Id | undefined, otherwise: Id[]): Filter {
  const conditions = terms.map((term): Filter => {
    const made = condition(term, find) ?? { text: phrase(term.value || term.text) }
    return term.not ? { operator: 'NOT', conditions: [made] } : made
  })
  if (!terms.some((term) => term.operator === 'in' && !term.not && isUnderstood(term, find)) && otherwise.length) conditions.push({ inMailboxOtherThan: otherwise })
  return conditions.length === 1 ? (conditions[0] as Filter) : { operator: 'AND', conditions }
}

function condition(term: Term, find: (name: string) => Id | undefined): Condition | undefined {
  const { operator, value } = term
  switch (operator) {
    case undefined:
      return { text: phrase(value) }
    case 'has':
    case 'is':
      return VALUES[value.toLowerCase()]
    case 'in': {
      const id = find(value)
      return id === undefined ? undefined : { inMailbox: id }
    }
    case 'before':
    case 'after': {
      const day = parseDay(value)
      return day ? { [operator]: day } : undefined
    }
    case 'larger':
    case 'smaller': {
      const octets = parseSize(value)
      return octets === undefined ? undefined : operator === 'larger' ? { minSize: octets } : { maxSize: octets }
    }
    case 'label':
      return value ? { hasKeyword: keywordOf(value) } : undefined
    default:
      return value ? { [operator]: phrase(value) } : undefined
  }
}

/** Words that were written together are to be found together (RFC 8621 §4.4.1). */
const phrase = (value: string) => (/\s/.test(value) ? `"${value.replace(/[\\"]/g, '\\$&')}"` : value)

/** Beginning of a day as UTCDate: 2026-11-25, 2026/11/25, 2026年11月25日, 2026-11, today, 昨天, 7d. */
export function parseDay(text: string, now = new Date()): string | undefined {
  const words: Record<string, number> = { today: 0, 今天: 0, yesterday: 1, 昨天: 1 }
  const ago = words[text.toLowerCase()] ?? Number(/^(\d{1,4})(?:d|天)$/.exec(text)?.[1] ?? NaN)
  const day = Number.isNaN(ago) ? dayOf(text) : new Date(now.getFullYear(), now.getMonth(), now.getDate() - ago)
  return day && !Number.isNaN(day.getTime()) ? day.toISOString().replace(/\.\d+Z$/, 'Z') : undefined
}

function dayOf(text: string): Date | undefined {
  const match = /^(\d{4})(?:[-/.年](\d{1,2})(?:[-/.月](\d{1,2})日?|月?)|年?)$/.exec(text)
  if (!match) return undefined
  const [year, month, day] = [Number(match[1]), Number(match[2] ?? 1), Number(match[3] ?? 1)]
  const date = new Date(year, month - 1, day)
  return date.getMonth() === month - 1 && date.getDate() === day ? date : undefined
}

function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([kmg]?b?)$/i.exec(text)
  const unit = match && UNITS[(match[2] as string).toLowerCase().replace(/^b$/, '')]
  return match && unit ? Math.round(Number(match[1]) * unit) : undefined
}
