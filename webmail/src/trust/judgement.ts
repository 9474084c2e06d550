// What the junk filter made of a message (docs/jmap-extensions.md, the property `verdict`), and what would have changed it.
import type { Key } from '../i18n/index.svelte'

export interface Check {
  check: string
  /** Above 0 speaks for junk. */
  weight?: number
  /** In the server's words. */
  evidence?: string
}
export interface Fact {
  fact: string
  value?: string
  of?: string
}
export interface Judgement {
  decision: 'accept' | 'junk' | 'reject' | 'defer'
  score: number
  junk_at: number
  refuse_at: number
  checks: Check[]
  facts: Fact[]
  would_change: string[]
}
/** A sentence, as a key of the words and what goes into it; `checks`: by their names. */
export interface Saying {
  key: Key
  values: Record<string, string | number>
  checks?: string[]
}

export const weightOf = (check: Check) => check.weight ?? 0
/** Those that say anything, what weighs most first. */
export function weighty(judgement: Judgement): Check[] {
  return judgement.checks.filter((check) => weightOf(check) || check.evidence).sort((one, other) => Math.abs(weightOf(other)) - Math.abs(weightOf(one)))
}
export function isJunk(judgement: Judgement): boolean {
  return judgement.decision === 'junk' || judgement.decision === 'reject'
}
const rounded = (number: number) => Math.round(number * 10) / 10

/** What would have led to another decision. Nothing where one check decided by itself (a virus). */
export function whatWouldChange({ decision, score, junk_at, checks }: Judgement): Saying[] {
  const junk = score >= junk_at
  if ((decision === 'accept') === junk || decision === 'defer') return []
  if (!junk) {
    const savers = checks.filter((check) => weightOf(check) < 0 && score - weightOf(check) >= junk_at)
    return [{ key: 'trust.change.more', values: { n: rounded(junk_at - score) } }, ...savers.map((check): Saying => ({ key: 'trust.change.saved', values: {}, checks: [check.check] }))]
  }
  const against = checks.filter((check) => weightOf(check) > 0).sort((one, other) => weightOf(other) - weightOf(one))
  const alone = against.filter((check) => score - weightOf(check) < junk_at)
  if (alone.length) return [...alone.map((check): Saying => ({ key: 'trust.change.without', values: {}, checks: [check.check] })), { key: 'trust.change.next', values: {} }]
  const together: string[] = []
  let left = score
  for (const check of against) {
    if (left < junk_at) break
    left -= weightOf(check)
    together.push(check.check)
  }
  return [{ key: 'trust.change.without-all', values: {}, checks: together }, { key: 'trust.change.next', values: {} }]
}

/** The names in an evidence: what of the server's English sentence stands in every language. */
export function namesIn(evidence: string): string {
  const found = evidence.match(/[\w.+-]+@[\w.-]+\w|(?:[\w-]+\.)+[a-z]{2,}\b|\d+(?:\.\d+){3}|\d+(?:[.,]\d+)?\s?%/giu) ?? []
  return [...new Set(found)].join(' · ')
}
