// Who sent this, and why we believe it or not: one statement, what else a reader should know, and all that it rests on.
import { domainOf } from '../design/format'
import type { Email, EmailBody } from '../jmap/types'
import { isJunk, weighty, weightOf, type Fact, type Judgement, type Saying } from './judgement'
import { arrivalOf, ownResults, type Arrival, type Finding, type Results } from './results'

export type Standing = 'verified' | 'house' | 'unverified' | 'unknown' | 'failed' | 'junk'
export interface Trust {
  standing: Standing
  /** The one line. */
  headline: Saying
  /** What else matters, the worst first. */
  warnings: Saying[]
  /** Worth knowing, no warning. */
  notes: Saying[]
  results: Results | undefined
  judgement: Judgement | undefined
  arrival: Arrival | undefined
}
const FACTS: Record<string, (fact: Fact) => Saying> = {
  'look-alike': ({ value = '', of = '' }) => ({ key: 'trust.fact.look-alike', values: { domain: value, of } }),
  'address-in-name': ({ value = '' }) => ({ key: 'trust.fact.address-in-name', values: { address: value } }),
  'misleading-link': ({ value = '' }) => ({ key: 'trust.fact.misleading-link', values: { link: value } }),
  'reply-to-elsewhere': ({ value = '' }) => ({ key: 'trust.reply-elsewhere', values: { address: value } }),
}

export function trustOf(email: Email, body: EmailBody): Trust {
  const results = ownResults(body)
  const judgement = body.verdict ?? undefined
  const arrival = arrivalOf(body)
  const domain = domainOf(email.from?.[0]?.email ?? '')
  const sender = standingOf(domain, results, arrival)
  const about: Saying = { key: `trust.${sender}`, values: { domain, name: email.from?.[0]?.name?.trim() || (email.from?.[0]?.email ?? '') } }
  const warnings = warningsOf(email, body, judgement)
  const notes: Saying[] = judgement?.facts.some(({ fact }) => fact === 'first-contact') ? [{ key: 'trust.first', values: {} }] : []
  const whole = { results, judgement, arrival, notes }
  if (judgement && isJunk(judgement)) {
    const [worst] = weighty(judgement).filter((check) => weightOf(check) > 0)
    const headline: Saying = { key: 'trust.junk', values: {}, checks: worst ? [worst.check] : [] }
    return { ...whole, standing: 'junk', headline, warnings: [about, ...warnings] }
  }
  return { ...whole, standing: sender, headline: about, warnings }
}

function standingOf(domain: string, results: Results | undefined, arrival: Arrival | undefined): Exclude<Standing, 'junk'> {
  if (!results) return arrival?.byLogin ? 'house' : 'unknown'
  const dmarc = results.findings.filter(({ method }) => method === 'dmarc')
  if (dmarc.some(({ result }) => result === 'fail')) return 'failed'
  if (dmarc.length && dmarc.every(({ result }) => result === 'pass')) return 'verified'
  // docs/trust.md: where a domain publishes no policy that can be read, the very same domain must have passed SPF or DKIM.
  const silent = dmarc.every(({ result }) => result === 'none' || result === 'permerror')
  return silent && results.findings.some((finding) => proves(finding, domain)) ? 'verified' : 'unverified'
}
function proves({ method, result, properties }: Finding, domain: string): boolean {
  if (result !== 'pass' || !domain) return false
  if (method === 'dkim') return properties['header.d']?.toLowerCase() === domain
  return method === 'spf' && domainOf(properties['smtp.mailfrom'] ?? '') === domain
}

function warningsOf(email: Email, body: EmailBody, judgement: Judgement | undefined): Saying[] {
  const said = Object.keys(FACTS).flatMap((name) => (judgement?.facts ?? []).filter(({ fact }) => fact === name).map((fact) => FACTS[name]?.(fact) as Saying))
  if (judgement) return said
  // Not judged (it came by login, through a host of ours, or was put here by a program): what its header shows by itself.
  const author = email.from?.[0]
  const domain = domainOf(author?.email ?? '')
  const inName = /(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+/.exec(author?.name ?? '')?.[0]
  if (inName && domainOf(inName) !== domain) said.push({ key: 'trust.fact.address-in-name', values: { address: inName } })
  const elsewhere = body.replyTo?.find((person) => domainOf(person.email) !== domain)
  if (elsewhere) said.push({ key: 'trust.reply-elsewhere', values: { address: elsewhere.email } })
  return said
}
