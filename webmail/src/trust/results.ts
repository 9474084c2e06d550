// Who sent this, and why we believe it or not: our own server's findings in words.
import { domainOf } from '../design/format'
import type { Email, EmailBody } from '../jmap/types'
import { headerAll } from './bodies'

export type Verdict = 'verified' | 'failed' | 'unverified' | 'unknown'
export interface Finding {
  method: string
  result: string
  says: string
}
export interface Trust {
  verdict: Verdict
  domain: string
  findings: Finding[]
}
const METHODS = ['dmarc', 'dkim', 'spf', 'arc', 'iprev', 'auth']

/** From the Authentication-Results (RFC 8601) that our server put above the first Received; any below is a stranger's word. */
export function trustOf(email: Email, body: EmailBody): Trust {
  const names = (body.headers ?? []).map((field) => field.name.toLowerCase())
  const received = names.indexOf('received')
  const place = names.indexOf('authentication-results')
  const ours = place >= 0 && (received < 0 || place < received) ? headerAll(body, 'Authentication-Results')[0] : undefined
  const findings = ours ? parseResults(ours) : []
  const result = (method: string) => findings.find((finding) => finding.method === method)?.result
  const domain = domainOf(email.from?.[0]?.email ?? '')
  let verdict: Verdict = 'unknown'
  if (result('dmarc') === 'pass') verdict = 'verified'
  else if (result('dmarc') === 'fail') verdict = 'failed'
  else if (findings.length) verdict = 'unverified'
  return { verdict, domain, findings }
}

/** The methods of an Authentication-Results value, in the order of METHODS. */
export function parseResults(value: string): Finding[] {
  const bare = value.replace(/\((?:[^()\\]|\\.|\([^()]*\))*\)/g, ' ')
  const findings = bare.split(';').slice(1).flatMap((piece): Finding[] => {
    const match = /^\s*([\w-]+)(?:\/\d+)?\s*=\s*(\w+)(.*)$/s.exec(piece)
    if (!match) return []
    const says = [...(match[3] as string).matchAll(/(?:reason|[a-z]+\.[\w.-]+)\s*=\s*("[^"]*"|\S+)/g)].map((found) => found[0])
    return [{ method: (match[1] as string).toLowerCase(), result: (match[2] as string).toLowerCase(), says: says.join(' · ') }]
  })
  const known = findings.filter((finding) => METHODS.includes(finding.method))
  return known.sort((one, other) => METHODS.indexOf(one.method) - METHODS.indexOf(other.method))
}
