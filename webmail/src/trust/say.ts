// Sayings in the reader's words.
import { locale, t, tName } from '../i18n/index.svelte'
import { namesIn, type Check, type Saying } from './judgement'

export function say({ key, values, checks }: Saying): string {
  return t(key, checks ? { ...values, checks: checks.map((check) => tName('trust.check', check)).join(locale() === 'en' ? ', ' : '、') } : values)
}
/** A check's evidence: the server's English words, or what of them stands in any language. */
export function evidenceOf(check: Check): string {
  const evidence = check.evidence ?? ''
  if (locale() !== 'en') return namesIn(evidence)
  return evidence === tName('trust.check', check.check) ? '' : evidence
}
export function signed(weight: number): string {
  return weight.toLocaleString(locale(), { signDisplay: 'exceptZero', minimumFractionDigits: 1, maximumFractionDigits: 1 })
}
